//! Nothing that is read from files crashes the tool, or keeps it busy for ever.

mod common;

use std::time::{Duration, Instant};

use common::{Files, Image, core_file};
use proptest::prelude::*;
use tablewright_archdefs::{BUILTINS, builtin, read_builtin};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Formats with their first configurations.
fn format() -> impl Strategy<Value = &'static str> {
    prop::sample::select(BUILTINS.iter().map(|(name, _)| *name).collect::<Vec<_>>())
}

/// Memory of a few pages whose words are random, or likely to point into it.
fn memory() -> impl Strategy<Value = Image> {
    let word = prop_oneof![
        4 => Just(0_u64),
        2 => any::<u64>(),
        4 => (0..16_u64, 0..256_u64).prop_map(|(page, low)| page << 12 | low),
        2 => (0..16_u64, 0..256_u64).prop_map(|(page, low)| page << 10 | low),
    ];
    let page = prop_oneof![prop::collection::vec(word.clone(), 512), word.prop_map(|word| vec![word; 512]),];
    prop::collection::vec(page, 1..12)
        .prop_map(|pages| Image { base: 0, bytes: pages.into_iter().flatten().flat_map(u64::to_le_bytes).collect() })
}

fn ends(files: &Files, line: &str) -> Result<(), TestCaseError> {
    let start = Instant::now();
    let ran = files.run(line);
    prop_assert!(start.elapsed() < LONG, "{line}");
    prop_assert!(ran.code <= 2);
    prop_assert!(ran.code != 2 || ran.err.starts_with("error"), "{line}: {}", ran.err);
    prop_assert!(ran.out.len() < 32 << 20, "{line}: {} bytes", ran.out.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_memory_is_listed_and_walked(
        format in format(),
        image in memory(),
        cut in 0..9_usize,
        root in 0..8_u64,
        address in any::<u64>(),
    ) {
        let files = Files::new();
        let length = image.bytes.len() - cut;
        files.write("raw", &image.bytes[..length]);
        for command in ["dump", "dump --tree", "dump --json"] {
            ends(&files, &format!("{command} {format} --image DIR/raw@0 --root {:x}", root << 12))?;
        }
        ends(&files, &format!("dump {format} --image DIR/raw@0 --root 0 --diff DIR/raw@0 --diff-root 1000"))?;
        ends(&files, &format!("walk {format} --image DIR/raw@0 --root 0 {address:x}"))?;
        ends(&files, &format!("walk {format} --image DIR/raw@0 --root 0 {:x}", address & 0x7f_ffff_ffff))?;
    }

    #[test]
    fn any_file_may_be_given_for_a_core_file(
        damage in prop::collection::vec((0..180_usize, any::<u8>()), 0..6),
        length in 0..5000_usize,
    ) {
        let files = Files::new();
        let mut core = core_file(&[&Image::new(0x1000, 0x800), &Image::new(0x2000, 0x800)]);
        core.truncate(core.len().saturating_sub(length));
        for (at, byte) in damage {
            if let Some(there) = core.get_mut(at) {
                *there = byte;
            }
        }
        files.write("core", core);
        ends(&files, "dump ept --image DIR/core --root 0x1000")?;
    }

    #[test]
    fn any_entry_is_explained(format in format(), raw in any::<u64>(), address in any::<u64>()) {
        let files = Files::new();
        let wide = raw & !read_builtin(format).unwrap().1.unwrap().word.mask() != 0;
        let ran = files.run(&format!("explain {format} {raw:x}"));
        prop_assert_eq!(ran.code == 0, !wide, "{}", ran.err);
        ends(&files, &format!("raise {format} {raw:x} --access pw --address {:x}", address & 0x7f_ffff_ffff))?;
    }

    #[test]
    fn a_damaged_format_is_a_format_or_has_findings(
        format in format(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, ".{0,3}"), 1..4),
        raw in any::<u64>(),
    ) {
        let mut text: Vec<char> = builtin(format).unwrap().chars().collect();
        for (at, length, with) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, with.chars());
        }
        let files = Files::new();
        files.write("damaged.toml", text.iter().collect::<String>());
        let checked = files.run("check DIR/damaged.toml");
        prop_assert!(checked.code < 2, "{}", checked.err);
        prop_assert!(checked.code == 0 || checked.out.contains("error"), "{}", checked.out);
        for command in [format!("explain DIR/damaged.toml {raw:x}"), "list DIR/damaged.toml".into()] {
            ends(&files, &command)?;
        }
        // The macro generates whatever can be read, so that an error is not followed by a crowd of others.
        let text = std::fs::read_to_string(files.path("damaged.toml")).unwrap();
        if let Ok(format) = tablewright_archdefs::read("damaged.toml", &text, &|_| Err("not here".into())).1 {
            prop_assert!(!tablewright_codegen::modules(&format, &quote::quote!(::tablewright)).is_empty());
        }
    }
}

