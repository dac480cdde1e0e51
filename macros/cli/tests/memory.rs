//! `walk` and `dump` on images of memory, sound and damaged.

mod common;

use common::{Files, Image, core_file, core_file_of, damaged_ept};

const EPT: &str = "ept --config server --root 0x1000_0000";

fn files() -> Files {
    let files = Files::new();
    files.write("ept.raw", damaged_ept().bytes);
    files
}

#[test]
fn mappings_and_defects_are_listed() {
    insta::assert_snapshot!(files().show(&format!("dump {EPT} --image DIR/ept.raw@10000000")));
}

#[test]
fn the_front_page_shows_what_is_listed() {
    let files = files();
    files.write("core.elf", core_file(&[&damaged_ept()]));
    let ran = files.run(&format!("dump {EPT} --image DIR/core.elf"));
    let front_page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    assert!(front_page.contains(&format!("{}{}", ran.out, ran.err)), "{}{}", ran.out, ran.err);
}

#[test]
fn tables_are_shown_as_a_tree() {
    insta::assert_snapshot!(files().show(&format!("dump {EPT} --image DIR/ept.raw@10000000 --tree")));
}

#[test]
fn programs_read_json() {
    let ran = files().run(&format!("dump {EPT} --image DIR/ept.raw@10000000 --json"));
    assert_eq!(ran.code, 1);
    let parsed: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 8);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn differences_are_shown() {
    let files = files();
    let mut other = damaged_ept();
    other.entry(0x1000_3008, 0);
    other.entry(0x1000_2008, 0x8000_00b3);
    other.entry(0x1000_2018, 0xa000_00b7);
    files.write("other.raw", other.bytes);
    insta::assert_snapshot!(
        files.show(&format!("dump {EPT} --image DIR/ept.raw@10000000 --diff DIR/other.raw@10000000"))
    );
    let same = files.run(&format!("dump {EPT} --image DIR/ept.raw@10000000 --diff DIR/ept.raw@10000000"));
    assert_eq!((same.code, same.out.as_str()), (0, ""));
    let json = files.run(&format!("dump {EPT} --image DIR/ept.raw@10000000 --diff DIR/other.raw@10000000 --json"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.out).unwrap().as_array().unwrap().len(), 3);
}

#[test]
fn accessed_and_dirty_count_if_they_are_asked_for() {
    let files = Files::new();
    let mut image = Image::new(0x1000, 0x4000);
    let tables = [(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007)];
    let pages = [(0x4000, 0x37), (0x4008, 0x1137), (0x4010, 0x2337)];
    tables.iter().chain(&pages).for_each(|(at, raw)| image.entry(*at, *raw));
    files.write("raw", image.bytes);
    let lines = |more: &str| {
        let ran = files.run(&format!("dump ept --config server --root 1000 --image DIR/raw@1000 {more}"));
        assert_eq!(ran.code, 0);
        ran.out.lines().count()
    };
    assert_eq!((lines(""), lines("--states")), (1, 3));
}

#[test]
fn a_walk_is_shown_step_by_step() {
    let files = files();
    let walk = |address: &str| files.show(&format!("walk {EPT} --image DIR/ept.raw@10000000 {address}"));
    let mapped_reserved_and_not = ["0x1234", "0x40_0008", "0x100_0000"].map(walk);
    // A table that is not there, one that is reached twice, and no input address.
    let odd = ["0x180_0000_0000", "0x100_0000_1234", "0x1_0000_0000_0000"].map(walk);
    insta::assert_snapshot!([mapped_reserved_and_not, odd].concat().join("\n----\n"));
}

#[test]
fn a_register_in_place_of_a_root_is_noticed() {
    let files = files();
    insta::assert_snapshot!(files.run("walk ept --image DIR/ept.raw@10000000 --root 1000001e 0").err);
}

