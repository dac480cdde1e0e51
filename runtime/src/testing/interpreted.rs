//! The interpreter as the subject of the laws: its answers in the words of the runtime.

use crate::{
    Attributes, Cause, Change, Edit, Entry, Extension, FaultInfo, Geometry, HostPhysAddr, Invalidation, Leaf, Level,
    MemoryType, Options, PageSizes, Refusal, Rights, Shareability, Signal, Stage1Cause, Stage1Fault, Table, Tag,
    Translated,
};
use std::array;
use std::prelude::rust_2024::*;
use tablewright_archdefs::bound::{self, Bound};
use tablewright_archdefs::interpret::{self, Decoded, LeafEntry, Means, Met, Refused, Stale, Why};
use tablewright_archdefs::model::{self, Facts, FaultAccess, FaultCause, InputExtension};

use super::{Case, Glance, Subject, Verdict};

/// A format's file, bound to a configuration and interpreted.
///
/// ```
/// use tablewright::sim::built_in;
/// use tablewright::testing::{Interpreted, Subject};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reference = Interpreted(built_in("sv_x4", "sv39x4")?);
/// assert_eq!(reference.index(1, 0x8040_0000), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Interpreted(pub Bound);

impl Subject for Interpreted {
    fn geometry(&self) -> Geometry {
        let geometry = self.0.geometry;
        let extension = match geometry.extension {
            InputExtension::Zero => Extension::Zero,
            InputExtension::One => Extension::One,
            InputExtension::Sign => Extension::Sign,
        };
        let entry_bits = array::from_fn(|level| geometry.entry_bits(level as Level));
        let bound::Geometry { word_bits, levels, input_bits, output_bits, .. } = geometry;
        Geometry::new(word_bits, entry_bits, levels, input_bits, output_bits, extension)
    }

    fn index(&self, level: Level, ia: u64) -> u64 {
        self.0.geometry.index(level, ia)
    }

    fn page_sizes(&self, level: Level) -> PageSizes {
        PageSizes(self.0.page_sizes(level).into_iter().fold(0, |sizes, size| sizes | 1 << size))
    }

    fn table_accessed(&self, level: Level) -> u64 {
        self.0.table_accessed(level)
    }

    fn invalid_cached(&self) -> bool {
        self.0.invalid_cached
    }

    fn leaf(&self, level: Level, size: u8, oa: u64, attributes: &Attributes) -> Result<Vec<u64>, Refusal> {
        let memory = memory_out(attributes.memory).ok_or(Refusal::Memory(attributes.memory))?;
        let attributes = interpret::Attributes { facts: facts(attributes), memory, options: attributes.options.bits() };
        self.0.encode_leaf(level, size, oa, &attributes).map_err(refusal)
    }

    fn rewrite(&self, level: Level, raw: u64, change: &Change) -> Result<u64, Refusal> {
        let Decoded::Leaf(leaf) = self.0.decode(level, raw) else {
            return Err(Refusal::Size { level, size: 0 });
        };
        let was = attributes(&leaf);
        let attributes = Attributes {
            rights: change.rights.unwrap_or(was.rights),
            memory: change.memory.unwrap_or(was.memory),
            options: change.options.unwrap_or(was.options),
            ..was
        };
        let start = leaf.address >> leaf.size << leaf.size;
        let items = self.leaf(level, leaf.size, start, &attributes)?;
        // Where each item has an address of its own, this tells which one it was.
        let item = (leaf.address - start) >> self.0.geometry.entry_bits(level);
        Ok(items[item as usize])
    }

    fn table(&self, level: Level, address: u64) -> Result<u64, Refusal> {
        self.0.encode_table(level, address).map_err(refusal)
    }

    fn empty(&self, level: Level) -> u64 {
        self.0.empty(level).unwrap_or_default()
    }

    fn edit(&self, level: Level, old: u64, new: u64) -> Edit {
        match self.0.edit(level, old, new) {
            interpret::Edit::Direct => Edit::Direct,
            interpret::Edit::BreakBeforeMake => Edit::BreakBeforeMake,
        }
    }

    fn decode(&self, level: Level, raw: u64) -> Entry {
        match self.0.decode(level, raw) {
            Decoded::Invalid => Entry::Invalid,
            Decoded::Reserved(_) => Entry::Reserved(""),
            Decoded::Table(table) => Entry::Table(Table {
                address: table.address,
                level: table.level,
                limit: Rights::from_bits_truncate(table.limit.bits()),
            }),
            Decoded::Leaf(leaf) => Entry::Leaf(Leaf {
                address: leaf.address,
                size: leaf.size,
                items: leaf.items as u16,
                attributes: attributes(&leaf),
            }),
        }
    }

