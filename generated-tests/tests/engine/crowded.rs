//! Random programs on few tables, which are full of small things: pages whose frames are in no order, runs and holes among
//! them; with one gather for many operations, and with no frame left.

use std::ops::Range;

use fastrand::Rng;
use proptest::prelude::*;
use tablewright::{
    Attributes, Change, ClosedRange, Error, Format, Hal, HostPhysAddr,
    sim::{Machine, Rules},
};
use tablewright_archdefs::bound::Bound;

use crate::{
    random::flavours,
    rig::{Rig, range},
    witness::{BREAKING, DIRECT, FLAT, FULL, LARGE, SIGNED, STATELESS, WIDE},
};

/// A range of pages, scaled to the format when a step is run.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    page: u64,
    pages: u64,
    /// In other tables.
    far: bool,
    /// Instead, what was filled last on this side, but for so many pages at its ends.
    within: Option<[u64; 2]>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Populates pages one by one, in some order; of eight, so many.
    Scatter {
        at: Place,
        seed: u64,
        of_eight: u8,
        flavour: usize,
    },
    Populate {
        at: Place,
        flavour: usize,
        largest: u8,
    },
    Depopulate(Place),
    /// Maps pages, runs and blocks, with holes.
    Furnish {
        at: Place,
        seed: u64,
        flavour: usize,
    },
    Unmap(Place),
    Move {
        at: Place,
        to: Place,
        owned: bool,
    },
    Protect {
        at: Place,
        flavour: usize,
        owned: bool,
    },
    Collapse(Place),
    Settle,
    /// Takes all frames that are left, or gives them back.
    Starve(bool),
}

fn place() -> impl Strategy<Value = Place> {
    let page = prop_oneof![
        (0..12_u64).prop_map(|run| run * 16),
        0_u64..200,
        (0..5_u64).prop_map(|table| table * 512),
        0_u64..1600
    ];
    let pages = prop_oneof![1_u64..40, (1..12_u64).prop_map(|runs| runs * 16), 33_u64..700, Just(512_u64)];
    let far = prop_oneof![3 => Just(false), 1 => Just(true)];
    (page, pages, far).prop_map(|(page, pages, far)| Place { page, pages, far, within: None })
}

/// In half of the cases, about where something was filled last.
fn used() -> impl Strategy<Value = Place> {
    let less = || prop_oneof![Just(0_u64), 1_u64..20, 1_u64..300];
    (place(), prop::option::of([less(), less()])).prop_map(|(place, within)| Place { within, ..place })
}

fn step() -> impl Strategy<Value = Step> {
    let flavour = || prop_oneof![2 => Just(0_usize), 1 => any::<usize>()];
    prop_oneof![
        4 => (place(), any::<u64>(), 1_u8..9, flavour())
            .prop_map(|(at, seed, of_eight, flavour)| Step::Scatter { at, seed, of_eight, flavour }),
        2 => (place(), flavour(), 12_u8..24).prop_map(|(at, flavour, largest)| Step::Populate { at, flavour, largest }),
        4 => used().prop_map(Step::Depopulate),
        4 => (place(), any::<u64>(), flavour()).prop_map(|(at, seed, flavour)| Step::Furnish { at, seed, flavour }),
        2 => used().prop_map(Step::Unmap),
        5 => (used(), place(), any::<bool>()).prop_map(|(at, to, owned)| Step::Move { at, to, owned }),
        1 => (used(), any::<usize>(), any::<bool>())
            .prop_map(|(at, flavour, owned)| Step::Protect { at, flavour, owned }),
        1 => place().prop_map(Step::Collapse),
        1 => Just(Step::Settle),
        1 => any::<bool>().prop_map(Step::Starve),
    ]
}

/// A program: where what is populated is, at the lowest or the highest addresses; and whether operations have one gather.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    low: bool,
    together: bool,
    steps: Vec<Step>,
}

