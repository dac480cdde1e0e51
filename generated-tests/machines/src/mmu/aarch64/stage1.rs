//! Stage 1 under test, of any translation regime below EL3.
//!
//! A probe is a real access at EL2, EL1 or EL0, by code which the translation under test has to reach. Where a regime has
//! two halves, ours is the other one; in EL2's one range of addresses, a root entry that the probes have nothing to do
//! with leads to the code while they are made.
//!
//! The output address comes from AT, which walks anew. The accesses themselves go by way of the TLB.
//!
//! EL1&0 may have a stage 2 below it, which then has to map our code, too. QEMU aborts when AT ends in a stage 2
//! permission fault, so what it is asked about has got through as a real access before.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::{Access, Chunk, Fault, Probe, Verdict};
use super::stub::{self, Program, system_register};
use super::{
    BASE, DATA_ABORT, DATA_ABORT_SAME_LEVEL, FETCH_ABORT, FETCH_ABORT_SAME_LEVEL, HCR, HCR_EL2, MAIR_EL1, MDSCR_EL1,
    Machine, Report, SCTLR_EL1, SCTLR_STAGE1_OFF, SCTLR_STAGE1_ON, STAGE1, TCR_EL1, TTBR0_EL1, VBAR_EL2,
    reached_memory,
};
use crate::mmu::qemu::{Call, StartError};

const TTBR1_EL1: u32 = system_register(3, 0, 2, 0, 1);
const SCTLR_EL2: u32 = system_register(3, 4, 1, 0, 0);
const TTBR0_EL2: u32 = system_register(3, 4, 2, 0, 0);
const TTBR1_EL2: u32 = system_register(3, 4, 2, 0, 1);
const TCR_EL2: u32 = system_register(3, 4, 2, 0, 2);
const MAIR_EL2: u32 = system_register(3, 4, 10, 2, 0);

/// The bits of SCTLR_EL2 that are one.
const SCTLR_EL2_OFF: u64 = 0x30c5_0830;
/// The same, with M, C and I.
const SCTLR_EL2_ON: u64 = SCTLR_EL2_OFF | 1 << 12 | 1 << 2 | 1;
/// HCR_EL2.E2H and TGE.
const HOST: u64 = 1 << 34 | 1 << 27;
/// Cacheable walks, 64 KiB granule, 31 bits of input, for the half of our code: the lower one, or the upper one.
const TCR_CODE_LOWER: u64 = 0b01 << 14 | 0b11_0101 << 8 | (64 - 31);
const TCR_CODE_UPPER: u64 = 0b11 << 30 | 0b11_0101 << 24 | (64 - 31) << 16;
/// HCR_EL2.VM.
const STAGE2_ON: u64 = 1;
/// TCR_ELx.A1: the ASID is that of TTBR1_ELx.
const TCR_A1: u64 = 1 << 22;
/// Where the upper half of our code begins.
const UPPER: u64 = !0 << 31;
/// Where tables are that lead to our code in EL2's translation, 64 KiB each.
const PATH: u64 = BASE + 0x10_0000;
const PATH_STRIDE: u64 = 0x1_0000;
/// SMC in AArch64 state (ESR_EL3.EC).
const SECURE_CALL: u64 = 0x17;

/// The translation under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// EL1&0, alone or above a stage 2.
    El1 {
        /// The upper half, of TTBR1_EL1.
        upper: bool,
    },
    /// EL2&0.
    El2Host {
        /// The upper half, of TTBR1_EL2.
        upper: bool,
    },
    /// EL2, whose tables have this shape.
    El2(Shape),
}

/// The geometry of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// log2 of the granule.
    pub granule: u32,
    /// The number of levels.
    pub levels: u32,
    /// The width of an input address.
    pub input_bits: u32,
}

/// What the privileged level has set that modifies its rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// PSTATE.PAN.
    pub privileged_access_never: bool,
    /// SCTLR_ELx.WXN.
    pub write_execute_never: bool,
}