    fn glance(&self, level: Level, raw: u64) -> Glance {
        match self.0.decode(level, raw) {
            Decoded::Table(table) => Glance::Table(table.address),
            Decoded::Leaf(leaf) => {
                let rights = Rights::from_bits_truncate(leaf.facts.bits());
                Glance::Leaf { address: leaf.address, size: leaf.size, is_item: leaf.items > 1, rights }
            }
            Decoded::Invalid | Decoded::Reserved(_) => Glance::Absent,
        }
    }

    fn registers(&self, root: u64, tag: u32) -> Option<Vec<(String, u64)>> {
        let registers = self.0.registers(root, tag.into()).ok()?;
        Some(registers.into_iter().map(|register| (register.name, register.value)).collect())
    }

    fn permits(&self, level: Level, raw: u64, granted: Rights, access: Rights, controls: &[u64]) -> bool {
        let [granted, access] = [granted, access].map(|rights| Facts::from_bits_truncate(rights.bits()));
        self.0.permits(level, raw, granted, access, controls)
    }

    /// There is no engine without code.
    fn engine(&self, _bound: &Bound) -> Verdict {
        Ok(())
    }

    fn commands(&self, tag: u32, set: &Invalidation) -> Option<Vec<Vec<u64>>> {
        let invalidation = self.0.invalidation(Means::Command, &stale(set))?;
        // A command says nothing of the root.
        let rounds = (0..invalidation.times).map(|index| self.0.round(&invalidation, index, 0, tag.into()));
        rounds.map(|round| Some(round?.command)).collect()
    }

    fn completion(&self, signal: Signal) -> Result<Vec<u64>, Refusal> {
        let (word, address, data) = match signal {
            Signal::Write { address, data } => (model::Signal::Write, address.as_usize() as u64, data),
            Signal::Interrupt => (model::Signal::Interrupt, 0, 0),
            Signal::Consumed => (model::Signal::Consumed, 0, 0),
        };
        self.0.completion(word, address, data).map_err(refusal)
    }

    fn at_entry(&self, tag: u32, set: &Invalidation) -> Option<(String, u64)> {
        let invalidation = self.0.invalidation(Means::Entry, &stale(set))?;
        let (control, value) = self.0.round(&invalidation, 0, 0, tag.into())?.at_entry?;
        Some((control, value?))
    }

    fn invalidation_limit(&self, leaf_only: bool) -> u64 {
        self.0.invalidation_limit(leaf_only)
    }