/// A program of so many steps.
pub(crate) fn program(length: Range<usize>) -> impl Strategy<Value = Program> {
    let steps = prop::collection::vec(step(), length);
    (any::<bool>(), any::<bool>(), steps).prop_map(|(low, together, steps)| Program { low, together, steps })
}

impl Place {
    /// The range, near the lowest or near the highest addresses. `filled`: what was filled last there.
    fn range<F: Format>(&self, rig: &Rig<F>, low: bool, filled: Option<ClosedRange>) -> ClosedRange {
        let bits = F::PAGE_BITS;
        if let Some((all, [front, back])) = filled.zip(self.within)
            && front + back <= all.span() >> bits
        {
            return ClosedRange::new(all.start() + (front << bits), all.last() - (back << bits)).expect("pages");
        }
        let all = rig.everything();
        let most = (all[0].span() >> 1 >> bits) + 1;
        let far = if self.far && most > 1 << 20 { 1 << 18 } else { 0 };
        let pages = self.pages.min(most);
        let page = (self.page + far).min(most - pages);
        if low {
            return range(all[0].start() + (page << bits), pages << bits);
        }
        // Down from the end.
        let last = rig.end() - (page << bits);
        ClosedRange::new(last - ((pages << bits) - 1), last).expect("pages")
    }
}

/// What may go wrong: there is no frame left, or some attributes are those of pages only.
fn allowed(result: Result<(), Error>) {
    assert!(matches!(result, Ok(()) | Err(Error::NoMemory { .. } | Error::Refused { .. })), "{result:?}");
}

impl Program {
    /// Runs it on a rig, with the interpreter as the MMU if it has one gather for each operation.
    pub(crate) fn run<F: Format>(&self, format: F, judge: Option<(&Bound, Rules)>) {
        // Its memory begins at 0, and the frame there is not the root.
        let machine = Machine::new(0, 32 << 20);
        let first = machine.allocate(12).expect("a frame");
        let mut rig = Rig::on(machine.clone(), format);
        // SAFETY: nobody uses it.
        unsafe { machine.free(first, 12) };
        rig.together = self.together;
        if let Some((bound, rules)) = judge.filter(|_| !self.together) {
            rig.judge(bound, rules);
        }
        let flavours = flavours(&format);
        let (mut taken, mut filled) = (Vec::new(), [None; 2]);
        for step in &self.steps {
            self.step(&mut rig, step, &|number| flavours[number % flavours.len()], &mut taken, &mut filled);
            if !self.together || matches!(step, Step::Settle) {
                rig.check();
            }
        }
        give_back(&mut rig, &mut taken);
        rig.settle();
        rig.check();
        // Nothing else is there.
        let all = rig.everything();
        let middle = all[0].start() + all[0].span() / 2;
        let owned = match (all.as_slice(), self.low) {
            ([low, _], true) => *low,
            ([_, high], false) => *high,
            (_, true) => ClosedRange::new(all[0].start(), middle).expect("a half"),
            (_, false) => ClosedRange::new(middle + 1, all[0].last()).expect("a half"),
        };
        rig.depopulate(owned).expect("whole leaves");
        rig.settle();
        assert_eq!(rig.owned, 0);
        rig.together = false;
        rig.end_of_life();
    }

