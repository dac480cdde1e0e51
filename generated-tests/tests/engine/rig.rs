//! One table on a simulated machine, with what checks it: a plain model of what is mapped, a walker that uses nothing
//! of the engine, and a cache that remembers translations until they are invalidated.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use tablewright::{
    Attributes, Change, ClosedRange, Entry, Error, Extension, Format, Gather, Hal, HostPhysAddr, Invalidation,
    PageBitmap, PageTable, Region, Rights, State, Tag,
    sim::{Machine, Mmu, Observer, Rules},
};

use tablewright_archdefs::bound::Bound;

pub(crate) fn range(start: u64, size: u64) -> ClosedRange {
    ClosedRange::from_start_size(start, size).expect("a range")
}

/// Attributes without accessed and dirty states, for the hardware to set.
pub(crate) fn attributes(rights: Rights) -> Attributes {
    Attributes { accessed: false, dirty: false, ..Attributes::new(rights, tablewright::MemoryType::WriteBack) }
}

/// What a walk found.
#[derive(Clone, Debug)]
pub(crate) struct Walked {
    pub(crate) output: u64,
    pub(crate) level: u8,
    pub(crate) attributes: Attributes,
    /// Where the leaf is.
    pub(crate) entry: u64,
    /// The tables on the way.
    pub(crate) path: Vec<u64>,
}

/// Walks as an MMU does.
pub(crate) fn walk<F: Format>(machine: &Machine, format: &F, root: u64, ia: u64) -> Option<Walked> {
    let geometry = format.geometry();
    let mut level = geometry.levels - 1;
    let mut table = root;
    let mut path = vec![root];
    loop {
        let shift = u32::from(geometry.page_bits + geometry.index_bits * level);
        let bits = if level == geometry.levels - 1 {
            u32::from(geometry.input_bits) - shift
        } else {
            u32::from(geometry.index_bits)
        };
        let index = (ia >> shift) & (u64::MAX >> (64 - bits));
        let entry = table + 8 * index;
        match format.decode(level, machine.read_word(entry).expect("tables are allocated")) {
            Entry::Invalid => return None,
            Entry::Reserved(rule) => panic!("misconfigured at {ia:#x}, level {level}: {rule}"),
            Entry::Table(next) => {
                assert_eq!(next.level, level - 1);
                (level, table) = (next.level, next.address);
                path.push(table);
            }
            Entry::Leaf(leaf) => {
                // Items that hold addresses of their own differ in the bits above their own size.
                let mask = (1 << leaf.size) - 1;
                let output = leaf.address & !mask | ia & mask;
                return Some(Walked { output, level, attributes: leaf.attributes, entry, path });
            }
        }
    }
}

/// Marks a leaf as the hardware does; `false` if it does not.
fn mark<F: Format>(machine: &Machine, format: &F, found: &Walked, dirty: bool) -> bool {
    let states = format.accessed_dirty(found.level);
    if !states.hardware {
        return false;
    }
    let entry = machine.phys_to_virt(HostPhysAddr::from_usize(found.entry as usize)).cast::<AtomicU64>();
    // SAFETY: an entry of a table, accessed atomically.
    let entry = unsafe { entry.as_ref() };
    let mut raw = entry.load(Ordering::Acquire) & !states.accessed_mask | states.accessed_value;
    if dirty {
        raw = raw & !states.dirty_mask | states.dirty_value;
    }
    entry.store(raw, Ordering::Release);
    // Some set the accessed state only, and leave the dirty state to software.
    !dirty || states.dirty_mask != 0
}

/// Whether a page that loses its right to be written can still say that it is dirty.
fn keeps_dirty<F: Format>(format: &F, change: &Change) -> bool {
    let Some(rights) = change.rights.filter(|rights| !rights.contains(Rights::W)) else { return true };
    let dirty = Attributes { rights, dirty: true, ..attributes(rights) };
    canonical(format, &dirty).is_some_and(|attributes| attributes.dirty)
}

/// What a page reads back that was written with these attributes, if the format can say them.
pub(crate) fn canonical<F: Format>(format: &F, attributes: &Attributes) -> Option<Attributes> {
    let prototype = format.prototype(0, F::PAGE_BITS, attributes).ok()?;
    match format.decode(0, format.strip(prototype, 0, 1).first) {
        Entry::Leaf(leaf) => Some(leaf.attributes),
        _ => None,
    }
}

#[derive(Debug)]
struct Cached {
    ia: u64,
    /// `None`: only the tables are still cached.
    leaf: Option<(u64, Rights)>,
    path: Vec<u64>,
}

