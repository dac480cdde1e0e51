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

#[test]
fn every_register_that_a_caller_reads_is_described() {
    for (name, _) in BUILTINS {
        let format = read_builtin(name).unwrap().1.unwrap();
        let sections = [
            format.capabilities.as_ref().map(|section| (&section.registers, &section.cite)),
            format.fault.as_ref().map(|section| (&section.registers, &section.cite)),
            format.access.as_ref().map(|section| (&section.registers, &section.cite)),
            format.translated.as_ref().map(|section| (&section.registers, &section.cite)),
        ];
        for (registers, cite) in sections.into_iter().flatten() {
            for register in registers {
                assert!(register.doc.is_some(), "{name}: what is {}?", register.name.value);
                assert!(cite.is_some(), "{name}: which section says what {} is?", register.name.value);
            }
        }
    }
}

#[test]
fn everything_that_a_manual_decides_is_cited() {
    let mut without = Vec::new();
    for (name, _) in BUILTINS {
        let format = read_builtin(name).unwrap().1.unwrap();
        let rows = [
            format.kinds.iter().map(|row| (&row.id, &row.cite)).collect::<Vec<_>>(),
            format.fields.iter().map(|row| (&row.name, &row.cite)).collect(),
            format.fixes.iter().map(|row| (&row.id, &row.cite)).collect(),
            format.runs.iter().map(|row| (&row.id, &row.cite)).collect(),
            format.tlb.iter().map(|row| (&row.id, &row.cite)).collect(),
            format.completions.iter().map(|row| (&row.id, &row.cite)).collect(),
            format.registers.iter().map(|row| (&row.name, &row.cite)).collect(),
        ];
        without.extend(
            rows.concat()
                .into_iter()
                .filter(|(_, cite)| cite.is_none())
                .map(|(row, _)| format!("{name}: {}", row.value)),
        );
    }
    assert!(without.is_empty(), "{}", without.join("\n"));
}