    fn step<F: Format>(
        &self,
        rig: &mut Rig<F>,
        step: &Step,
        flavour: &dyn Fn(usize) -> Attributes,
        taken: &mut Vec<HostPhysAddr>,
        filled: &mut [Option<ClosedRange>; 2],
    ) {
        let (low, bits) = (self.low, F::PAGE_BITS);
        let place = |rig: &Rig<F>, at: &Place, low: bool| at.range(rig, low, filled[usize::from(low)]);
        match step {
            Step::Scatter { at, seed, of_eight, flavour: number } => {
                let mut random = Rng::with_seed(*seed);
                let at = place(rig, at, low);
                let pages = (0..=at.span() >> bits).filter(|_| random.u8(0..8) < *of_eight);
                let mut pages: Vec<_> = pages.map(|page| range(at.start() + (page << bits), 1 << bits)).collect();
                random.shuffle(&mut pages);
                allowed(rig.scatter(&pages, flavour(*number)));
                filled[usize::from(low)] = Some(at);
            }
            Step::Populate { at, flavour: number, largest } => {
                allowed(rig.populate(place(rig, at, low), flavour(*number), *largest));
            }
            Step::Depopulate(at) => allowed(rig.depopulate(place(rig, at, low))),
            Step::Furnish { at, seed, flavour: number } => {
                let at = place(rig, at, !low);
                furnish(rig, at, &mut Rng::with_seed(*seed), flavour(*number));
                filled[usize::from(!low)] = Some(at);
            }
            Step::Unmap(at) => allowed(rig.unmap(place(rig, at, !low))),
            Step::Move { at, to, owned } => {
                let side = *owned == low;
                let from = place(rig, at, side);
                let to = Place { pages: (from.span() >> bits) + 1, ..to.clone() }.range(rig, side, None).start();
                match rig.move_range(from, to) {
                    Err(Error::Overlap(_) | Error::AlreadyMapped { .. }) => {}
                    result => allowed(result),
                }
            }
            Step::Protect { at, flavour: number, owned } => {
                let change = Change { rights: Some(flavour(*number).rights), ..Change::default() };
                allowed(rig.protect(place(rig, at, *owned == low), change));
            }
            Step::Collapse(at) => allowed(rig.collapse(place(rig, at, !low))),
            Step::Settle => rig.settle(),
            Step::Starve(true) => {
                while let Some(frame) = rig.machine.allocate(12) {
                    rig.owned += 1 << 12;
                    taken.push(frame);
                }
            }
            Step::Starve(false) => give_back(rig, taken),
        }
    }
}

/// Maps pages, runs and blocks with holes between them, to addresses that allow larger leaves here and there.
fn furnish<F: Format>(rig: &mut Rig<F>, at: ClosedRange, random: &mut Rng, attributes: Attributes) {
    let (bits, outputs) = (F::PAGE_BITS, rig.table.geometry().last_output() >> 1);
    // Most are pages, and few are runs; or the other way round.
    let runs = random.u8(1..16);
    let mut next = Some(at.start());
    while let Some(start) = next.filter(|&next| next <= at.last()) {
        let page = start >> bits;
        let pages = match random.u8(0..16) {
            0 if page.is_multiple_of(512) => 512,
            number if number < runs && page.is_multiple_of(16) => 16,
            _ => random.u64(1..9),
        };
        let pages = pages.min(((at.last() - start) >> bits) + 1);
        let shift = [0, 16, 512, 1 << 14, 1, 3][random.usize(0..6)] << bits;
        if random.u8(0..4) > 0 {
            // Something may be there already.
            let _ = rig.map(range(start, pages << bits), outputs + 1 + (start & outputs >> 1) + shift, attributes);
        }
        let hole = if random.bool() { 0 } else { random.u64(0..4) };
        next = start.checked_add((pages + hole) << bits);
        if random.u8(0..3) == 0 {
            // On to the next run.
            next = next.and_then(|next| next.checked_next_multiple_of(16 << bits));
        }
    }
}

/// Gives back the frames that were taken so that none was left.
fn give_back<F: Format>(rig: &mut Rig<F>, taken: &mut Vec<HostPhysAddr>) {
    for frame in taken.drain(..) {
        rig.owned -= 1 << 12;
        // SAFETY: it was allocated with this size, and nobody uses it.
        unsafe { rig.machine.free(frame, 12) };
    }
}

macro_rules! programs {
    ($($name:ident $format:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(program in program(10..40)) {
                    program.run($format, None);
                }
            )*
        }
    };
}

programs! {
    direct DIRECT;
    wide WIDE;
    breaking BREAKING;
    stateless STATELESS;
    large LARGE;
    full FULL;
    signed SIGNED;
    flat FLAT;
}