/// Translations as a CPU may remember them.
#[derive(Debug)]
pub(crate) struct Cache<F> {
    format: F,
    cached: Mutex<Vec<Cached>>,
    complaints: Mutex<Vec<String>>,
}

impl<F: Format> Cache<F> {
    fn fill(&self, machine: &Machine, root: u64, ia: u64) {
        if let Some(found) = walk(machine, &self.format, root, ia) {
            let leaf = Some((found.output, found.attributes.rights));
            self.cached.lock().unwrap().push(Cached { ia, leaf, path: found.path });
        }
    }

    /// Everything cached must be what the tables say, then forget it.
    fn check(&self, machine: &Machine, root: u64) {
        for cached in self.cached.lock().unwrap().drain(..) {
            let now = walk(machine, &self.format, root, cached.ia);
            if let Some(leaf) = cached.leaf {
                let now = now.as_ref().map(|now| (now.output, now.attributes.rights));
                assert_eq!(now, Some(leaf), "stale translation of {:#x}", cached.ia);
            }
            for table in cached.path {
                assert!(machine.is_allocated(table), "stale table {table:#x} on the way to {:#x}", cached.ia);
            }
        }
        let complaints = self.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

impl<F: Format> Observer for Cache<F> {
    fn invalidated(&self, _: &Machine, _: HostPhysAddr, _: Tag, set: &Invalidation) {
        let mut cached = self.cached.lock().unwrap();
        match *set {
            Invalidation::Space | Invalidation::All => cached.clear(),
            Invalidation::Range { range, leaf_only: false, .. } => cached.retain(|cached| !range.contains(cached.ia)),
            Invalidation::Range { range, leaf_only: true, .. } => {
                cached.iter_mut().filter(|cached| range.contains(cached.ia)).for_each(|cached| cached.leaf = None);
            }
        }
    }

    fn freed(&self, _: &Machine, frame: HostPhysAddr, size: u8) {
        let frame = frame.as_usize() as u64;
        let inside = |address: u64| address >> size == frame >> size;
        for cached in self.cached.lock().unwrap().iter() {
            if cached.path.iter().any(|&table| inside(table)) || cached.leaf.is_some_and(|(output, _)| inside(output)) {
                self.complaints.lock().unwrap().push(format!("{frame:#x} freed while in use by {cached:x?}"));
            }
        }
    }
}

/// What is mapped, as a sorted list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) mapped: Vec<Region>,
}

impl Model {
    fn intersecting(&self, range: ClosedRange) -> impl Iterator<Item = Region> + '_ {
        self.mapped.iter().filter_map(move |region| {
            let part = region.range.intersection(&range)?;
            let address = region.address + (part.start() - region.range.start());
            Some(Region { range: part, address, attributes: region.attributes })
        })
    }

    pub(crate) fn remove(&mut self, range: ClosedRange) {
        let left = range.start().checked_sub(1).map(|last| ClosedRange::new(0, last).unwrap());
        let right = range.last().checked_add(1).map(|start| ClosedRange::new(start, u64::MAX).unwrap());
        self.mapped =
            [left, right].into_iter().flatten().flat_map(|rest| self.intersecting(rest).collect::<Vec<_>>()).collect();
    }

    pub(crate) fn insert(&mut self, region: Region) {
        self.mapped.push(region);
        self.mapped.sort_by_key(|region| region.range.start());
    }

    pub(crate) fn protect(&mut self, range: ClosedRange, change: &Change) {
        let changed: Vec<Region> = self.intersecting(range).collect();
        self.remove(range);
        for region in changed {
            self.insert(Region { attributes: region.attributes.with(change), ..region });
        }
    }

    /// With what continues each other joined, and without accessed and dirty.
    fn joined(&self) -> Vec<Region> {
        let mut joined: Vec<Region> = Vec::new();
        for &region in &self.mapped {
            if let Some(last) = joined.last_mut()
                && last.range.last().checked_add(1) == Some(region.range.start())
                && last.address + last.range.span() + 1 == region.address
                && last.attributes == region.attributes
            {
                last.range = last.range.hull(&region.range);
            } else {
                joined.push(region);
            }
        }
        joined
    }
}

