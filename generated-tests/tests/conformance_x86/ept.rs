//! EPT tables built by the library and walked by Bochs.
//!
//! No model walks five levels. The two upper levels of such a tree are combined here, by the manual, to one entry, and
//! the model walks what is below it.

use std::collections::BTreeMap;
use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{Judge, Memory, Restarted, Setup, access, cause, hardware_trial, trials};
use tablewright_tests::formats::{Configured, configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::deviations::{BLOCK_BIT_12, Deviation, USER_EXECUTE_IN_BIT_13};
use tablewright_tests::mmu::x86_64::{Batch, Machine, Nested, Outcome};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

use super::Judges;

/// Processor models, and the configurations that each can have.
const MODELS: &[(&str, &[&str])] = &[
    ("corei5_lynnfield_750", &["baseline"]),
    ("corei7_haswell_4770", &["pages-only", "server", "five-level-without-modes"]),
    ("tigerlake", &["by-mode", "five-level"]),
];

/// IA32_VMX_EPT_VPID_CAP (SDM appendix *VPID and EPT Capabilities*).
const EXECUTE_ONLY: u32 = 0;
const BLOCKS_2M: u32 = 16;
const BLOCKS_1G: u32 = 17;

/// The address in an EPTP or an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Bits 5:3 of an EPTP: the levels but one.
const WALK_LENGTH: u64 = 0b111 << 3;
/// Read, write, execute, and execute by users.
const RIGHTS: u64 = 1 << 10 | 0b111;
const PAGE: u64 = 0x1000;
/// log2 of what an entry of the upper two levels spans.
const UPPER: [u32; 2] = [48, 39];

/// The judge of one configuration.
pub(crate) struct Bochs {
    machine: Machine,
    five_level: bool,
    mode_based_execute: bool,
    memory: Memory,
}

impl Judge for Bochs {
    fn ram(&self) -> Range<u64> {
        // The last page is for a root of this judge's own.
        Machine::RAM.start..Machine::RAM.end - PAGE
    }

    fn reach(&self) -> u8 {
        if self.five_level { 57 } else { 40 }
    }

    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        // What a violation tells of the entry's rights tells whether there is an entry.
        let hidden = self.machine.deviates(&USER_EXECUTE_IN_BIT_13) && probe.access != Access::Execute;
        match mapped {
            None => FaultKind::NotMapped,
            Some(rights) if rights.is_empty() => FaultKind::NotMapped,
            Some(Rights::UX) if hidden => FaultKind::NotMapped,
            Some(_) => FaultKind::Permission,
        }
    }

    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        // Nothing turns off what this processor has.
        let same =
            |param, bit: u32| params.get(param).unwrap_or(0) as u64 == self.machine.ept_capabilities() >> bit & 1;
        let width = self.machine.physical_address_bits() as i64;
        let pa_bits = params.get("pa_bits").unwrap_or(width);
        let addresses = (pa_bits.min(width)..pa_bits.max(width)).all(|bit| raw >> bit & 1 == 0);
        let executes = raw >> 2 & 1 == 1 || self.mode_based_execute && raw >> 10 & 1 == 1;
        let execute_only = executes && raw & 0b11 == 0;
        let block = matches!(level, 1 | 2) && raw >> 7 & 1 == 1;
        let blocks = if level == 1 { ("huge_2m", BLOCKS_2M) } else { ("huge_1g", BLOCKS_1G) };
        addresses && (!execute_only || same("execute_only", EXECUTE_ONLY)) && (!block || same(blocks.0, blocks.1))
    }

    fn deviates(&self, _params: &Params, level: Level, raw: u64) -> Option<&'static Deviation> {
        let block = matches!(level, 1 | 2) && raw >> 7 & 1 == 1;
        (block && raw >> 12 & 1 == 1 && self.machine.deviates(&BLOCK_BIT_12)).then_some(&BLOCK_BIT_12)
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        // An address of too many bits never reaches EPT: the guest's own walk faults.
        (fault.kind != FaultKind::AddressSize).then(|| FaultInfo {
            address: Some(probe.address),
            access: if fault.kind == FaultKind::Misconfigured { Rights::empty() } else { access(probe) },
            cause: cause(fault.kind),
            level: None,
            width: None,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        let eptp = eptp(registers);
        if self.five_level { self.judge_subtrees(tables, eptp, probes) } else { self.walk(&[(tables, eptp, probes)]) }
    }
}

impl Restarted for Bochs {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn run(&mut self, image: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe], peek: &[u64]) -> Outcome {
        let nested = Nested::Ept { eptp: eptp(registers), mode_based_execute: self.mode_based_execute };
        let batch = Batch { image, guest: None, nested, probes, peek };
        self.machine.run(&[batch]).unwrap_or_else(|error| panic!("{error}")).remove(0)
    }
}

