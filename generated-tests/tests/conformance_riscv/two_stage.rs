//! A guest's tables for vsatp under a G-stage.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{
    ByName, FaultInfo, Rights,
    riscv64::{sv, sv_x4, sv32},
};
use tablewright_tests::conformance::{Asked, NestedJudge, Setup, Shared, read_words, two_stage_trials};
use tablewright_tests::emulators::Found;
use tablewright_tests::mmu::deviations::{MARKS_ARE_NO_WRITES, MARKS_ARE_NO_WRITES_32};
use tablewright_tests::mmu::riscv::{GuestCode, Machine, Xlen};
use tablewright_tests::mmu::{Chunk, Fault, FaultKind, Verdict};

use crate::sv32_x4;

/// vsstatus.SUM: the supervisor may access user memory.
const SUM: u64 = 1 << 18;

/// Code of the judge's, at the end of the memory.
const CODE: u64 = 4 << 10;

/// Flags of a leaf that code can be run from.
const V: u64 = 1;
const R: u64 = 1 << 1;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const A: u64 = 1 << 6;

/// A machine whose guest has tables of its own.
pub(crate) struct Qemu {
    machine: Machine,
    found: Found,
    xlen: Xlen,
}

impl NestedJudge for Qemu {
    fn ram(&self) -> Range<u64> {
        let ram = self.machine.ram();
        ram.start..ram.end - CODE
    }

    fn reach(&self) -> u8 {
        self.xlen.bits()
    }

    fn own_code(&self) -> Range<u64> {
        let ram = self.machine.ram();
        ram.end - CODE..ram.end
    }

    fn is_nested(&self, fault: &Fault) -> bool {
        fault.report.iter().any(|&(register, value)| register == "scause" && value >= 20)
    }

    // The architecture has one fault of each stage for everything.
    fn nested_fault(&self, _mapped: Option<Rights>) -> FaultKind {
        FaultKind::Unspecified
    }

    fn own_fault(&self, _mapped: Option<Rights>) -> FaultKind {
        FaultKind::Unspecified
    }

    fn unmarked(&self) -> FaultKind {
        FaultKind::Unspecified
    }

    fn mark_needs(&self) -> Rights {
        let departs = [MARKS_ARE_NO_WRITES, MARKS_ARE_NO_WRITES_32].iter().any(|known| known.applies_to(&self.found));
        if departs { Rights::R } else { Rights::W }
    }

    fn told(&self, known: FaultInfo) -> FaultInfo {
        // htval is the address without its two lowest bits, and 0 if it is not reported. htinst has the instruction: guests
        // load and store bytes.
        let is_data = !known.guest_walk && known.access.intersects(Rights::R | Rights::W);
        let address = known.address.filter(|address| address >> 2 != 0);
        FaultInfo { address, width: is_data.then_some(1), ..known }
    }

    fn judge(&mut self, asked: &Asked<'_>) -> (Vec<Verdict>, Vec<u64>) {
        // What menvcfg is to the G-stage, henvcfg is to the guest's own tables.
        let own = asked.guest.iter().filter_map(|&(name, value)| match name {
            "satp" => Some(("vsatp", value)),
            "henvcfg" => Some((name, value)),
            _ => None,
        });
        let registers: Vec<_> = asked.nested.iter().copied().chain(own).chain([("vsstatus", SUM)]).collect();
        let [supervisor, user] = self.free_slots(asked);
        self.machine.clear();
        self.machine.load(asked.image);
        self.machine.load(&[(self.own_code().start, GuestCode::bytes())]);
        self.machine.load(&[supervisor.leaf(0), user.leaf(U)]);
        self.machine.set_gstage(&registers);
        let code = GuestCode { supervisor: supervisor.code, user: user.code };
        let verdicts = self.machine.probe_by_guest(asked.probes, code);
        self.machine.load(&[supervisor.empty(), user.empty()]);
        (verdicts, read_words(asked.peek, |address, bytes| self.machine.dump(address, bytes)))
    }
}

/// A slot of the guest's root that nothing is in, for a leaf that translates to all around the judge's code.
struct Slot {
    /// Where the entry is, and its bytes.
    entry: u64,
    bytes: usize,
    /// The first address that the leaf translates to.
    output: u64,
    /// Where the code then is for the guest.
    code: u64,
}

