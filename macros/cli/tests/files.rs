//! `new`, `expand`, `diagram` and `schema`: what is written is what was promised.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::Files;
use tablewright_archdefs::{BUILTINS, read_builtin};
use tablewright_cli::run;

#[test]
fn a_new_file_passes_the_check_and_everything_else() {
    let files = Files::new();
    let new = files.run("new riscy --output DIR/riscy.toml");
    assert_eq!(new.code, 0, "{}", new.err);
    assert_eq!(files.show("check DIR/riscy.toml"), "DIR/riscy.toml: nothing to say\nexit code 0");
    for command in ["list", "diagram", "expand"] {
        assert_eq!(files.run(&format!("{command} DIR/riscy.toml")).code, 0);
    }
    let explained = files.run("explain DIR/riscy.toml 0x1234_5007 --level 0");
    assert!(explained.out.contains("page of 4K at 0x1234_5000, r w"), "{}", explained.out);
    let text = std::fs::read_to_string(files.path("riscy.toml")).unwrap();
    assert!(!text.contains("my_format"));
    assert_eq!(files.run("new riscy --output -").out, text);
}

#[test]
fn standard_input_is_read_once() {
    let ran = run(&["check", "-", "-"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("once only"), "{}", ran.err);
}

#[test]
fn every_sound_file_of_the_repository_passes_the_check() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in [
        "archdefs/tests",
        "examples/new-arch/arch",
        "examples/tutorial/arch",
        "generated-tests/arch",
        "generated-tests/loom",
    ] {
        let entries = std::fs::read_dir(repository.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let formats = |path: &PathBuf| path.extension() == Some("toml".as_ref()) && !path.ends_with("Cargo.toml");
        let files: Vec<_> = entries.filter(formats).collect();
        assert_ne!(files, Vec::<PathBuf>::new(), "no format in {folder}");
        for file in files {
            let ran = run(&["check", file.to_str().unwrap()]);
            assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        }
    }
}

#[test]
fn who_asks_about_a_file_with_a_mistake_is_told_of_it() {
    let files = Files::new();
    let sound =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../archdefs/tests/tiny.toml")).unwrap();
    let broken = sound.replace("root = root >> 12", "root = root >> 13");
    assert_ne!(sound, broken);
    files.write("sound.toml", sound);
    files.write("broken.toml", broken);
    files.write("memory", [0; 0x1000]);
    let image = "--image DIR/memory@0x1000 --root 0x1000";
    for command in [
        "list FILE".to_owned(),
        "explain FILE 0 --level 0".to_owned(),
        "encode FILE --leaf --level 0 --address 0x1000 --rights r --memory inherit".to_owned(),
        "diagram FILE".to_owned(),
        format!("walk FILE {image} 0"),
        format!("dump FILE {image}"),
    ] {
        let [sound, broken] =
            ["sound", "broken"].map(|name| files.run(&command.replace("FILE", &format!("DIR/{name}.toml"))));
        assert_eq!(
            (sound.code, &sound.out),
            (broken.code, &broken.out.replace("broken", "sound")),
            "{command}: {}",
            sound.err
        );
        assert!(!sound.err.contains("note:"), "{command}: {}", sound.err);
        let note = "note: DIR/broken.toml has 1 mistake: `tablewright check DIR/broken.toml` names them\n";
        assert!(broken.err.starts_with(note), "{command}: {}", broken.err);
    }
}

#[test]
fn a_new_file_takes_no_others_place() {
    let files = Files::new();
    files.write("old.toml", "precious");
    insta::assert_snapshot!(
        [
            files.show("new riscy --output DIR/old.toml"),
            files.show("new riscy --output DIR/no/such/folder.toml"),
            files.show("new Riscy --output -"),
            files.show("new fn --output -"),
            files.show("new a\"b --output -"),
            files.show("new ../x --output -"),
        ]
        .join("\n----\n")
    );
    assert_eq!(std::fs::read_to_string(files.path("old.toml")).unwrap(), "precious");
}

#[test]
fn a_stale_copy_of_generated_code_is_noticed() {
    let files = Files::new();
    let code = run(&["expand", "ept"]).out;
    files.write("current.rs", &code);
    assert_eq!(files.run("expand ept --check DIR/current.rs").code, 0);
    files.write("stale.rs", code.replacen("use ::core::fmt;", "use ::std::fmt;", 1));
    files.write("short.rs", &code[..code.len() / 2]);
    files.write("format.toml", "[format]\nname = 1");
    let lines = [
        "expand ept --check DIR/stale.rs",
        "expand ept --check DIR/none.rs",
        "expand ept --runtime a-b",
        "expand DIR/format.toml",
    ];
    insta::assert_snapshot!(lines.map(|line| files.show(line)).join("\n----\n"));
    assert_eq!(files.run("expand ept --check DIR/short.rs").code, 1);
    assert!(run(&["expand", "ept", "--runtime", "crate::vm"]).out.contains("use crate::vm::codec"));
}

/// Every bit has one box in every row.
#[test]
fn pictures_show_every_bit_once() {
    for (name, _) in BUILTINS {
        let format = read_builtin(name).unwrap().1.unwrap();
        let bits = usize::from(format.word.bits());
        for config in format.configs {
            let svg = run(&["diagram", name, "--config", &config.id.value, "--format", "svg"]).out;
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            let (opened, closed) = (svg.matches("<text").count(), svg.matches("</text>").count());
            assert_eq!(opened, closed);
            let widths = svg.lines().filter_map(|line| {
                let rect = line.split("<rect class=\"").nth(1).filter(|_| line.starts_with("<g>"))?;
                rect.split(" width=\"").nth(1)?.split('"').next()?.parse::<usize>().ok()
            });
            // Beside the rows of entries there are the picture's title and the row of input addresses.
            let rows = svg.matches("class=\"title\"").count() - 2;
            assert_eq!(widths.sum::<usize>(), (rows * bits + 64) * 22, "{name} {}", config.id.value);
        }
    }
}

#[test]
fn the_schema_is_that_of_the_reader() {
    let schema = run(&["schema"]);
    let parsed: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
    assert!(parsed["properties"]["format"].is_object(), "{parsed:#}");
}

/// Like `tablewright list | head -1`.
#[test]
fn a_reader_who_leaves_is_no_mistake() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tablewright"))
        .args(["expand", "stage2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let list = |arguments: &[&str], variable: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tablewright"));
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env(variable, "1");
        let output = command.args(["list", "ept"]).args(arguments).output().unwrap();
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    assert!(!list(&[], "UNUSED"));
    assert!(list(&["--color", "always"], "UNUSED"));
    assert!(list(&[], "CLICOLOR_FORCE"));
    assert!(!list(&["--color", "never"], "CLICOLOR_FORCE"));
    assert!(!list(&[], "NO_COLOR"));
}

/// Each help has examples, and each example is a command line that is understood.
#[test]
fn examples_in_the_help_can_be_run() {
    for command in ["list", "check", "explain", "encode", "walk", "dump", "diagram", "expand", "new", "schema"] {
        let help = run(&[command, "--help"]);
        assert_eq!(help.code, 0);
        let examples: Vec<&str> =
            help.out.lines().filter_map(|line| line.trim().strip_prefix("tablewright ")).collect();
        assert!(!examples.is_empty(), "{}", help.out);
        for example in
            examples.iter().filter(|example| example.starts_with("explain ept") || example.starts_with("enc"))
        {
            let line = example.split("  ").next().unwrap_or_default();
            let ran = run(&line.split_whitespace().collect::<Vec<_>>());
            assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        }
    }
}