/// A machine with stage 1 under test.
pub struct Stage1 {
    /// Its memory, and what else it can do.
    pub machine: Machine,
    regime: Regime,
    controls: Controls,
    /// The address of the root table.
    root: u64,
    /// Whether there is a stage 2.
    nested: bool,
}

impl Stage1 {
    /// What a stage 2 has to map to the same addresses, to be read and executed by EL1 and EL0: a page of every granule.
    pub const OWN: Range<u64> = BASE..BASE + 0x1_0000;

    /// Starts QEMU.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::start`].
    pub fn start() -> Result<Self, StartError> {
        let mut machine = Machine::start()?;
        // No steps: what runs ends by itself.
        machine.set(MDSCR_EL1, 0);
        let (regime, controls) = (Regime::El1 { upper: false }, Controls::default());
        Ok(Self { machine, regime, controls, root: 0, nested: false })
    }

    /// Sets `ttbr_elx`, `tcr_elx` and `mair_elx` of a regime, with a half for our code, and what [`Machine::set_stage2`]
    /// takes, and empties the TLB.
    ///
    /// # Panics
    ///
    /// For any other register.
    pub fn set(&mut self, regime: Regime, controls: Controls, registers: &[(&str, u64)]) {
        let get = |wanted| registers.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, value)| *value);
        let known = ["ttbr_elx", "tcr_elx", "mair_elx", "hcr_el2", "vttbr_el2", "vtcr_el2"];
        assert!(registers.iter().all(|(name, _)| known.contains(name)), "no stage 1 has all of {registers:x?}");
        let (ttbr, tcr) = (get("ttbr_elx"), get("tcr_elx"));
        let wxn = u64::from(controls.write_execute_never) << 19;
        let halves = |upper: bool| {
            if upper { ([STAGE1, ttbr], tcr | TCR_CODE_LOWER | TCR_A1) } else { ([ttbr, STAGE1], tcr | TCR_CODE_UPPER) }
        };
        let stage2: Vec<_> = registers.iter().filter(|(name, _)| !name.ends_with("_elx")).copied().collect();
        self.machine.set_stage2(&stage2);
        self.nested = get("hcr_el2") & STAGE2_ON != 0;
        self.machine.set(SCTLR_EL1, SCTLR_STAGE1_OFF);
        self.machine.set(SCTLR_EL2, SCTLR_EL2_OFF);
        let settings = match regime {
            Regime::El1 { upper } => {
                let (roots, tcr) = halves(upper);
                vec![
                    (VBAR_EL2, BASE + stub::VECTORS as u64),
                    (TTBR0_EL1, roots[0]),
                    (TTBR1_EL1, roots[1]),
                    (TCR_EL1, tcr),
                    (MAIR_EL1, get("mair_elx")),
                    (SCTLR_EL1, SCTLR_STAGE1_ON | wxn),
                ]
            }
            Regime::El2Host { upper } => {
                let (roots, tcr) = halves(upper);
                vec![
                    (HCR_EL2, HCR | HOST),
                    (VBAR_EL2, code_in_half(upper) + stub::VECTORS as u64),
                    (TTBR0_EL2, roots[0]),
                    (TTBR1_EL2, roots[1]),
                    (TCR_EL2, tcr),
                    (MAIR_EL2, get("mair_elx")),
                    (SCTLR_EL2, SCTLR_EL2_ON | wxn),
                ]
            }
            Regime::El2(shape) => {
                self.machine.load(&shape.path());
                vec![(TTBR0_EL2, ttbr), (TCR_EL2, tcr), (MAIR_EL2, get("mair_elx")), (SCTLR_EL2, SCTLR_EL2_ON | wxn)]
            }
        };
        for (register, value) in settings {
            self.machine.set(register, value);
        }
        self.machine.session.call(&stub::INVALIDATE, [0; 4]);
        // All of RAM has less than 48 bits.
        (self.regime, self.controls, self.root) = (regime, controls, ttbr & 0xffff_ffff_ffc0);
    }

    /// Asks each probe, by way of the TLB. There is no unprivileged access in EL2's regime.
    ///
    /// A probed page is really accessed: hardware may set flags in descriptors. What is fetched must be zero, or begin
    /// with MOVZ and go on with zeros. Above a stage 2 a write stores a zero and reads nothing, so that what hardware marks
    /// is what was asked.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let program = |access| match access {
            Access::Read => Some(Program::Load),
            Access::Write => Some(if self.nested { Program::StoreZero } else { Program::AddZero }),
            Access::Execute => None,
        };
        let asked: Vec<_> = probes.iter().map(|probe| (*probe, program(probe.access))).collect();
        let mut faults: Vec<Option<Fault>> = self.access(&asked).into_iter().map(|(fault, _)| fault).collect();
        // It may be that only the reading failed, which says nothing of the write.
        let refused = (0..probes.len()).filter(|&i| probes[i].access == Access::Write && faults[i].is_some());
        let refused: Vec<usize> = refused.filter(|_| !self.nested).collect();
        let stores: Vec<_> = refused.iter().map(|&i| (probes[i], Some(Program::StoreZero))).collect();
        for (&i, (fault, _)) in refused.iter().zip(self.access(&stores)) {
            faults[i] = fault;
        }
        let walked = |fault: Option<Fault>| fault.filter(|fault| !reached_memory(fault));
        let mut verdicts: Vec<Verdict> =
            faults.into_iter().map(|fault| walked(fault).map_or(Verdict::Translated(None), Verdict::Fault)).collect();
        let mut through: Vec<usize> = (0..probes.len()).filter(|&i| verdicts[i] == Verdict::Translated(None)).collect();
        if self.nested {
            self.keep_translatable(probes, &mut through);
        }
        let translated: Vec<Probe> = through.iter().map(|&i| probes[i]).collect();
        for (&i, par) in through.iter().zip(self.translate(&translated)) {
            // AT refuses what got through by a stale translation.
            let output = par & 0xf_ffff_ffff_f000 | probes[i].address & 0xfff;
            verdicts[i] = Verdict::Translated((par & 1 == 0).then_some(output));
        }
        verdicts
    }

    /// Drops those fetches that got through, but whose address cannot be read as well.
    fn keep_translatable(&mut self, probes: &[Probe], through: &mut Vec<usize>) {
        let fetched = through.iter().filter(|&&i| probes[i].access == Access::Execute);
        let fetched: Vec<usize> = fetched.copied().collect();
        let load = |&i: &usize| (Probe { access: Access::Read, ..probes[i] }, Some(Program::Load));
        let loads: Vec<_> = fetched.iter().map(load).collect();
        let silent: BTreeSet<usize> =
            fetched.into_iter().zip(self.access(&loads)).filter_map(|(i, (fault, _))| fault.map(|_| i)).collect();
        through.retain(|i| !silent.contains(i));
    }

    /// PAR_EL1 after AT of each of these probes, through both stages where there are two; of a fetch, after that of a load
    /// (where there is no stage 2, a privileged one).
    pub fn translate(&mut self, probes: &[Probe]) -> Vec<u64> {
        let code = |probe: &Probe| match (self.regime, probe.access, probe.user) {
            (_, Access::Write, true) if self.nested => stub::TRANSLATE_USER_STORE.as_slice(),
            (_, Access::Write, false) if self.nested => stub::TRANSLATE_STORE.as_slice(),
            (_, _, true) if self.nested => stub::TRANSLATE_USER_LOAD.as_slice(),
            (_, _, false) if self.nested => stub::TRANSLATE_LOAD.as_slice(),
            (Regime::El2(_), Access::Write, _) => stub::STAGE1_EL2_STORE.as_slice(),
            (Regime::El2(_), ..) => stub::STAGE1_EL2_LOAD.as_slice(),
            (_, Access::Write, true) => stub::STAGE1_USER_STORE.as_slice(),
            (_, Access::Write, false) => stub::STAGE1_STORE.as_slice(),
            (_, Access::Read, true) => stub::STAGE1_USER_LOAD.as_slice(),
            (_, Access::Read, false) | (_, Access::Execute, _) => stub::STAGE1_LOAD.as_slice(),
        };
        let calls: Vec<Call<'_>> = probes.iter().map(|probe| (code(probe), [probe.address, 0, 0, 0])).collect();
        self.machine.call_all(&calls).iter().map(|report| report.get("par_el1")).collect()
    }

    /// Privileged loads of the words at these addresses.
    pub fn load_words(&mut self, addresses: &[u64]) -> Vec<Result<u32, Fault>> {
        let load = |&address: &u64| (Probe { address, access: Access::Read, user: false }, Some(Program::Load));
        let loads: Vec<_> = addresses.iter().map(load).collect();
        let word = |(fault, word): (Option<Fault>, u64)| fault.map_or(Ok(word as u32), Err);
        self.access(&loads).into_iter().map(word).collect()
    }

    /// Makes accesses by programs, or by running what is there, and says what x1 held in the end.
    fn access(&mut self, asked: &[(Probe, Option<Program>)]) -> Vec<(Option<Fault>, u64)> {
        let mut answers: Vec<Option<(Option<Fault>, u64)>> = vec![None; asked.len()];
        loop {
            let left: Vec<usize> = (0..asked.len()).filter(|&i| answers[i].is_none()).collect();
            let Some(&first) = left.first() else { return answers.into_iter().flatten().collect() };
            let slot = |i: usize| self.slot(asked[i].0.address);
            let (used, not) = (left.iter().map(|&i| slot(i)).collect::<BTreeSet<_>>(), slot(first));
            let door = self.open(&used, not);
            // What our code is in the way of comes next.
            let taken = door.taken.map(|(slot, _)| slot);
            let now: Vec<usize> =
                left.into_iter().filter(|&i| taken.is_none() || self.slot(asked[i].0.address) != taken).collect();
            let calls: Vec<Call<'_>> = now.iter().map(|&i| self.enter(&asked[i], door.code)).collect();
            let reports = self.machine.call_all(&calls);
            for (i, report) in now.into_iter().zip(reports) {
                answers[i] = Some((self.fault(&asked[i].0, &report), report.0[1]));
            }
            self.close(&door);
        }
    }

    fn enter(&self, &(probe, program): &(Probe, Option<Program>), code: u64) -> Call<'static> {
        let level = match self.regime {
            _ if probe.user => 0,
            Regime::El1 { .. } => 0b0101,
            Regime::El2Host { .. } | Regime::El2(_) => 0b1001,
        };
        let pan = u64::from(self.controls.privileged_access_never && !probe.user) << 22;
        // SPSR_EL3: asynchronous exceptions and debug exceptions masked.
        let pstate = 0b1111 << 6 | pan | level;
        let entry = program.map_or(probe.address, |program| code.wrapping_add(program.offset() as u64));
        (&stub::ENTER, [entry, pstate, probe.address, code.wrapping_add(stub::VECTORS as u64)])
    }

    /// The fault that ended an access, if one did.
    fn fault(&self, probe: &Probe, report: &Report) -> Option<Fault> {
        let [syndrome, address] = match self.regime {
            Regime::El1 { .. } => ["esr_el1", "far_el1"],
            Regime::El2Host { .. } | Regime::El2(_) => ["esr_el2", "far_el2"],
        };
        let aborts = match probe.access {
            Access::Execute => [FETCH_ABORT, FETCH_ABORT_SAME_LEVEL],
            Access::Read | Access::Write => [DATA_ABORT, DATA_ABORT_SAME_LEVEL],
        };
        if self.nested && report.class("esr_el2") == aborts[0] && report.get("far_el2") == probe.address {
            let told = ["esr_el2", "far_el2", "hpfar_el2"].map(|register| (register, report.get(register)));
            return Some(Fault { report: told.to_vec(), ..report.fault("esr_el2") });
        }
        if aborts.contains(&report.class(syndrome)) && report.get(address) == probe.address {
            let fault = report.fault(syndrome);
            let told = vec![("esr_elx", report.get(syndrome)), ("far_elx", report.get(address))];
            return Some(Fault { report: told, ..fault });
        }
        // An undefined instruction, or SMC at EL0, which is undefined, too; or SMC.
        let undefined = report.get(syndrome) != 0 && report.class(syndrome) == 0;
        let called = probe.access != Access::Execute && report.class("esr_el3") == SECURE_CALL;
        assert!(undefined || called && report.get(syndrome) == 0, "{probe:x?} went astray: {report:#x?}");
        None
    }

    /// The root entry of an address in EL2's range.
    fn slot(&self, address: u64) -> Option<u64> {
        let Regime::El2(shape) = self.regime else { return None };
        Some(address >> shape.top() & ((1 << (shape.input_bits - shape.top())) - 1))
    }

    /// Has our code mapped, in EL2's range by a root entry that is not `first`, and better none that is used.
    fn open(&mut self, used: &BTreeSet<Option<u64>>, first: Option<u64>) -> Door {
        let shape = match self.regime {
            Regime::El1 { upper } | Regime::El2Host { upper } => {
                return Door { code: code_in_half(upper), taken: None };
            }
            Regime::El2(shape) => shape,
        };
        let entries = 1 << (shape.input_bits - shape.top());
        let root = self.machine.dump(self.root, 8 * entries as usize);
        let entry = |slot: u64| root[8 * slot as usize..][..8].try_into().map_or(0, u64::from_le_bytes);
        let others = || (0..entries).filter(|&slot| !used.contains(&Some(slot)));
        let unused = others().find(|&slot| entry(slot) == 0).or_else(|| others().next());
        let slot = unused.or_else(|| (0..entries).find(|&slot| Some(slot) != first)).expect("a root of two entries");
        self.store(shape, slot, shape.way(shape.levels - 1));
        let code = (slot << shape.top()).wrapping_sub(shape.page() - BASE);
        self.machine.set(VBAR_EL2, code.wrapping_add(stub::VECTORS as u64));
        Door { code, taken: Some((slot, entry(slot))) }
    }

    /// Gives back what was taken.
    fn close(&mut self, door: &Door) {
        if let (Regime::El2(shape), Some((slot, entry))) = (self.regime, door.taken) {
            self.store(shape, slot, entry);
        }
    }

    fn store(&mut self, shape: Shape, slot: u64, entry: u64) {
        let call = [self.root + 8 * slot, entry, slot << shape.top() >> 12, 0];
        self.machine.session.call(&stub::STORE_EL2_DESCRIPTOR, call);
    }
}

