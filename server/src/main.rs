//! The binary `suda`.

use std::process::ExitCode;

fn main() -> ExitCode {
    suda_server::cli::run()
}
