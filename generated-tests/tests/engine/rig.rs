//! One table on a simulated machine, with what checks it: a plain model of what is mapped, a walker that uses nothing
//! of the engine, and a cache that remembers translations until they are invalidated.

mod cache;
mod check;
mod model;
mod steps;
mod walk;

pub(crate) use walk::{canonical, walk};

use std::sync::Arc;

use tablewright::{
    Attributes, ClosedRange, Extension, Format, Gather, PageTable, Rights, Tag,
    sim::{Machine, Mmu, Rules},
};
use tablewright_archdefs::bound::Bound;

use cache::Cache;
use model::Model;
use walk::mark;

pub(crate) fn range(start: u64, size: u64) -> ClosedRange {
    ClosedRange::from_start_size(start, size).expect("a range")
}

/// Attributes without accessed and dirty states, for the hardware to set.
pub(crate) fn attributes(rights: Rights) -> Attributes {
    Attributes { accessed: false, dirty: false, ..Attributes::new(rights, tablewright::MemoryType::WriteBack) }
}

/// A table and everything that checks it.
pub(crate) struct Rig<F: Format> {
    pub(crate) machine: Machine,
    pub(crate) table: PageTable<F, Machine>,
    pub(crate) model: Model,
    /// No hardware uses the table.
    pub(crate) idle: bool,
    /// Operations have one gather, until it is settled.
    pub(crate) together: bool,
    kept: Option<Gather<F, Machine>>,
    cache: Arc<Cache<F>>,
    /// The simulated CPUs, where the format can be interpreted.
    mmus: Vec<Arc<Mmu>>,
    /// Pages that the hardware marked, and whether it wrote to them.
    touched: Vec<(u64, bool)>,
    /// Bytes of frames that are mapped and belong to the table's user.
    pub(crate) owned: usize,
}

impl<F: Format> Rig<F> {
    pub(crate) fn new(format: F) -> Self {
        Self::on(Machine::new(0x4000_0000, 128 << 20), format)
    }

    pub(crate) fn on(machine: Machine, format: F) -> Self {
        let table = PageTable::new(format, machine.clone(), Tag(7)).expect("a table");
        let cache = Arc::new(Cache::new(format));
        machine.observe(cache.clone());
        Self {
            machine,
            table,
            model: Model::default(),
            idle: false,
            together: false,
            kept: None,
            cache,
            mmus: Vec::new(),
            touched: Vec::new(),
            owned: 0,
        }
    }

    /// The same, with the interpreter as the MMU of two CPUs that use the table.
    pub(crate) fn judged(format: F, bound: Bound, rules: Rules) -> Self {
        let mut rig = Self::new(format);
        rig.judge(&bound, rules);
        rig
    }

    /// Lets two CPUs use the table.
    pub(crate) fn judge(&mut self, bound: &Bound, rules: Rules) {
        self.mmus = [1, 2].map(|seed| Mmu::new(&self.machine, seed)).into();
        for mmu in &self.mmus {
            mmu.load_by(self.table.tag(), self.table.root(), bound.clone(), rules);
        }
    }

    pub(crate) fn root(&self) -> u64 {
        self.table.root().as_usize() as u64
    }

    pub(crate) fn page(&self) -> u64 {
        1 << F::PAGE_BITS
    }

    /// The last input address.
    pub(crate) fn end(&self) -> u64 {
        self.everything().last().unwrap().last()
    }

    /// All input addresses, as ranges.
    pub(crate) fn everything(&self) -> Vec<ClosedRange> {
        let geometry = self.table.geometry();
        match geometry.extension {
            Extension::Zero => vec![ClosedRange::new(0, geometry.last_input()).unwrap()],
            Extension::One => vec![ClosedRange::new(geometry.extend(0), u64::MAX).unwrap()],
            Extension::Sign => {
                let half = 1 << (geometry.input_bits - 1);
                vec![range(0, half), ClosedRange::new(half.wrapping_neg(), u64::MAX).unwrap()]
            }
        }
    }

    /// Lets the hardware use some addresses around a range: it caches translations and marks leaves.
    fn touch(&mut self, range: ClosedRange) {
        let (page, middle) = (self.page(), range.start() + range.span() / 2);
        let around = [
            range.start(),
            range.last(),
            middle,
            middle ^ page,
            range.start().wrapping_sub(page),
            range.last().wrapping_add(1),
        ];
        for (number, ia) in around.into_iter().enumerate() {
            if self.idle || !self.everything().iter().any(|all| all.contains(ia)) {
                continue;
            }
            let Some(found) = walk(&self.machine, self.table.format(), self.root(), ia) else { continue };
            let dirty = number == 2 && found.attributes.rights.contains(Rights::W);
            if number % 2 == 0 && mark(&self.machine, self.table.format(), &found, dirty) {
                self.touched.push((ia, dirty));
            }
            if let Some(mmu) = self.mmus.get(number % 2) {
                mmu.access(&self.machine, self.table.tag(), ia, found.attributes.rights);
            }
            self.cache.fill(&self.machine, self.root(), ia);
        }
    }

    /// Lets the CPUs look for what is not there.
    pub(crate) fn miss(&mut self, ia: u64) {
        for mmu in &self.mmus {
            mmu.access(&self.machine, self.table.tag(), ia, Rights::R);
        }
    }

    /// The gather for the next operation.
    fn gather(&mut self) -> Gather<F, Machine> {
        self.kept.take().unwrap_or_else(|| self.table.gather())
    }

    fn finish(&mut self, gather: Gather<F, Machine>) {
        self.kept = Some(gather);
        if !self.together {
            self.settle();
        }
    }

    /// Does what is still to be done of the operations so far. Nothing stale may be left then.
    pub(crate) fn settle(&mut self) {
        self.kept = None;
        for mmu in &self.mmus {
            mmu.check(&self.machine);
            assert_eq!(mmu.take_violations(), []);
        }
        self.cache.check(&self.machine, self.root());
    }
}
