//! Compares generated code with the interpreter under parameters that no `[[config]]` names: under legal ones they must
//! agree in everything, and both must refuse illegal ones.

use fastrand::Rng;
use tablewright::{Attributes, ByName, ConfigError, Format, MemoryType, Rights, WalkError, walk};
use tablewright_archdefs::bound::{BindError, Bound, Params, legal_params};
use tablewright_archdefs::interpret::{self, Walk};
use tablewright_archdefs::model::{self, At, Build, Facts};
use tablewright_archdefs::{Span, read_builtin};
use tablewright_tests::laws::{Case, Generated, Interpreted, LAWS};

/// How many legal combinations of parameters are tried for each build.
const LEGAL: usize = 24;
/// How many combinations with one parameter changed at random.
const CHANGED: usize = 2_000;
/// How many walks through tables of random words.
const WALKS: usize = 2_000;

fn agrees<F: ByName>(name: &str, build: Option<&str>, make: impl Fn(&Params) -> Result<Generated<F>, ConfigError>) {
    let format = read_builtin(name).expect("it is built in").1.expect("it has no mistakes");
    let build = build.map(|name| format.builds.iter().find(|build| build.name.value == name).expect("it is a build"));
    // There are more than can be gone through: let this build have all of them.
    let of_build = model::Format { builds: build.cloned().into_iter().collect(), ..format.clone() };
    let legal: Vec<_> = legal_params(&of_build).collect();
    let mut random = Rng::with_seed(1);
    for _ in 0..LEGAL {
        let params = &legal[random.usize(..legal.len())];
        let generated = make(params).unwrap_or_else(|error| panic!("{params}: {error}"));
        let bound = Bound::new(&format, params).expect("it is legal");
        strips(params, &bound, &generated.format);
        walks(params, &bound, &generated.format, &mut random);
        compare(&format, params, &Interpreted(bound), &generated);
    }
    let free: Vec<_> = legal[0].iter().map(|(name, _)| name.to_owned()).filter(|name| !sets(build, name)).collect();
    for _ in 0..CHANGED {
        let mut params = legal[random.usize(..legal.len())].clone();
        let name = &free[random.usize(..free.len())];
        let flag = format.params.iter().any(|param| param.name.value == *name && param.domain == model::Domain::Bool);
        params.set(name, random.i64(0..if flag { 2 } else { 70 })).expect("it is a parameter");
        let generated = make(&params).map_or_else(|error| of_generated(&error), |_| "legal".into());
        let interpreted = Bound::new(&format, &params).map_or_else(|error| of_interpreted(&error), |_| "legal".into());
        assert_eq!(generated, interpreted, "{params}");
    }
}

/// What generated code says about parameters.
fn of_generated(error: &ConfigError) -> String {
    match error {
        ConfigError::Value { .. } | ConfigError::Root { .. } | ConfigError::RootNeeds { .. } => error.to_string(),
        ConfigError::Unavailable { .. } => "a parameter is not available".into(),
        ConfigError::Rule(_) => "a rule is broken".into(),
    }
}

/// What the interpreter says about them, in the same form.
fn of_interpreted(error: &BindError) -> String {
    match error {
        BindError::Unavailable { .. } => "a parameter is not available".into(),
        BindError::Rule(_) => "a rule is broken".into(),
        error => error.to_string(),
    }
}

fn sets(build: Option<&Build>, name: &str) -> bool {
    build.is_some_and(|build| build.set.iter().any(|(set, _)| set.value == name))
}

/// The laws that compare one with the other.
fn compare<F: ByName>(format: &model::Format, params: &Params, reference: &Interpreted, subject: &Generated<F>) {
    let id = At { value: "at random".to_owned(), span: Span::default() };
    let page_sizes = At { value: Vec::new(), span: Span::default() };
    let config = model::Config { id, set: Vec::new(), page_sizes };
    let case = Case { subject, reference, format, config: &config };
    for law in LAWS.iter().filter(|law| ["agreement", "live_edits"].contains(&law.name)) {
        if let Err(why) = (law.check)(&case) {
            panic!("{}: {params}: {why}", law.name);
        }
    }
}

/// Strips of many items, around every address bit: wherever adding would carry into bits that stand elsewhere in the
/// entry, they must end.
fn strips<F: Format>(params: &Params, bound: &Bound, format: &F) {
    let geometry = format.geometry();
    let attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
    let wanted = interpret::Attributes {
        facts: Facts::all() - Facts::PX - Facts::UX,
        memory: model::MemoryType::WriteBack,
        options: 0,
    };
    for level in 0..geometry.levels {
        let size = geometry.entry_bits(level);
        let Ok(leaf) = format.prototype(level, size, &attributes) else { continue };
        for bit in size + 1..=geometry.output_bits {
            let last = if bit == 64 { u64::MAX } else { (1 << bit) - 1 };
            let oa = (last >> size).saturating_sub(1) << size;
            let left = ((geometry.last_output() - oa) >> size) + 1;
            let strip = format.strip(leaf, oa, left.min(8) as usize);
            assert!(strip.items > 0, "{params}: no item at {oa:#x}");
            for item in 0..strip.items as u64 {
                let found = strip.first + item * strip.step;
                let address = oa + (item << size);
                let wanted = bound.encode_leaf(level, size, address, &wanted).expect("the prototype exists")[0];
                assert_eq!(found, wanted, "{params}: item {item} of the strip at {oa:#x}, level {level}");
            }
        }
    }
}