/// How the stub is reached.
struct Door {
    /// The address of the stub's image.
    code: u64,
    /// The root entry that was taken for it, and what it was.
    taken: Option<(u64, u64)>,
}

impl Shape {
    /// log2 of what a root entry spans.
    fn top(self) -> u32 {
        self.granule + (self.granule - 3) * (self.levels - 1)
    }

    /// The page of the vectors and programs.
    fn page(self) -> u64 {
        (BASE + stub::VECTORS as u64) >> self.granule << self.granule
    }

    /// The descriptor in a table of this level that leads there: at level 0 read-only, with AF and AP[1], which is one.
    /// No SH bits, which may be those of an address.
    fn way(self, level: u32) -> u64 {
        match level.checked_sub(1) {
            None => self.page() | 1 << 10 | 0b11 << 6 | 0b11,
            Some(below) => (PATH + PATH_STRIDE * u64::from(below)) | 0b11,
        }
    }

    /// The first entries of the tables on the way, all below the root.
    fn path(self) -> Vec<Chunk> {
        let entry = |level| (PATH + PATH_STRIDE * u64::from(level), self.way(level).to_le_bytes().to_vec());
        (0..self.levels - 1).map(entry).collect()
    }
}

/// Where the stub's image is in the half that is not under test.
fn code_in_half(upper: bool) -> u64 {
    if upper { BASE } else { UPPER + BASE }
}
