//! Law 9: random programs, step by step against the model.

use proptest::prelude::*;
use tablewright::{Change, ClosedRange, Format, MemoryType, Rights};

use crate::{
    rig::{Rig, attributes, range},
    witness::{BREAKING, DIRECT, FLAT, FULL, LARGE, SIGNED, WIDE},
};

/// A step; places and lengths are scaled to the format when it is run.
#[derive(Clone, Debug)]
enum Step {
    Map { at: Place, output: u64, rights: Rights },
    Unmap(Place),
    Protect { at: Place, rights: Option<Rights>, memory: Option<MemoryType> },
    Populate { at: Place, rights: Rights, largest: u8 },
    Depopulate(Place),
}

#[derive(Clone, Debug)]
struct Place {
    window: usize,
    page: u64,
    pages: u64,
    /// log2 of the pages that both are multiples of.
    align: u8,
}

fn place() -> impl Strategy<Value = Place> {
    let pages = prop_oneof![4 => 1_u64..40, 2 => 400_u64..1100, 1 => 1024_u64..4096];
    let align = prop_oneof![2 => Just(0_u8), 1 => Just(4_u8), 2 => Just(9_u8), 1 => Just(11_u8)];
    let page = prop_oneof![1 => 0_u64..64, 2 => 0_u64..3000];
    (0..3_usize, page, pages, align).prop_map(|(window, page, pages, align)| Place { window, page, pages, align })
}

fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![Just(Rights::R), Just(Rights::RW), Just(Rights::RX), Just(Rights::RWX)]
}

fn memory() -> impl Strategy<Value = MemoryType> {
    prop_oneof![Just(MemoryType::WriteBack), Just(MemoryType::NonCacheable), Just(MemoryType::DeviceNGnRE)]
}

fn step() -> impl Strategy<Value = Step> {
    let output = prop_oneof![Just(0_u64), Just(1_u64 << 9), Just(1_u64 << 4), 0_u64..1 << 18];
    prop_oneof![
        4 => (place(), output, rights()).prop_map(|(at, output, rights)| Step::Map { at, output, rights }),
        3 => place().prop_map(Step::Unmap),
        3 => (place(), prop::option::of(rights()), prop::option::of(memory()))
            .prop_map(|(at, rights, memory)| Step::Protect { at, rights, memory }),
        2 => (place(), rights(), 12_u8..24).prop_map(|(at, rights, largest)| Step::Populate { at, rights, largest }),
        2 => place().prop_map(Step::Depopulate),
    ]
}

impl Place {
    /// The range. The lower half of the lowest addresses is for what `populate` maps, the upper half and the end of the
    /// space (window 1) for what `map` does.
    fn range<F: Format>(&self, rig: &Rig<F>, owned: bool) -> ClosedRange {
        let bits = u32::from(F::PAGE_BITS);
        let all = rig.everything();
        let half = (all[0].span() >> 1 >> bits) + 1;
        let align = |pages: u64| pages >> self.align << self.align;
        let pages = align(self.pages).clamp(1, half.min(8192));
        let page = align(self.page).min(half - pages);
        if !owned && self.window == 1 {
            let last = rig.end() - (page << bits);
            return ClosedRange::new(last - ((pages << bits) - 1), last).unwrap();
        }
        let base = if owned { 0 } else { half << bits };
        range(base + (page << bits), pages << bits)
    }
}

fn run<F: Format>(format: F, steps: &[Step]) {
    let mut rig = Rig::new(format);
    for step in steps {
        match step {
            Step::Map { at, output, rights } => {
                let range = at.range(&rig, false);
                let oa = (1 << 40) + (range.start() & 0xff_ffff_ffff) + (output << F::PAGE_BITS);
                let _ = rig.map(range, oa, attributes(*rights));
            }
            Step::Unmap(at) => rig.unmap(at.range(&rig, false)).unwrap(),
            Step::Protect { at, rights, memory } => {
                let owned = at.window == 2;
                let change = Change { rights: *rights, memory: *memory, options: None };
                rig.protect(at.range(&rig, owned), change).unwrap();
            }
            Step::Populate { at, rights, largest } => {
                rig.populate(at.range(&rig, true), attributes(*rights), *largest).unwrap();
            }
            Step::Depopulate(at) => rig.depopulate(at.range(&rig, true)).unwrap(),
        }
        rig.check();
    }
    let owned = rig.everything()[0];
    rig.depopulate(range(0, (owned.span() >> 1) + 1)).unwrap();
    assert_eq!(rig.owned, 0);
    rig.end_of_life();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn direct_edits(steps in prop::collection::vec(step(), 1..60)) {
        run(DIRECT, &steps);
    }

    #[test]
    fn wide_root_and_shared_runs(steps in prop::collection::vec(step(), 1..60)) {
        run(WIDE, &steps);
    }

    #[test]
    fn break_before_make(steps in prop::collection::vec(step(), 1..60)) {
        run(BREAKING, &steps);
    }

    #[test]
    fn larger_granule(steps in prop::collection::vec(step(), 1..30)) {
        run(LARGE, &steps);
    }

    #[test]
    fn full_space(steps in prop::collection::vec(step(), 1..40)) {
        run(FULL, &steps);
    }

    #[test]
    fn sign_extended(steps in prop::collection::vec(step(), 1..40)) {
        run(SIGNED, &steps);
    }

    #[test]
    fn single_level(steps in prop::collection::vec(step(), 1..40)) {
        run(FLAT, &steps);
    }
}