/// A table and everything that checks it.
pub(crate) struct Rig<F: Format> {
    pub(crate) machine: Machine,
    pub(crate) table: PageTable<F, Machine>,
    pub(crate) model: Model,
    /// No hardware uses the table.
    pub(crate) idle: bool,
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
        let cache = Arc::new(Cache { format, cached: Mutex::default(), complaints: Mutex::default() });
        machine.observe(cache.clone());
        Self {
            machine,
            table,
            model: Model::default(),
            idle: false,
            cache,
            mmus: Vec::new(),
            touched: Vec::new(),
            owned: 0,
        }
    }

    /// The same, with the interpreter as the MMU of two CPUs that use the table.
    pub(crate) fn judged(format: F, bound: Bound, rules: Rules) -> Self {
        let mut rig = Self::new(format);
        rig.mmus = [1, 2].map(|seed| Mmu::new(&rig.machine, seed)).into();
        for mmu in &rig.mmus {
            mmu.load_by(rig.table.tag(), rig.table.root(), bound.clone(), rules);
        }
        rig
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

    /// Maps on the table and in the model; returns what the table said.
    pub(crate) fn map(&mut self, range: ClosedRange, oa: u64, attributes: Attributes) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.table.gather();
        // SAFETY: nobody accesses memory through this table.
        let result = unsafe { self.table.map(range, oa, &attributes, &mut gather) };
        let conflict = self.model.intersecting(range).next();
        match (result, conflict) {
            (Ok(()), None) => self.model.insert(Region { range, address: oa, attributes }),
            (Err(Error::AlreadyMapped { address, .. }), Some(region)) => assert_eq!(address, region.range.start()),
            (Err(_), None) => {}
            (result, conflict) => panic!("mapping {range:x?}: {result:?}, but the model says {conflict:x?}"),
        }
        self.finish(gather);
        result
    }

    pub(crate) fn unmap(&mut self, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.table.gather();
        let result = self.table.unmap(range, &mut gather);
        if result.is_ok() {
            self.model.remove(range);
            self.touched.retain(|(ia, _)| !range.contains(*ia));
        }
        self.finish(gather);
        result
    }

    pub(crate) fn protect(&mut self, range: ClosedRange, change: Change) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.table.gather();
        let result = self.table.protect(range, &change, &mut gather);
        if result.is_ok() {
            self.model.protect(range, &change);
            if !keeps_dirty(self.table.format(), &change) {
                self.touched.iter_mut().filter(|(ia, _)| range.contains(*ia)).for_each(|(_, dirty)| *dirty = false);
            }
        }
        self.finish(gather);
        result
    }

    /// Lets the leaf at `ia`, if it is no run, map to another address and say something else.
    pub(crate) fn remap(&mut self, ia: u64, oa: u64, attributes: Attributes) -> Result<bool, Error> {
        let page = ClosedRange::around(ia, F::PAGE_BITS);
        self.touch(page);
        let leaf = self.table.mappings(page).next();
        let oa = leaf.map_or(oa, |leaf| ClosedRange::around(oa, leaf.size).start());
        let mut gather = self.table.gather();
        // SAFETY: nobody accesses memory through this table.
        let result = unsafe { self.table.remap(ia, oa, &attributes, &mut gather) };
        if let (Ok(true), Some(leaf)) = (result, leaf) {
            self.model.remove(leaf.range);
            self.model.insert(Region { range: leaf.range, address: oa, attributes });
            self.touched.retain(|(ia, _)| !leaf.range.contains(*ia));
        }
        self.finish(gather);
        result
    }

    /// Harvests twice: the second time there is nothing left.
    pub(crate) fn harvest(&mut self, state: State, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let words = PageBitmap::words(range, F::PAGE_BITS);
        let (mut first, mut second) = (vec![0; words], vec![0; words]);
        let mut pages = PageBitmap::new(range, F::PAGE_BITS, &mut first).unwrap();
        let mut gather = self.table.gather();
        let result = self.table.harvest_exclusive(state, &mut pages, &mut gather);
        if result.is_ok() {
            for &(ia, dirty) in self.touched.iter().filter(|(ia, _)| range.contains(*ia)) {
                assert!(pages.contains(ia) || state == State::Dirty && !dirty, "a state was lost at {ia:#x}");
            }
            match state {
                State::Accessed => self.touched.retain(|(ia, _)| !range.contains(*ia)),
                State::Dirty => {
                    self.touched.iter_mut().filter(|(ia, _)| range.contains(*ia)).for_each(|(_, dirty)| *dirty = false);
                }
            }
            if state == State::Dirty && self.table.format().accessed_dirty(0).dirty_mask == 0 {
                for region in self.model.intersecting(range).collect::<Vec<_>>() {
                    let written = region.attributes.rights.intersects(Rights::W);
                    assert!(pages.contains(region.range.start()) == written, "{region:x?}");
                    let rights = Some(region.attributes.rights - Rights::W);
                    self.model.protect(region.range, &Change { rights, ..Change::default() });
                }
            }
            let mut again = PageBitmap::new(range, F::PAGE_BITS, &mut second).unwrap();
            self.table.harvest(state, &mut again, &mut gather).expect("no leaf reaches beyond the range any more");
            assert!(again.is_empty(), "not cleared: {again:x?}");
        }
        self.finish(gather);
        result
    }

    /// Moves on the table and in the model; returns what the table said.
    pub(crate) fn move_range(&mut self, range: ClosedRange, to: u64) -> Result<(), Error> {
        let target = ClosedRange::from_start_size(to, range.span() + 1).expect("it does not wrap around");
        self.touch(range);
        self.touch(target);
        let moved: Vec<Region> = self.model.intersecting(range).collect();
        let leaves = self.table.mappings(range).count();
        let mut gather = self.table.gather();
        let result = self.table.move_range(range, to, &mut gather);
        assert!(gather.is_empty(), "the memory is still at its former place");
        let conflict = self.model.intersecting(target).next();
        match (result, range.intersection(&target), conflict) {
            (Ok(()), None, None) => {
                let there = |address: u64| address - range.start() + to;
                self.model.remove(range);
                for region in moved {
                    let range = ClosedRange::new(there(region.range.start()), there(region.range.last())).unwrap();
                    self.model.insert(Region { range, ..region });
                }
                self.touched.iter_mut().filter(|(ia, _)| range.contains(*ia)).for_each(|(ia, _)| *ia = there(*ia));
                assert!(self.table.mappings(target).count() >= leaves, "leaves became larger");
            }
            (Err(Error::Overlap(found)), Some(both), _) => assert_eq!(found, both),
            (Err(Error::AlreadyMapped { address, .. }), None, Some(region)) => {
                assert_eq!(address, region.range.start());
            }
            (Err(_), None, None) => {}
            other => panic!("moving {range:x?} to {to:#x}: {other:?}"),
        }
        self.finish(gather);
        result
    }

    /// Splits; nothing that is larger is left, and nothing else changed.
    pub(crate) fn split_to(&mut self, range: ClosedRange, size: u8) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.table.gather();
        let result = self.table.split_to(range, size, &mut gather);
        if result.is_ok() {
            let limit = size.max(F::PAGE_BITS);
            assert!(self.table.mappings(range).all(|leaf| range.covers(&leaf.range) && leaf.size <= limit));
        }
        self.finish(gather);
        result
    }

    /// Collapses; nothing that is mapped changes.
    pub(crate) fn collapse(&mut self, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let before = self.table.tables().count();
        let mut gather = self.table.gather();
        // SAFETY: callers use this where only `map` mapped.
        let result = unsafe { self.table.collapse(range, &mut gather) };
        self.finish(gather);
        assert!(self.table.tables().count() <= before);
        result
    }

    /// Enlarges frames; the model believes the table which they are, and nothing else.
    pub(crate) fn enlarge(&mut self, range: ClosedRange, largest: u8) -> Result<usize, Error> {
        self.touch(range);
        let leaves = self.table.mappings(range).count();
        let mut gather = self.table.gather();
        // SAFETY: callers use this where only `populate` mapped.
        let result = unsafe { self.table.enlarge(range, largest, &mut gather) };
        assert_eq!(self.table.mappings(range).count() < leaves, result.is_ok_and(|taken| taken > 0));
        for region in self.model.intersecting(range).collect::<Vec<_>>() {
            self.model.remove(region.range);
            for now in self.table.regions(region.range) {
                self.model.insert(Region { attributes: region.attributes, ..now });
            }
            let mapped: u64 = self.model.intersecting(region.range).map(|now| now.range.span() + 1).sum();
            assert_eq!(mapped, region.range.span() + 1, "a hole in {region:x?}");
        }
        self.finish(gather);
        result
    }

    /// Populates; the model believes the frames that the table shows, after checks of its own.
    pub(crate) fn populate(&mut self, range: ClosedRange, attributes: Attributes, largest: u8) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.table.gather();
        let result = self.table.populate(range, &attributes, largest, &mut gather);
        if result.is_ok() {
            let before = self.model.clone();
            let mut next = range.start();
            for mapping in self.table.mappings(range).collect::<Vec<_>>() {
                assert!(mapping.range.start() <= next, "hole at {next:#x} after populate");
                next = mapping.range.last().wrapping_add(1);
                if before.intersecting(mapping.range).next().is_some() {
                    continue;
                }
                let words = (0..1 << mapping.size).step_by(512).map(|at| self.machine.read_word(mapping.address + at));
                assert!(words.into_iter().all(|word| word == Some(0)), "a frame that is not zeroed");
                self.owned += 1 << mapping.size;
                self.model.insert(Region { range: mapping.range, address: mapping.address, attributes });
            }
        }
        self.finish(gather);
        result
    }

    pub(crate) fn depopulate(&mut self, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.table.gather();
        // SAFETY: callers use this where only `populate` mapped.
        let result = unsafe { self.table.depopulate(range, &mut gather) };
        if result.is_ok() {
            self.owned -= self.model.intersecting(range).map(|region| region.range.span() as usize + 1).sum::<usize>();
            self.model.remove(range);
            self.touched.retain(|(ia, _)| !range.contains(*ia));
        }
        self.finish(gather);
        result
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

    fn finish(&mut self, gather: Gather<F, Machine>) {
        drop(gather);
        for mmu in &self.mmus {
            mmu.check(&self.machine);
            assert_eq!(mmu.take_violations(), []);
        }
        self.cache.check(&self.machine, self.root());
    }

    /// Compares the table with the model, in every way there is.
    pub(crate) fn check(&self) {
        let joined = self.model.joined();
        let regions: Vec<Region> = self.everything().into_iter().flat_map(|all| self.table.regions(all)).collect();
        let plain = |region: &Region| {
            let attributes = Attributes { accessed: false, dirty: false, ..region.attributes };
            Region { attributes, ..*region }
        };
        assert_eq!(regions.iter().map(plain).collect::<Vec<_>>(), joined.iter().map(plain).collect::<Vec<_>>());
        for region in &joined {
            let page = self.page();
            for ia in [region.range.start(), region.range.last(), region.range.start() + region.range.span() / 2] {
                self.check_address(ia, Some(region));
            }
            for ia in [region.range.start().wrapping_sub(page), region.range.last().wrapping_add(1)] {
                if self.everything().iter().any(|all| all.contains(ia)) {
                    self.check_address(ia, joined.iter().find(|other| other.range.contains(ia)));
                }
            }
        }
        for &(ia, dirty) in &self.touched {
            let found = self.table.mappings(range(ia & !(self.page() - 1), self.page())).next().expect("mapped");
            assert!(found.attributes.accessed && (found.attributes.dirty || !dirty), "lost a state at {ia:#x}");
        }
        self.check_tables();
    }

    fn check_address(&self, ia: u64, expected: Option<&Region>) {
        let found = walk(&self.machine, self.table.format(), self.root(), ia);
        let output = expected.map(|region| region.address + (ia - region.range.start()));
        assert_eq!(found.as_ref().map(|found| found.output), output, "at {ia:#x}");
        assert_eq!(self.table.translate(ia), output, "at {ia:#x}");
        if let (Some(found), Some(expected)) = (found, expected) {
            assert_eq!(found.attributes.rights, expected.attributes.rights, "at {ia:#x}");
            assert_eq!(found.attributes.memory, expected.attributes.memory, "at {ia:#x}");
        }
    }

    /// No empty table below the root, no address in an entry that is not present, no frame unaccounted for.
    fn check_tables(&self) {
        let format = self.table.format();
        let mut bytes = 0;
        for (number, info) in self.table.tables().enumerate() {
            bytes += 1 << info.size;
            let start = info.address.as_usize() as u64;
            let mut empty = true;
            for at in (0..1 << info.size).step_by(8) {
                let raw = self.machine.read_word(start + at).expect("tables are allocated");
                if format.decode(info.level, raw) == Entry::Invalid {
                    assert_eq!(raw, format.empty(info.level), "something left in an entry that is not present");
                } else {
                    empty = false;
                }
            }
            assert!(number == 0 || !empty, "{info:x?} is empty");
        }
        assert_eq!(self.machine.used(), bytes + self.owned);
        assert_eq!(self.machine.take_errors(), []);
    }

    /// Every table, byte by byte.
    pub(crate) fn snapshot(&self) -> Vec<(u64, Vec<u8>)> {
        let dump =
            |info: tablewright::TableInfo| (info.address.as_usize() as u64, self.machine.dump(info.address, info.size));
        self.table.tables().map(dump).collect()
    }

    /// Unmaps everything: only the root is left, and nothing once the table is gone.
    pub(crate) fn end_of_life(mut self) {
        for all in self.everything() {
            self.unmap(all).expect("unmapping everything needs nothing");
        }
        self.check();
        assert_eq!(self.table.tables().count(), 1);
        let (machine, owned) = (self.machine.clone(), self.owned);
        drop(self);
        assert_eq!(machine.used(), owned);
    }
}