#[test]
fn several_images_are_one_memory() {
    let files = files();
    let image = damaged_ept();
    for (index, part) in image.bytes.chunks(0x1000).enumerate() {
        files.write(&format!("part{index}"), part);
    }
    let whole = files.run(&format!("dump {EPT} --image DIR/ept.raw@10000000"));
    let parts = (0..4).map(|index| format!("--image DIR/part{index}@1000{index}000 ")).collect::<String>();
    assert_eq!(files.run(&format!("dump {EPT} {parts}")), whole);
    let halves = image.bytes.chunks(0x2000).zip([0x1000_0000, 0x1000_2000]);
    let halves: Vec<_> = halves.map(|(bytes, base)| Image { base, bytes: bytes.into() }).collect();
    files.write("core", core_file(&halves.iter().collect::<Vec<_>>()));
    assert_eq!(files.run(&format!("dump {EPT} --image DIR/core")), whole);
}

#[test]
fn images_that_disagree_are_noticed() {
    let files = files();
    let image = damaged_ept();
    // Three tables that begin with the second: the last word of the third differs, and no other that both have.
    let mut other = image.bytes[0x1000..].to_vec();
    other[0x1ff8] ^= 1;
    files.write("other.raw", &other);
    let overlapping = "--image DIR/ept.raw@10000000 --image DIR/other.raw@10001000";
    for command in ["dump", "walk"] {
        let line = format!("{command} {EPT} {overlapping} {}", if command == "walk" { "0x1234" } else { "" });
        let ran = files.run(&line);
        let warning =
            "warning: `DIR/ept.raw` and `DIR/other.raw` differ at 0x10002ff8, which both have: the first counts\n";
        assert!(ran.err.contains(warning), "{}", ran.err);
        let alone = files.run(&line.replace(" --image DIR/other.raw@10001000", ""));
        assert_eq!((ran.out, ran.code), (alone.out, alone.code));
    }
    // The other way round the difference counts; what agrees is not worth a word.
    let reversed = files.run(&format!("dump {EPT} --image DIR/other.raw@10001000 --image DIR/ept.raw@10000000"));
    assert!(reversed.err.contains("`DIR/other.raw` and `DIR/ept.raw` differ at 0x10002ff8"), "{}", reversed.err);
    files.write("same.raw", &image.bytes[0x1000..]);
    let same = files.run(&format!("dump {EPT} --image DIR/ept.raw@10000000 --image DIR/same.raw@10001000"));
    assert!(!same.err.contains("differ"), "{}", same.err);
    // A core file against a raw one, and images for --diff.
    files.write("core", core_file(&[&Image { base: 0x1000_1000, bytes: other }]));
    let core = format!("dump {EPT} --image DIR/core --image DIR/ept.raw@10000000");
    assert!(files.run(&core).err.contains("`DIR/core` and `DIR/ept.raw` differ at 0x10002ff8"));
    let diff = format!("dump {EPT} --image DIR/ept.raw@10000000 {}", overlapping.replace("--image", "--diff"));
    assert!(files.run(&diff).err.contains("differ at 0x10002ff8"));
}

#[test]
fn comparing_images_ends() {
    let files = files();
    // One that says many times over where its memory is.
    let part = Image { base: 0x1000_0000, bytes: vec![0; 1 << 20] };
    let mut core = core_file(&[&part; 3000]);
    core.truncate(64 + 56 * 3000 + (1 << 20));
    for header in 0..3000 {
        let offset = 64 + 56 * header + 8;
        core[offset..offset + 8].copy_from_slice(&(64 + 56 * 3000_u64).to_le_bytes());
    }
    files.write("core", core);
    let ran = files.run(&format!("walk {EPT} --image DIR/core 0x1234"));
    assert!(
        ran.err.contains("warning: images overlap in so many bytes that not all of these were compared\n"),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.matches("warning").count(), 1, "{}", ran.err);
}

#[test]
fn a_segment_larger_than_its_memory_is_damage() {
    let files = files();
    let mut core = core_file(&[&damaged_ept()]);
    // p_memsz of the first program header.
    core[64 + 40..64 + 48].copy_from_slice(&0x1000_u64.to_le_bytes());
    files.write("core", core);
    let ran = files.run(&format!("dump {EPT} --image DIR/core"));
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("the segment at 0x10000000 is larger than its memory"), "{}", ran.err);
}

