//! `suda-bindgen INPUT.wasm OUT_DIR NAME [--debug]`: writes `NAME_bg.wasm` and `NAME.js`, an ES module for the web.

use std::env;
use std::path::Path;

use anyhow::{Context as _, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [input, out, name, rest @ ..] = args.as_slice() else {
        bail!("suda-bindgen INPUT.wasm OUT_DIR NAME [--debug]");
    };
    let debug = rest.iter().any(|arg| arg == "--debug");
    let mut bindgen = Bindgen::new();
    bindgen
        .web(true)?
        .input_path(input)
        .out_name(name)
        // The types are written by hand, in wasm-client/js/index.d.ts.
        .typescript(false)
        .debug(debug)
        .keep_debug(debug)
        .remove_name_section(!debug)
        .remove_producers_section(!debug)
        .demangle(debug);
    bindgen.generate(Path::new(out)).with_context(|| format!("binding {input}"))
}