/// A complete format with something in place of something else.
fn changed(from: &str, to: &str) -> (Files, i32) {
    let files = Files::new();
    let text = files.run("new mine --output -").out;
    assert!(text.contains(from), "{from}");
    files.write("mine.toml", text.replacen(from, to, 1));
    let code = files.run("check DIR/mine.toml").code.into();
    (files, code)
}

#[test]
fn expressions_that_would_exhaust_the_stack_are_refused() {
    let many = 200_000;
    for expression in [
        format!("{}pa_bits{}", "(".repeat(many), ")".repeat(many)),
        format!("{}pa_bits", "!".repeat(many)),
        format!("pa_bits{}", " + 0".repeat(many)),
        format!("pa_bits{}", " || pa_bits".repeat(many)),
    ] {
        let (_, code) = changed("output_bits = \"pa_bits\"", &format!("output_bits = \"{expression}\""));
        assert_eq!(code, 1);
    }
    let (_, code) = changed("values = \"40, 44..=48\"", &format!("values = {}{}", "[".repeat(many), "]".repeat(many)));
    assert_eq!(code, 1);
}

#[test]
fn more_parameters_than_can_be_gone_through_are_told() {
    let params: String = (0..60)
        .map(|index| format!("p{index} = {{ type = \"bool\", bind = \"boot\", doc = \"one of many\" }}\n"))
        .collect();
    let choices: String = (0..60).map(|index| format!("\"ignored if p{index}\", ")).collect();
    let (files, code) = changed("[params]\n", &format!("[params]\n{params}"));
    assert_eq!(code, 1);
    let text = std::fs::read_to_string(files.path("mine.toml")).unwrap();
    files.write("mine.toml", text.replacen("is = \"software\"", &format!("is = [{choices}\"software\"]"), 1));
    let ran = files.run("check DIR/mine.toml");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("combinations of parameters matter together"), "{}", ran.out);
}

#[test]
fn texts_cannot_control_a_terminal() {
    let (files, code) = changed("title = \"A", "title = \"\\u001b[2JA");
    assert_eq!(code, 1);
    assert!(!files.run("check DIR/mine.toml").out.contains('\u{1b}'));
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let files = Files::new();
    assert_eq!(files.run("dump ept --image DIR/@0 --root 0").code, 2);
    if cfg!(unix) {
        for image in ["/dev/zero", "/dev/zero@0"] {
            let ran = files.run(&format!("dump ept --image {image} --root 0"));
            assert!(ran.code == 2 && ran.err.contains("is no file"), "{}", ran.err);
        }
        let ran = files.run("check /dev/zero");
        assert!(ran.code == 2 && ran.err.contains("bytes are no format"), "{}", ran.err);
    }
}

#[test]
fn what_is_odd_about_a_question_is_said() {
    let files = Files::new();
    files.write("empty", []);
    files.write("page", [0; 0x1000]);
    for (question, remark) in [
        ("dump ept --image DIR/empty@0 --root 0", "`DIR/empty` is empty"),
        ("dump ept --image DIR/page@ffff_ffff_ffff_f001 --root 0", "reaches beyond the last of 2^64 addresses"),
        ("dump ept --image DIR/page@0 --root 8", "0x8 is not aligned to 4K"),
        ("dump stage1_4k --config 4k-small --image DIR/page@0 --root 40", "0x40 is not aligned to 128"),
        ("dump ept --image DIR/page@0 --root ffff_0000_0000_0000", "is beyond 0xf_ffff_ffff, the last address"),
        ("dump ept --image DIR/page@0x1g --root 0", "`0x1g` is no hexadecimal address"),
        ("explain ept 0 --set foo=1,bar=2", "there is no parameter `bar`"),
        ("explain ept 0 --set bar,pa_bits=3", "parameter `pa_bits` cannot be 3"),
    ] {
        let ran = files.run(question);
        assert!(ran.err.contains(remark), "{question}: {}", ran.err);
    }
    // A guest may have its root, of 16 entries, anywhere that is aligned to them.
    let ran = files.run("dump stage1_4k --config 4k-small --image DIR/page@0 --root 80");
    assert!(!ran.err.contains("aligned"), "{}", ran.err);
    let ran = files.run("walk sv --image DIR/page@0 --root 0 8000_0000_0000_0000");
    let halves = "from 0x0 to 0x3f_ffff_ffff and from 0xffff_ffc0_0000_0000 to 0xffff_ffff_ffff_ffff";
    assert!(ran.out.contains(halves), "{}", ran.out);
}

#[test]
fn a_table_of_pointers_to_itself_ends() {
    let files = Files::new();
    let mut image = Image::new(0x1000, 0x1000);
    (0..512).for_each(|index| image.entry(0x1000 + index * 8, 0x1007));
    files.write("raw", image.bytes);
    let ran = files.run("dump ept --image DIR/raw@1000 --root 1000");
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out.lines().count(), 1);
    assert!(ran.out.contains("loop"), "{}", ran.out);
}
