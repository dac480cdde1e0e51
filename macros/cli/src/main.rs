//! The command-line tool `tablewright`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tablewright_cli::main()
}