/// The only register of EPT.
fn eptp(registers: &[(&'static str, u64)]) -> u64 {
    let &[("eptp", eptp)] = registers else { panic!("EPT has one register, not {registers:x?}") };
    eptp
}

impl Bochs {
    /// Has trees of four levels walked.
    fn walk(&self, trees: &[(&[Chunk], u64, &[Probe])]) -> Vec<Verdict> {
        let batch = |(image, eptp, probes)| {
            let nested = Nested::Ept { eptp, mode_based_execute: self.mode_based_execute };
            Batch { image, guest: None, nested, probes, peek: &[] }
        };
        // As many as fit into one start of Bochs.
        let parts =
            trees.iter().flat_map(|&(image, eptp, probes)| probes.chunks(4000).map(move |part| (image, eptp, part)));
        let batches: Vec<_> = parts.map(batch).collect();
        let outcomes = self.machine.run(&batches).unwrap_or_else(|error| panic!("{error}"));
        outcomes.into_iter().flat_map(|outcome| outcome.verdicts).collect()
    }

    /// Has each tree below the upper two levels walked, under a root that has nothing else.
    fn judge_subtrees(&self, tables: &[Chunk], eptp: u64, probes: &[Probe]) -> Vec<Verdict> {
        assert_eq!(eptp & WALK_LENGTH, 4 << 3, "five levels");
        let lower = (1 << UPPER[1]) - 1;
        let mut trees: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (number, probe) in probes.iter().enumerate() {
            trees.entry(self.upper_entry(tables, eptp & ADDRESS, probe.address)).or_default().push(number);
        }
        let root = self.ram().end;
        let of_tree = |(entry, numbers): (&u64, &Vec<usize>)| {
            let mut page = entry.to_le_bytes().to_vec();
            page.resize(PAGE as usize, 0);
            let image = [tables, &[(root, page)]].concat();
            let probes =
                numbers.iter().map(|&number| Probe { address: probes[number].address & lower, ..probes[number] });
            (image, probes.collect::<Vec<_>>())
        };
        let asked: Vec<_> = trees.iter().map(of_tree).collect();
        let short = eptp & !(ADDRESS | WALK_LENGTH) | root | 3 << 3;
        let asked: Vec<_> = asked.iter().map(|(image, probes)| (image.as_slice(), short, probes.as_slice())).collect();
        let mut verdicts: BTreeMap<usize, Verdict> = trees.into_values().flatten().zip(self.walk(&asked)).collect();
        for (&number, verdict) in &mut verdicts {
            if let Verdict::Fault(fault) = verdict {
                let address = fault.report.iter_mut().filter(|(name, _)| *name == "guest_physical_address");
                address.for_each(|(_, address)| *address |= probes[number].address & !lower);
            }
        }
        verdicts.into_values().collect()
    }

    /// What the upper two levels come to for an address: an entry that ends the walk, or one that points to the table
    /// below with the rights that both grant. The entries of both levels have one format (SDM *Format of an EPT PML4
    /// Entry (PML4E)*, which is that of a PML5E).
    fn upper_entry(&self, tables: &[Chunk], root: u64, address: u64) -> u64 {
        let rights = if self.mode_based_execute { RIGHTS } else { RIGHTS & 0b111 };
        let index = |level: usize| address >> UPPER[level] & 0x1ff;
        let first = read(tables, root + 8 * index(0)).expect("a root");
        let executes = first & rights & !0b11 != 0;
        let no_execute_only = self.machine.ept_capabilities() >> EXECUTE_ONLY & 1 == 0;
        let illegal = first & 0b11 == 0b10
            || first & 0b11 == 0 && executes && no_execute_only
            || first >> 3 & 0b1_1111 != 0
            || (first & ADDRESS) >> self.machine.physical_address_bits() != 0;
        if first & rights == 0 || illegal {
            return first;
        }
        let second = read(tables, (first & ADDRESS) + 8 * index(1)).expect("a table");
        second & (!rights | first)
    }
}

fn read(tables: &[Chunk], address: u64) -> Option<u64> {
    let (start, bytes) =
        tables.iter().find(|(start, bytes)| (*start..*start + bytes.len() as u64).contains(&address))?;
    let word = bytes.get((address - start) as usize..)?.first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// The configurations, and those made from them that some model can have.
fn cases() -> Vec<Configured> {
    let mut cases = configured("ept");
    let five_level = cases.iter().find(|case| case.config.id.value == "five-level").expect("it has five levels");
    cases.push(varied(five_level, "five-level-without-modes", &[("mode_based_execute", 0)]));
    cases
}

/// All tests that some model can judge.
pub(crate) fn all(judges: &mut Judges<Bochs>) -> Vec<Trial> {
    let mut tests = Vec::new();
    let cases = cases();
    for &(model, configs) in MODELS {
        let machine = Machine::vmx(model).unwrap_or_else(|error| panic!("{error}"));
        for case in cases.iter().filter(|case| configs.contains(&case.config.id.value.as_str())) {
            let has = |param| case.params.get(param) == Some(1);
            let mode_based_execute = has("mode_based_execute");
            if mode_based_execute && !machine.has_mode_based_execute() {
                eprintln!("SKIPPED {}: this Bochs has no execute rights by mode", case.config.id.value);
                continue;
            }
            let generated = generated!(tablewright::x86_64::ept, case.params).expect("one module for all");
            let setup = Setup::new(case, generated.expect("a legal configuration"));
            let setup = Setup { name: format!("ept/{}", setup.name), ..setup };
            let (machine, five_level) = (machine.clone(), case.params.get("levels") == Some(5));
            let judge = judges.add(move || {
                let memory = Memory::default();
                Bochs { machine: machine.clone(), five_level, mode_based_execute, memory }
            });
            tests.extend(trials(&setup, &judge));
            // A tree of five levels is walked in parts, with a root of the judge's own.
            if !five_level {
                tests.extend(hardware_trial(&setup, &judge));
            }
        }
    }
    tests
}
