//! Law 9: random programs, compared with the model after each step.

use proptest::prelude::*;
use tablewright::{Attributes, Change, ClosedRange, Error, Format, MemoryType, Rights, State};

use crate::{
    rig::{Rig, attributes, canonical, range},
    witness::{BREAKING, DIRECT, FLAT, FULL, LARGE, SIGNED, STATELESS, WIDE, Witness},
};

/// A step; places and lengths are scaled to the format when it is run, and flavours are numbers among those it has.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Map { at: Place, output: u64, flavour: usize },
    Remap { at: Place, output: u64, flavour: usize },
    Unmap(Place),
    Protect { at: Place, rights: Option<usize>, memory: Option<usize> },
    Populate { at: Place, flavour: usize, largest: u8 },
    Depopulate(Place),
    Harvest { at: Place, dirty: bool },
    SplitTo { at: Place, size: u8 },
    Collapse(Place),
    Move { at: Place, to: Place },
    Enlarge { at: Place, largest: u8 },
}

#[derive(Clone, Debug)]
pub(crate) struct Place {
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

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let output = prop_oneof![Just(0_u64), Just(1_u64 << 9), Just(1_u64 << 4), 0_u64..1 << 18];
    prop_oneof![
        4 => (place(), output, any::<usize>()).prop_map(|(at, output, flavour)| Step::Map { at, output, flavour }),
        3 => place().prop_map(Step::Unmap),
        3 => (place(), any::<Option<usize>>(), any::<Option<usize>>())
            .prop_map(|(at, rights, memory)| Step::Protect { at, rights, memory }),
        2 => (place(), any::<usize>(), 12_u8..24)
            .prop_map(|(at, flavour, largest)| Step::Populate { at, flavour, largest }),
        2 => place().prop_map(Step::Depopulate),
        2 => (place(), 0_u64..1 << 18, any::<usize>())
            .prop_map(|(at, output, flavour)| Step::Remap { at, output, flavour }),
        1 => (place(), 12_u8..24).prop_map(|(at, size)| Step::SplitTo { at, size }),
        2 => place().prop_map(Step::Collapse),
        3 => (place(), place()).prop_map(|(at, to)| Step::Move { at, to }),
        1 => (place(), 12_u8..26).prop_map(|(at, largest)| Step::Enlarge { at, largest }),
        2 => (place(), any::<bool>()).prop_map(|(at, dirty)| Step::Harvest { at, dirty }),
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
        range(all[0].start() + base + (page << bits), pages << bits)
    }
}

/// The attributes that a format can say, as it reads them back.
pub(crate) fn flavours<F: Format>(format: &F) -> Vec<Attributes> {
    // Stage 1 may tell user from privileged mode, and what user mode executes from what privileged mode does.
    let privileged = Rights::PR | Rights::PW | Rights::PX;
    let rights = [Rights::RW, Rights::R, Rights::RX, Rights::RWX, Rights::RW | Rights::UX, privileged, Rights::PR];
    let memory = [
        MemoryType::WriteBack,
        MemoryType::NonCacheable,
        MemoryType::Uncached,
        MemoryType::DeviceNGnRE,
        MemoryType::Inherit,
    ];
    let all = rights.iter().flat_map(|&rights| memory.map(|memory| Attributes { memory, ..attributes(rights) }));
    let plain = |attributes| Attributes { accessed: false, dirty: false, ..attributes };
    all.filter_map(|attributes| canonical(format, &attributes).map(plain)).collect()
}

fn run<F: Format>(format: F, steps: &[Step]) {
    run_on(Rig::new(format), steps);
}

/// Runs the steps, and checks everything after each.
pub(crate) fn run_on<F: Format>(mut rig: Rig<F>, steps: &[Step]) {
    let flavours = flavours(rig.table.format());
    let flavour = |number: usize| flavours[number % flavours.len()];
    // The upper half of the output addresses.
    let output_mask = rig.table.geometry().last_output() >> 1;
    for step in steps {
        match step {
            Step::Map { at, output, flavour: number } => {
                let range = at.range(&rig, false);
                let oa = output_mask + 1 + (range.start() & output_mask >> 1) + (output << F::PAGE_BITS);
                let _ = rig.map(range, oa, flavour(*number));
            }
            Step::Remap { at, output, flavour: number } => {
                let (ia, oa) = (at.range(&rig, false).start(), output_mask + 1 + (output << F::PAGE_BITS));
                let result = rig.remap(ia, oa, flavour(*number));
                // Some attributes are those of pages only.
                assert!(matches!(result, Ok(_) | Err(Error::Refused { .. })), "{result:?}");
            }
            Step::Unmap(at) => rig.unmap(at.range(&rig, false)).unwrap(),
            Step::Protect { at, rights, memory } => {
                let owned = at.window == 2;
                let rights = rights.map(|number| flavour(number).rights);
                let memory = memory.map(|number| flavour(number).memory);
                rig.protect(at.range(&rig, owned), Change { rights, memory, options: None }).unwrap();
            }
            Step::Populate { at, flavour: number, largest } => {
                let result = rig.populate(at.range(&rig, true), flavour(*number), *largest);
                assert!(matches!(result, Ok(()) | Err(Error::NoMemory { .. })), "{result:?}");
            }
            Step::Depopulate(at) => rig.depopulate(at.range(&rig, true)).unwrap(),
            Step::SplitTo { at, size } => {
                let result = rig.split_to(at.range(&rig, at.window == 2), *size);
                assert!(matches!(result, Ok(()) | Err(Error::NoMemory { .. })), "{result:?}");
            }
            Step::Collapse(at) => rig.collapse(at.range(&rig, false)).unwrap(),
            Step::Enlarge { at, largest } => {
                rig.enlarge(at.range(&rig, true), *largest).unwrap();
            }
            Step::Move { at, to } => {
                // What is populated stays in its half.
                let owned = at.window == 2;
                let to = Place { pages: at.pages, align: at.align, ..to.clone() }.range(&rig, owned).start();
                let result = rig.move_range(at.range(&rig, owned), to);
                let refused = matches!(result, Err(Error::NoMemory { .. } | Error::Refused { .. }));
                let taken = matches!(result, Err(Error::Overlap(_) | Error::AlreadyMapped { .. }));
                assert!(result.is_ok() || refused || taken, "{result:?}");
            }
            Step::Harvest { at, dirty } => {
                let state = if *dirty { State::Dirty } else { State::Accessed };
                let result = rig.harvest(state, at.range(&rig, at.window == 2));
                assert!(matches!(result, Ok(()) | Err(Error::Refused { .. })), "{result:?}");
            }
        }
        rig.check();
    }
    let owned = rig.everything()[0];
    rig.depopulate(range(owned.start(), (owned.span() >> 1) + 1)).unwrap();
    assert_eq!(rig.owned, 0);
    rig.end_of_life();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

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
    fn break_before_make_for_rights(steps in prop::collection::vec(step(), 1..60)) {
        run(Witness { rights_break: true, hardware: true, ..BREAKING }, &steps);
    }

    #[test]
    fn no_states(steps in prop::collection::vec(step(), 1..60)) {
        run(STATELESS, &steps);
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
