//! What is said of entries and registers is complete, and agrees with what they mean.

mod common;

use common::{bound, format};
use proptest::prelude::*;
use tablewright_archdefs::BUILTINS;
use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::interpret::Decoded;
use tablewright_archdefs::model::{Example, Format};

/// Every configuration of every built-in format, with the format.
fn cases() -> Vec<(Format, Vec<(String, Bound)>)> {
    let bind = |(name, _): &(&str, &str)| {
        let format = format(name);
        let of = |id: &str| Bound::new(&format, &Params::named(&format, id).unwrap()).unwrap();
        let configs = format.configs.iter().map(|config| (config.id.value.clone(), of(&config.id.value))).collect();
        (format, configs)
    };
    BUILTINS.iter().map(bind).collect()
}

/// Each bit has one owner, and an entry is refused for a reason exactly if it is reserved.
fn is_explained(format: &Format, bound: &Bound, raw: u64) {
    let raw = raw & bound.word.mask();
    for level in 0..bound.geometry.levels {
        let report = bound.explain(format, level, raw);
        let context = || format!("{raw:#x} at level {level} under {}: {report:#?}", bound.params);
        assert_eq!(report.decoded, bound.decode(level, raw), "{}", context());
        let mut owned = 0;
        for part in &report.parts {
            assert_eq!(owned & part.bits, 0, "{}", context());
            owned |= part.bits;
        }
        match &report.decoded {
            Decoded::Table(_) | Decoded::Leaf(_) => {
                assert_eq!(owned, bound.word.mask(), "{}", context());
                assert!(report.refusals.is_empty(), "{}", context());
            }
            Decoded::Invalid => assert!(report.refusals.is_empty(), "{}", context()),
            Decoded::Reserved(rule) => {
                let said = report.refusals.iter().any(|refusal| refusal.rule.contains(&format!("`{rule}`")));
                assert!(said, "{}", context());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_entry_is_explained(raw in any::<u64>(), low in 0..4096_u64) {
        for (format, configs) in cases() {
            for (_, bound) in &configs {
                is_explained(&format, bound, raw);
                is_explained(&format, bound, low);
            }
        }
    }
}

#[test]
fn examples_of_the_manuals_are_explained() {
    for (format, configs) in cases() {
        for example in &format.examples {
            if let Example::Entry(example) = example {
                let (_, bound) = configs.iter().find(|(id, _)| *id == example.config.value).unwrap();
                is_explained(&format, bound, example.raw);
                for bit in 0..64 {
                    is_explained(&format, bound, example.raw ^ 1 << bit);
                }
            }
        }
    }
}

#[test]
fn roots_and_tags_are_found_in_registers() {
    let mut count = 0;
    for (format, configs) in cases() {
        for example in &format.examples {
            let Example::Register(example) = example else { continue };
            let (_, bound) = configs.iter().find(|(id, _)| *id == example.config.value).unwrap();
            let report = bound.explain_register(&example.register.value, example.raw).unwrap().unwrap();
            assert!(report.agrees(), "{:#x} in {}: {report:#?}", example.raw, example.register.value);
            assert_eq!(report.root.unwrap_or(example.root), example.root, "{report:#?}");
            assert_eq!(report.tag.unwrap_or(example.tag), example.tag, "{report:#?}");
            count += 1;
        }
    }
    assert!(count > 20);
}

#[test]
fn a_register_of_other_parameters_does_not_agree() {
    let report = bound("ept", "baseline").explain_register("eptp", 0x1234_505e).unwrap().unwrap();
    let wrong: Vec<_> = report.parts.iter().filter(|part| !part.agrees()).map(|part| part.name.as_str()).collect();
    assert_eq!(wrong, ["access_dirty"]);
    assert_eq!(report.root, Some(0x1234_5000));
    let stray = bound("ept", "baseline").explain_register("eptp", 0x8000_0000_1234_501e).unwrap().unwrap();
    assert_eq!(stray.others, 1 << 63);
    assert!(!stray.agrees());
}

#[test]
fn what_a_completion_writes_is_found_in_its_command() {
    let mut count = 0;
    for (_, configs) in cases() {
        for (id, bound) in configs {
            for completion in bound.completions() {
                let numbers = || (0..64).map(|bit| 1 << bit).chain([0, 0x0123_4567_89ab_cdef, u64::MAX]);
                for (address, data) in numbers().map(|n| (n, 7)).chain(numbers().map(|n| (0x1000, n))) {
                    let record =
                        completion.record.map(|record| (address & record.address_mask(), data & record.last_data()));
                    let (address, data) = record.unwrap_or((0, 0));
                    let Ok(words) = bound.completion(completion.signal, address, data) else { continue };
                    let report = bound.explain_completion(&words).expect("it is one");
                    assert_eq!((&report.completion.id.value, report.record), (&completion.id.value, record), "{id}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 1000);
}
