//! The formats that the tests run in: by hand and built in, the latter with an MMU that walks by their files.

use tablewright::{
    Format,
    aarch64::{stage2_4k, stage2_16k, stage2_64k},
    riscv64::sv_x4,
    sim::built_in,
    x86_64::ept,
};

use crate::rig::Rig;

/// A guest in a built-in format, configured as a row of its file says.
fn built<F: Format>(
    file: &str,
    row: &str,
    mut config: F::Config,
    set: impl Fn(&mut F::Config, &str, i64) -> bool,
) -> Rig<F> {
    let bound = built_in(file, row).expect("such a row");
    for (name, value) in bound.params.iter() {
        assert!(set(&mut config, name, value), "{name} cannot be {value}");
    }
    Rig::new(F::new(&config).expect("a legal configuration")).with_mmu(bound)
}

pub(crate) fn ept(row: &str) -> Rig<ept::Format> {
    built("ept", row, ept::Config::new(4, 48), ept::Config::set)
}

pub(crate) fn stage2_4k(row: &str) -> Rig<stage2_4k::Format> {
    built("stage2", row, stage2_4k::Config::new(4, 48), stage2_4k::Config::set)
}

pub(crate) fn stage2_16k(row: &str) -> Rig<stage2_16k::Format> {
    built("stage2", row, stage2_16k::Config::new(3, 40), stage2_16k::Config::set)
}

pub(crate) fn stage2_64k(row: &str) -> Rig<stage2_64k::Format> {
    built("stage2", row, stage2_64k::Config::new(2, 42), stage2_64k::Config::set)
}

pub(crate) fn sv_x4(row: &str) -> Rig<sv_x4::Format> {
    built("sv_x4", row, sv_x4::Config::new(3, 41), sv_x4::Config::set)
}

/// Makes a test of each function `fn(Rig<F>)` for each family of formats.
macro_rules! in_every_format {
    ($($test:ident)*) => {
        mod by_hand {
            use crate::{rig::Rig, witness::{BREAKING, DIRECT, LARGE, WIDE}};
            $(
                #[test]
                fn $test() {
                    super::$test(Rig::new(DIRECT));
                    super::$test(Rig::new(WIDE));
                    super::$test(Rig::new(BREAKING));
                    super::$test(Rig::new(LARGE));
                }
            )*
        }
        mod ept {
            use crate::formats::ept;
            $(
                #[test]
                fn $test() {
                    super::$test(ept("baseline"));
                    super::$test(ept("server"));
                    super::$test(ept("five-level"));
                }
            )*
        }
        mod stage2 {
            use crate::formats::{stage2_4k, stage2_16k, stage2_64k};
            $(
                #[test]
                fn $test() {
                    super::$test(stage2_4k("4k-40"));
                    super::$test(stage2_4k("4k-48"));
                    super::$test(stage2_16k("16k-40"));
                    super::$test(stage2_64k("64k-42"));
                }
            )*
        }
        mod sv_x4 {
            use crate::formats::sv_x4;
            $(
                #[test]
                fn $test() {
                    super::$test(sv_x4("sv39x4"));
                    super::$test(sv_x4("sv48x4"));
                    super::$test(sv_x4("sv57x4-rich"));
                }
            )*
        }
    };
}
pub(crate) use in_every_format;
