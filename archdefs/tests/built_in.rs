//! The formats of this package read without a complaint.

use tablewright_archdefs::{BUILTINS, Style, read_builtin};

#[test]
fn every_built_in_format_reads() {
    for (name, _) in BUILTINS {
        let (sources, format) = read_builtin(name).unwrap();
        match format {
            Ok(format) => assert!(name.starts_with(&format.name.value)),
            Err(diagnostics) => panic!("{}", diagnostics.render(&sources, Style::Plain)),
        }
    }
}