/// Walks through tables of random words end alike.
fn walks<F: Format>(params: &Params, bound: &Bound, format: &F, random: &mut Rng) {
    let geometry = format.geometry();
    for _ in 0..WALKS {
        let ia = random.u64(..) & random.u64(..) & geometry.last_input();
        let root = random.u64(..) & geometry.last_output();
        let seed = random.u64(..);
        // Random words seldom lead anywhere: start from entries that do.
        let read = |address: u64| {
            let mut word = Rng::with_seed(seed ^ address);
            let level = word.u8(..geometry.levels);
            let table = format.table(level, word.u64(..) & geometry.last_output() >> 16 << 16).unwrap_or_default();
            match word.u8(..8) {
                0 => Some(word.u64(..)),
                1 => None,
                2 => Some(table | 1 << word.u8(..64)),
                _ => Some(table),
            }
        };
        let found = walk(format, root, ia, read, |_| {});
        let wanted = bound.walk(root, ia, read);
        let same = match (&found, &wanted) {
            (Ok(found), Walk::Translated(wanted)) => {
                let rights = Rights::from_bits_truncate(wanted.facts.bits());
                (found.address, found.level, found.size, found.attributes.rights)
                    == (wanted.address, wanted.level, wanted.size, rights)
            }
            (Err(WalkError::NotMapped { level: found }), Walk::NotMapped { level: wanted }) => found == wanted,
            (Err(WalkError::Reserved { level: found, .. }), Walk::Reserved { level: wanted, .. }) => found == wanted,
            (Err(WalkError::Unreadable { address: found }), Walk::ReadFailed { address: wanted, .. }) => {
                found == wanted
            }
            (Err(WalkError::Input), Walk::InputTooWide) => true,
            _ => false,
        };
        assert!(same, "{params}: {ia:#x}: {found:x?}, not {wanted:x?}");
    }
}

macro_rules! differential {
    ($($test:ident: $($module:ident)::+, $format:literal, $build:expr;)*) => {$(
        #[test]
        fn $test() {
            agrees($format, $build, |params| {
                let made = tablewright_tests::generated!($($module)::+, params);
                // A parameter that is never available in this build.
                made.unwrap_or(Err(ConfigError::Unavailable { param: "", condition: "false" }))
            });
        }
    )*};
}

differential! {
    ept: tablewright::x86_64::ept, "ept", None;
    npt: tablewright::x86_64::npt, "npt", None;
    long_mode: tablewright::x86_64::long_mode, "long_mode", None;
    pae: tablewright::x86_64::pae, "pae", None;
    legacy: tablewright::x86_64::legacy, "legacy", None;
    vtd_first_stage: tablewright::x86_64::vtd_first_stage, "vtd_first_stage", None;
    vtd_second_stage: tablewright::x86_64::vtd_second_stage, "vtd_second_stage", None;
    amd_iommu_v1: tablewright::x86_64::amd_iommu_v1, "amd_iommu_v1", None;
    stage2_4k: tablewright::aarch64::stage2_4k, "stage2", Some("stage2_4k");
    stage2_16k: tablewright::aarch64::stage2_16k, "stage2", Some("stage2_16k");
    stage2_64k: tablewright::aarch64::stage2_64k, "stage2", Some("stage2_64k");
    stage1_4k: tablewright::aarch64::stage1_4k, "stage1", Some("stage1_4k");
    stage1_16k: tablewright::aarch64::stage1_16k, "stage1", Some("stage1_16k");
    stage1_64k: tablewright::aarch64::stage1_64k, "stage1", Some("stage1_64k");
    stage1_el2_4k: tablewright::aarch64::stage1_el2_4k, "stage1_el2", Some("stage1_el2_4k");
    stage1_el2_16k: tablewright::aarch64::stage1_el2_16k, "stage1_el2", Some("stage1_el2_16k");
    stage1_el2_64k: tablewright::aarch64::stage1_el2_64k, "stage1_el2", Some("stage1_el2_64k");
    smmu_v3_4k: tablewright::aarch64::smmu_v3_4k, "smmu_v3", Some("smmu_v3_4k");
    smmu_v3_16k: tablewright::aarch64::smmu_v3_16k, "smmu_v3", Some("smmu_v3_16k");
    smmu_v3_64k: tablewright::aarch64::smmu_v3_64k, "smmu_v3", Some("smmu_v3_64k");
    loongarch64_4k: tablewright::loongarch64::loongarch64_4k, "loongarch64", Some("loongarch64_4k");
    loongarch64_16k: tablewright::loongarch64::loongarch64_16k, "loongarch64", Some("loongarch64_16k");
    loongarch64_64k: tablewright::loongarch64::loongarch64_64k, "loongarch64", Some("loongarch64_64k");
    riscv_iommu: tablewright::riscv64::riscv_iommu, "riscv_iommu", None;
    riscv_iommu_first_stage: tablewright::riscv64::riscv_iommu_first_stage, "riscv_iommu_first_stage", None;
    sv: tablewright::riscv64::sv, "sv", None;
    sv32: tablewright::riscv64::sv32, "sv32", None;
    sv_x4: tablewright::riscv64::sv_x4, "sv_x4", None;
}
