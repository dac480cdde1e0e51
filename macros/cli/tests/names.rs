//! What depends on which formats are built in.

use tablewright_archdefs::{BUILTINS, read_builtin};
use tablewright_cli::run;

#[test]
fn list_knows_every_format_and_build() {
    let listed = run(&["list"]);
    assert_eq!((listed.code, listed.err.as_str()), (0, ""));
    for (name, _) in BUILTINS {
        let (_, format) = read_builtin(name).unwrap();
        let format = format.unwrap();
        assert!(
            listed.out.contains(&format!("\n{name}  {}\n", format.title)) || listed.out.starts_with(name),
            "{name}"
        );
        for build in &format.builds {
            assert!(listed.out.contains(&build.name.value));
        }
        for param in &format.params {
            assert!(listed.out.contains(&param.doc), "{}", param.name.value);
        }
    }
}

#[test]
fn every_command_takes_formats_and_builds() {
    for (name, _) in BUILTINS {
        let (_, format) = read_builtin(name).unwrap();
        let format = format.unwrap();
        let builds = format.builds.iter().map(|build| build.name.value.as_str());
        for name in builds.chain([*name]) {
            for arguments in [vec!["list", name], vec!["explain", name, "0x1234_5037"]] {
                let ran = run(&arguments);
                assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
            }
        }
    }
}

#[test]
fn a_name_with_a_slip_is_answered_with_the_name() {
    for arguments in [["list", "stage2_4"], ["list", "etp"]] {
        let ran = run(&arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert!(
            ran.err.contains("did you mean `stage2_4k`?") || ran.err.contains("did you mean `ept`?"),
            "{}",
            ran.err
        );
    }
    assert!(run(&["check", "sv_x5"]).err.contains("did you mean `sv_x4`?"));
}
