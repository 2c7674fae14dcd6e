//! The `plumb` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(plumb::cli::run(std::env::args_os()))
}