#[test]
fn a_core_file_that_was_cut_short_is_noticed() {
    let files = files();
    let mut core = core_file(&[&damaged_ept()]);
    core.truncate(core.len() - 0x1004);
    files.write("core", core);
    let ran = files.run(&format!("dump {EPT} --image DIR/core"));
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cut short: 0x1004 bytes of the segment at 0x10000000 are missing"), "{}", ran.err);
    assert!(ran.out.contains("no image has the table: level 0, entry at 0x10003000"), "{}", ran.out);
}

#[test]
fn entries_are_read_in_the_order_of_bytes_that_the_file_says() {
    let files = files();
    files.write("big.toml", "[format]\nextends = \"ept\"\nbyte_order = \"big\"\n");
    let mut image = damaged_ept();
    image.bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|word| word.reverse());
    files.write("big.raw", &image.bytes);
    files.write("big-core", core_file_of(true, &[&image]));
    for (command, more) in [("dump", ""), ("dump", "--tree"), ("walk", "0x1234")] {
        let ran = |format, image| {
            let line = format!("{command} {format} --config server --root 0x1000_0000 --image DIR/{image} {more}");
            files.run(&line).out
        };
        let wanted = ran("ept", "ept.raw@10000000");
        assert!(wanted.lines().count() > 4, "{wanted}");
        for image in ["big.raw@10000000", "big-core"] {
            assert_eq!(ran("DIR/big.toml", image), wanted);
        }
    }
}

#[test]
fn what_is_no_memory_is_told_from_what_is() {
    let files = files();
    files.write("kdump", b"KDUMP   \x06");
    let mut program = core_file(&[&damaged_ept()]);
    program[16] = 2;
    files.write("program", &program);
    files.write("empty-core", core_file(&[]));
    files.write("process", core_file(&[&Image::new(0, 64), &Image::new(0, 64)]));
    let mut headers = core_file(&[&damaged_ept()]);
    headers.truncate(80);
    files.write("headers", headers);
    let images = ["none.raw@0", "ept.raw", "kdump", "program", "empty-core", "process", "headers", ""];
    let told = images.map(|image| files.show(&format!("dump {EPT} --image DIR/{image}")));
    insta::assert_snapshot!(told.join("\n----\n"));
}

#[test]
fn questions_that_make_no_sense_are_told() {
    let lines = ["dump ept --root 0", "dump ept --image DIR/x@0", "dump ept --image x@0 --root 0 --tree --json"];
    let files = files();
    insta::assert_snapshot!(lines.map(|line| files.show(line)).join("\n----\n"));
}

/// Two tables of 32-bit paging, of 1024 entries each; the image ends with them.
#[test]
fn entries_of_32_bits_are_listed_and_walked() {
    let files = files();
    let mut image = vec![0; 0x2000];
    let mut put = |offset: usize, raw: u32| image[offset..offset + 4].copy_from_slice(&raw.to_le_bytes());
    put(0, 0x10_1007);
    // 4 MiB above 4 GiB, and the highest entry: a page table of its own, which is not there.
    put(4, 0x1240_2083);
    put(0xffc, 0x20_0003);
    for page in 0..1024 {
        put(0x1000 + 4 * page, if page == 5 { 0 } else { 0x40_0005 | (page as u32) << 12 });
    }
    files.write("legacy.raw", &image);
    let commands =
        ["dump legacy", "dump legacy --tree", "walk legacy 0x3123", "walk legacy 0x40_0123", "walk legacy 0x5123"];
    let told = commands.map(|command| {
        files.show(&format!("{command} --config wide-blocks --root 0x10_0000 --image DIR/legacy.raw@100000"))
    });
    insta::assert_snapshot!(told.join("\n----\n"));
    let wide = files.show("explain legacy 0x1_1234_5007");
    assert!(wide.contains("an entry has 32 bits"), "{wide}");
}