impl Slot {
    fn leaf(&self, user: u64) -> Chunk {
        (self.entry, (self.output >> 2 | A | X | R | V | user).to_le_bytes()[..self.bytes].to_vec())
    }

    fn empty(&self) -> Chunk {
        (self.entry, vec![0; self.bytes])
    }
}

impl Qemu {
    /// Two slots that no probe goes to.
    fn free_slots(&self, asked: &Asked<'_>) -> [Slot; 2] {
        let satp = asked.guest.iter().find(|(name, _)| *name == "satp").expect("the guest's root").1;
        // Sv39 has mode 8 and 3 levels, and each mode after it one level more.
        let (bytes, index_bits, levels_below) = match self.xlen {
            Xlen::Rv32 => (4, 10, 1),
            Xlen::Rv64 => (8, 9, (satp >> 60) - 6),
        };
        let shift = 12 + index_bits * levels_below;
        let slots = 1 << index_bits;
        let (_, root) = asked.image.iter().find(|(at, _)| *at == asked.guest_root).expect("the root is a table");
        let is_free = |slot: &u64| {
            let entry = &root[bytes * *slot as usize..][..bytes];
            entry.iter().all(|byte| *byte == 0)
                && asked.probes.iter().all(|probe| probe.address >> shift & (slots - 1) != *slot)
        };
        let code = self.own_code().start;
        let output = code >> shift << shift;
        // Addresses of 64 bits are sign-extended.
        let unused = match self.xlen {
            Xlen::Rv32 => 0,
            Xlen::Rv64 => 64 - index_bits - shift,
        };
        let extended = |slot: u64| ((slot << shift << unused) as i64 >> unused) as u64;
        let slot = |slot| Slot {
            entry: asked.guest_root + bytes as u64 * slot,
            bytes,
            output,
            code: extended(slot) | (code - output),
        };
        let mut free = (0..slots).filter(is_free).map(slot);
        [(); 2].map(|()| free.next().expect("most of a root is empty"))
    }
}

/// The judge.
pub(crate) fn judge(found: &Found, xlen: Xlen) -> Shared<Qemu> {
    let found = found.clone();
    Shared::new(move || {
        let machine = Machine::start(xlen).unwrap_or_else(|error| panic!("{error}"));
        Qemu { machine, found: found.clone(), xlen }
    })
}

/// The guest's own tables, and what they are under: every width, with A and D set by hardware in both, in the lower stage
/// alone, or in none. (Without ADUE or PBMTE in menvcfg there is none in henvcfg.)
const STAGES: [(&str, &str); 10] = [
    ("sv39-rich", "sv39x4-rich"),
    ("sv48-napot", "sv48x4-napot"),
    ("sv57-rich", "sv57x4-rich"),
    ("sv39", "sv39x4-rich"),
    ("sv48", "sv57x4-rich"),
    ("sv57", "sv57x4-rich"),
    ("sv39", "sv39x4"),
    ("sv57", "sv57x4"),
    ("sv48", "sv48x4"),
    ("sv57-rich", "sv39x4-rich"),
];

/// The same, where registers have 32 bits.
const STAGES_32: [(&str, &str); 3] = [("sv32-rich", "sv32x4-rich"), ("sv32", "sv32x4-rich"), ("sv32", "sv32x4")];

/// All tests.
pub(crate) fn all(judge: &Shared<Qemu>, xlen: Xlen) -> Vec<Trial> {
    match xlen {
        Xlen::Rv32 => pairs(&STAGES_32, setups!(sv32, "sv32"), setups!(sv32_x4, "sv32_x4"), judge),
        Xlen::Rv64 => pairs(&STAGES, setups!(sv, "sv"), setups!(sv_x4, "sv_x4"), judge),
    }
}

fn pairs<G: ByName, N: ByName>(
    stages: &[(&str, &str)],
    own: impl Iterator<Item = Setup<G>>,
    nested: impl Iterator<Item = Setup<N>>,
    judge: &Shared<Qemu>,
) -> Vec<Trial> {
    let (own, nested): (Vec<_>, Vec<_>) = (own.collect(), nested.collect());
    let trials = |(guest, below): &(&str, &str)| {
        let guest = own.iter().find(|setup| setup.name == *guest).expect("such a configuration");
        let below = nested.iter().find(|setup| setup.name == *below).expect("such a configuration");
        two_stage_trials(guest, below, judge)
    };
    stages.iter().flat_map(trials).collect()
}
