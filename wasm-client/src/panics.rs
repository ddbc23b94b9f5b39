//! A panic aborts the module; JavaScript gets a `RuntimeError` that says nothing. So it is said before.

use std::panic::PanicHookInfo;

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// Says panics on the console: all of it in a debug build, and where it was in a release build, whose messages are left
/// out of the module for its size.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(hook));
}

#[cfg(debug_assertions)]
fn hook(info: &PanicHookInfo<'_>) {
    error(&info.to_string());
}

#[cfg(not(debug_assertions))]
fn hook(info: &PanicHookInfo<'_>) {
    let mut text = "suda: the client has failed at ".to_owned();
    if let Some(place) = info.location() {
        text.push_str(place.file());
        text.push(':');
        text.push_str(&place.line().to_string());
    }
    error(&text);
}
