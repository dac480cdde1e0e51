//! Generated code as the subject of the laws.

use crate::{
    Attributes, ByName, Change, ConfigError, Edit, Entry, FaultInfo, Geometry, HostPhysAddr, Invalidation, Level, Next,
    PageSizes, Refusal, Rights, Signal, Stage1Fault, Tag, Translated, Written,
};
use std::prelude::rust_2024::*;

use tablewright_archdefs::bound::{Bound, Params};

use super::{Case, Glance, Subject, Verdict, engine};

/// A generated format, configured.
///
/// ```
/// use tablewright::testing::Subject;
/// use tablewright::{generated_format, riscv64::sv_x4};
/// # use tablewright::testing::{Interpreted, configured};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = tablewright_archdefs::read_builtin("sv_x4").ok_or("no such format")?.1.map_err(|_| "mistakes")?;
/// # let all = configured(format)?;
/// # let first = &all[0];
/// # let reference = Interpreted(first.bound.clone());
/// let generated = generated_format!(sv_x4, first.params).ok_or("another module's parameters")??;
/// assert_eq!(generated.table(2, 0x8000_4000)?, 0x2000_1001);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Generated<F: ByName> {
    /// The format.
    pub format: F,
}

/// The generated format under these parameters, or the error of its constructor; `None` if they belong to another module of
/// the same file.
#[doc(hidden)]
pub fn generated<F: ByName>(params: &Params) -> Option<Result<Generated<F>, ConfigError>> {
    let mut config = F::config(0, 0);
    let known = params.iter().all(|(name, value)| F::set(&mut config, name, value));
    known.then(|| F::new(&config).map(|format| Generated { format }))
}

impl<F: ByName> Subject for Generated<F> {
    fn geometry(&self) -> Geometry {
        self.format.geometry()
    }

    fn index(&self, level: Level, ia: u64) -> u64 {
        self.format.geometry().index(level, ia) as u64
    }

    fn page_sizes(&self, level: Level) -> PageSizes {
        self.format.page_sizes(level)
    }

    fn table_accessed(&self, level: Level) -> u64 {
        self.format.table_accessed(level)
    }

    fn invalid_cached(&self) -> bool {
        self.format.invalid_cached()
    }

    fn leaf(&self, level: Level, size: u8, oa: u64, attributes: &Attributes) -> Result<Vec<u64>, Refusal> {
        let prototype = self.format.prototype(level, size, attributes)?;
        let entry_bits = self.format.geometry().entry_bits(level);
        let count = 1 << (size - entry_bits);
        let mut items = Vec::with_capacity(count);
        while items.len() < count {
            let next = oa + ((items.len() as u64) << entry_bits);
            let strip = self.format.strip(prototype, next, count - items.len());
            items.extend((0..strip.items as u64).map(|item| strip.first + item * strip.step));
        }
        Ok(items)
    }

    fn rewrite(&self, level: Level, raw: u64, change: &Change) -> Result<u64, Refusal> {
        Ok(self.format.rewrite(level, change)?.apply(raw))
    }

    fn grant(&self, level: Level, raw: u64, rights: Rights, dirty: bool) -> Option<u64> {
        self.format.grant(level, raw, rights, dirty)
    }

    fn first_write(&self, raw: u64, rights: Rights) -> Option<Written> {
        self.format.first_writes().after(raw, rights)
    }

    fn table(&self, level: Level, address: u64) -> Result<u64, Refusal> {
        self.format.table(level, address)
    }

    fn empty(&self, level: Level) -> u64 {
        self.format.empty(level)
    }

    fn may_break(&self, change: &Change) -> bool {
        self.format.may_break(change)
    }

    fn edit(&self, level: Level, old: u64, new: u64) -> Edit {
        self.format.edit(level, old, new)
    }

    fn decode(&self, level: Level, raw: u64) -> Entry {
        match self.format.decode(level, raw) {
            Entry::Reserved(_) => Entry::Reserved(""),
            entry => entry,
        }
    }

    fn glance(&self, level: Level, raw: u64) -> Glance {
        match self.format.next(level, raw) {
            Next::Absent => Glance::Absent,
            Next::Table(address) => Glance::Table(address),
            Next::Leaf => {
                let (address, size) = (self.format.output(level, raw), self.format.leaf_bits(level, raw));
                let is_item = self.format.kinds(level).is_item(raw);
                Glance::Leaf { address, size, is_item, rights: self.format.rights(level, raw) }
            }
        }
    }

    fn link(&self, level: Level, raw: u64) -> Option<u64> {
        self.format.links()(level, raw)
    }

    fn translate(&self, level: Level, raw: u64, ia: u64) -> Option<u64> {
        (self.format.next(level, raw) == Next::Leaf).then(|| self.format.translate(level, raw, ia))
    }

    fn registers(&self, root: u64, tag: u32) -> Option<Vec<(String, u64)>> {
        let registers = self.format.registers(HostPhysAddr::from_usize(root as usize), Tag(tag)).ok()?;
        Some(F::register_values(&registers).map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn permits(&self, level: Level, raw: u64, granted: Rights, access: Rights, controls: &[u64]) -> bool {
        let controls = F::controls(controls);
        controls.is_some_and(|controls| self.format.permits(level, raw, granted, access, &controls))
    }

    fn engine(&self, bound: &Bound) -> Verdict {
        engine::run(self.format, bound)
    }

    fn commands(&self, tag: u32, set: &Invalidation) -> Option<Vec<Vec<u64>>> {
        let mut found = Vec::new();
        self.format.commands(Tag(tag), set, |words| found.push(words.to_vec())).then_some(found)
    }

    fn completion(&self, signal: Signal) -> Result<Vec<u64>, Refusal> {
        let mut command = Vec::new();
        self.format.completion(signal, |words| command.extend(words)).map(|()| command)
    }

    fn at_entry(&self, tag: u32, set: &Invalidation) -> Option<(String, u64)> {
        let told = self.format.at_entry(Tag(tag), set)?;
        Some((told.control.to_owned(), told.value))
    }

    fn invalidation_limit(&self, leaf_only: bool) -> u64 {
        self.format.invalidation_limit(leaf_only)
    }

    fn of_machine(&self, _case: &Case<'_>, registers: &[u64]) -> Option<Vec<(String, i64)>> {
        let geometry = self.format.geometry();
        let config = F::of_machine(registers, geometry.levels, geometry.input_bits)?;
        Some(F::parameters(&config).map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn fault(&self, report: &[u64]) -> Option<FaultInfo> {
        self.format.fault(&F::report(report)?)
    }

    fn raise(&self, fault: &Stage1Fault, controls: &[u64]) -> Option<Vec<u64>> {
        let report = self.format.raise(fault, &F::controls(controls)?)?;
        Some(F::report_values(&report).map(|(_, value)| value).collect())
    }

    fn translated(&self, registers: &[u64]) -> Option<Translated> {
        self.format.translated(registers)
    }
}
