//! Checks format files: `cargo run -p tablewright-archdefs --example check arch/mine.toml ...`.

use std::io::IsTerminal;
use std::process::ExitCode;

use tablewright_archdefs::{Style, check, read};

fn main() -> ExitCode {
    let style = if std::io::stderr().is_terminal() { Style::Coloured } else { Style::Plain };
    let load = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let mut code = ExitCode::SUCCESS;
    for path in std::env::args().skip(1) {
        let text = match load(&path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("error: cannot read `{path}`: {error}");
                code = ExitCode::FAILURE;
                continue;
            }
        };
        let (sources, format) = read(&path, &text, &load);
        let problems = format.map_or_else(|unread| unread, |format| check(&format));
        if problems.is_empty() {
            println!("{path}: nothing to say");
        } else {
            eprintln!("{}", problems.render(&sources, style));
            code = ExitCode::FAILURE;
        }
    }
    code
}