    fn of_machine(&self, case: &Case<'_>, registers: &[u64]) -> Option<Vec<(String, i64)>> {
        let known = case.format.capabilities.as_ref().map_or(0, |capabilities| capabilities.registers.len());
        let params = self.0.params.of_machine(case.format, registers).ok().filter(|_| registers.len() == known)?;
        Some(params.iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn fault(&self, report: &[u64]) -> Option<FaultInfo> {
        let fault = self.0.fault(report)?;
        Some(FaultInfo {
            address: fault.address,
            access: access(fault.access),
            cause: cause(fault.cause),
            level: fault.level,
            width: fault.width,
            guest_walk: fault.guest_walk,
        })
    }

    fn raise(&self, fault: &Stage1Fault, controls: &[u64]) -> Option<Vec<u64>> {
        let Stage1Fault { address, level, entry, .. } = *fault;
        let why = match fault.cause {
            Stage1Cause::Input => Why::Input,
            Stage1Cause::NotMapped => Why::NotMapped,
            Stage1Cause::Reserved(_) => Why::Reserved,
            Stage1Cause::NotMarked => Why::NotMarked,
            Stage1Cause::Denied => Why::Denied,
        };
        let [access, granted] = [fault.access, fault.granted].map(|rights| Facts::from_bits_truncate(rights.bits()));
        self.0.raise(&Met { address, access, why, level, entry, granted }, controls)
    }

    fn translated(&self, registers: &[u64]) -> Option<Translated> {
        Some(match self.0.translated(registers)? {
            interpret::Translated::To { address, memory, shareability } => Translated::To {
                address,
                memory: memory.map_or(MemoryType::Unnamed, memory_in),
                shareability: shareability.map(self::shareability),
            },
            interpret::Translated::Fault { cause, level, second_stage, guest_walk } => {
                Translated::Fault { cause: self::cause(cause), level, second_stage, guest_walk }
            }
        })
    }
}

/// Who shares memory.
pub(super) fn shareability(shareability: model::Shareability) -> Shareability {
    match shareability {
        model::Shareability::Non => Shareability::Non,
        model::Shareability::Inner => Shareability::Inner,
        model::Shareability::Outer => Shareability::Outer,
    }
}

fn stale(set: &Invalidation) -> Stale {
    match set {
        Invalidation::All => Stale::All,
        Invalidation::Space => Stale::Space,
        Invalidation::Range { range, leaf_only, granule } => {
            Stale::Pages { start: range.start(), last: range.last(), leaf_only: *leaf_only, page_bits: *granule }
        }
    }
}

fn attributes(leaf: &LeafEntry) -> Attributes {
    Attributes {
        rights: Rights::from_bits_truncate(leaf.facts.bits()),
        memory: leaf.memory.map_or(MemoryType::Unnamed, memory_in),
        accessed: leaf.facts.contains(Facts::ACCESSED),
        dirty: leaf.facts.contains(Facts::DIRTY),
        options: Options::from_bits(leaf.options),
    }
}

fn facts(attributes: &Attributes) -> Facts {
    let mut facts = Facts::from_bits_truncate(attributes.rights.bits());
    facts.set(Facts::ACCESSED, attributes.accessed);
    facts.set(Facts::DIRTY, attributes.dirty);
    facts
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Size { level, size } => Refusal::Size { level, size },
        Refused::Address(address) => Refusal::Address(address),
        Refused::Rights(facts) => Refusal::Rights(Rights::from_bits_truncate(facts.bits())),
        Refused::Memory(memory) => Refusal::Memory(memory_in(memory)),
        Refused::Options(options) => Refusal::Options(Options::from_bits(options)),
        Refused::Tag(tag) => Refusal::Tag(Tag(tag as u32)),
        Refused::Data(data) => Refusal::Data(data),
        Refused::Signal => Refusal::Signal,
    }
}

/// A signal with what it writes, if it does.
pub(super) fn signal_of(signal: model::Signal, address: u64, data: u64) -> Signal {
    match signal {
        model::Signal::Write => Signal::Write { address: HostPhysAddr::from_usize(address as usize), data },
        model::Signal::Interrupt => Signal::Interrupt,
        model::Signal::Consumed => Signal::Consumed,
    }
}

pub(super) fn access(access: FaultAccess) -> Rights {
    match access {
        FaultAccess::Read => Rights::R,
        FaultAccess::Write => Rights::W,
        FaultAccess::Execute => Rights::X,
        FaultAccess::None => Rights::empty(),
    }
}

pub(super) fn cause(cause: FaultCause) -> Cause {
    match cause {
        FaultCause::NotMapped => Cause::NotMapped,
        FaultCause::Permission => Cause::Permission,
        FaultCause::AccessFlag => Cause::AccessFlag,
        FaultCause::AddressSize => Cause::AddressSize,
        FaultCause::Misconfigured => Cause::Misconfigured,
        FaultCause::External => Cause::External,
        FaultCause::Unspecified => Cause::Unspecified,
    }
}

/// The memory types of the runtime, and those of the files, in the same order.
const MEMORY: [(MemoryType, model::MemoryType); 11] = [
    (MemoryType::Inherit, model::MemoryType::Inherit),
    (MemoryType::WriteBack, model::MemoryType::WriteBack),
    (MemoryType::WriteThrough, model::MemoryType::WriteThrough),
    (MemoryType::WriteProtected, model::MemoryType::WriteProtected),
    (MemoryType::WriteCombining, model::MemoryType::WriteCombining),
    (MemoryType::NonCacheable, model::MemoryType::NonCacheable),
    (MemoryType::Uncached, model::MemoryType::Uncached),
    (MemoryType::DeviceNGnRnE, model::MemoryType::DeviceNGnRnE),
    (MemoryType::DeviceNGnRE, model::MemoryType::DeviceNGnRE),
    (MemoryType::DeviceNGRE, model::MemoryType::DeviceNGRE),
    (MemoryType::DeviceGRE, model::MemoryType::DeviceGRE),
];

/// The memory types that a file can name.
pub(super) fn memory_types() -> impl Iterator<Item = MemoryType> + Clone {
    MEMORY.iter().map(|(memory, _)| *memory)
}

pub(super) fn memory_in(memory: model::MemoryType) -> MemoryType {
    MEMORY.iter().find(|(_, theirs)| *theirs == memory).map_or(MemoryType::Unnamed, |(ours, _)| *ours)
}

fn memory_out(memory: MemoryType) -> Option<model::MemoryType> {
    MEMORY.iter().find(|(ours, _)| *ours == memory).map(|(_, theirs)| *theirs)
}
