//! The sinks of a table, which cache its translations: the CPUs, and devices that were attached.

use super::{Error, Gather, PageTable};
use crate::{ClosedRange, Completion, Format, Hal, HostPhysAddr, Invalidation, Level, Sink, Tag, Tags};

/// A set of sinks. That of a table always contains the CPUs, until it retires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sinks(u8);

impl Sinks {
    pub(super) const NONE: Self = Self(0);
    pub(super) const CPUS: Self = Self(1);

    fn iter(self) -> impl Iterator<Item = Sink> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let number = left.trailing_zeros() as u8;
            left &= left.wrapping_sub(1);
            if number == 0 { Some(Sink::CPUS) } else { Sink::device(number) }
        })
    }

    /// Begins an invalidation at all of them.
    pub(super) fn begin<F: Format, H: Hal>(
        self,
        hal: &H,
        format: &F,
        root: HostPhysAddr,
        tag: Tag,
        set: &Invalidation,
        pending: &mut Pending,
    ) {
        for sink in self.iter() {
            pending.add(sink, hal.begin_invalidation(sink, format, root, tag, set));
        }
    }
}

/// The latest invalidation that is under way at each sink; earlier ones complete before it.
#[derive(Debug)]
pub(super) struct Pending {
    at: Sinks,
    latest: [Completion; Sink::MOST as usize],
}

impl Pending {
    pub(super) const NONE: Self = Self { at: Sinks::NONE, latest: [Completion(0); Sink::MOST as usize] };

    pub(super) const fn is_empty(&self) -> bool {
        self.at.0 == 0
    }

    pub(super) fn is_complete(&self, hal: &impl Hal) -> bool {
        self.iter().all(|(sink, completion)| hal.is_complete(sink, completion))
    }

    pub(super) fn wait(&mut self, hal: &impl Hal) {
        self.iter().for_each(|(sink, completion)| hal.wait(sink, completion));
        self.at = Sinks::NONE;
    }

    fn add(&mut self, sink: Sink, completion: Completion) {
        if let Some(latest) = self.latest.get_mut(usize::from(sink.number())) {
            *latest = completion;
            self.at.0 |= 1 << sink.number();
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Sink, Completion)> {
        self.at.iter().filter_map(|sink| Some((sink, *self.latest.get(usize::from(sink.number()))?)))
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Lets `sink` translate through this table from now on: changes are invalidated there, too. What it holds under the
    /// table's tag, perhaps from another table that had it before, is invalidated first.
    ///
    /// If it [cannot retry](Hal::retries), operations that would have to take an entry away for a moment answer
    /// [`Error::NeedsBreak`].
    pub fn attach(&mut self, sink: Sink) {
        let before = self.sinks;
        self.sinks.0 |= 1 << sink.number();
        if self.sinks != before {
            self.invalidate_space_at(sink);
        }
    }

    /// Notes that `sink` no longer translates through this table, and invalidates what it holds of it. The CPUs cannot be
    /// detached.
    pub fn detach(&mut self, sink: Sink) {
        self.invalidate_space_at(sink);
        self.sinks.0 &= !(1 << sink.number()) | Sinks::CPUS.0;
    }

    fn invalidate_space_at(&self, sink: Sink) {
        let mut pending = Pending::NONE;
        let set = Invalidation::Space;
        Sinks(1 << sink.number()).begin(&self.hal, &self.format, self.root, self.tag, &set, &mut pending);
        pending.wait(&self.hal);
    }

    /// Gives the table a tag of the current generation of `tags`, if it has none. Returns whether it got a new one, so
    /// that the root register has a new value. Call it before entering the guest. What is cached under a former tag that
    /// did not come from `tags` is invalidated at once, because that tag may be given to others.
    ///
    /// When all tags are used up, a new generation begins: everything under every tag is invalidated, and each table
    /// needs a new tag before its guest is entered again. Guests that run at that moment must have left before another
    /// guest is entered with a tag of the new generation.
    ///
    /// # Errors
    ///
    /// [`Error::Attached`] if the table needs a new tag and devices are attached, which translate under the old one
    /// until they are detached. [`Error::Refused`] if the register cannot hold the tag. In both cases, the table keeps
    /// its tag.
    pub fn renew_tag(&mut self, tags: &Tags) -> Result<bool, Error> {
        if self.generation.is_some_and(|generation| tags.is_current(generation)) {
            return Ok(false);
        }
        if self.sinks != Sinks::CPUS {
            return Err(Error::Attached);
        }
        let (tag, generation) = tags.take();
        let level = self.geometry.top();
        self.format.registers(self.root, tag).map_err(|refusal| Error::Refused { level, refusal })?;
        // Whoever took the first tag of the generation may not have invalidated yet, or was refused.
        if !tags.is_clean(generation) {
            self.invalidate_at_once(&Invalidation::All);
            tags.cleaned(generation);
        } else if self.generation.is_none_or(|generation| !tags.gave(generation)) {
            // No new generation will void the old tag before somebody else may get it.
            self.invalidate_at_once(&Invalidation::Space);
        }
        (self.tag, self.generation) = (tag, Some(generation));
        Ok(true)
    }

    /// Whether an entry in use must not be taken away even for a moment.
    pub(super) fn is_strict(&self) -> bool {
        !self.sinks.iter().all(|sink| self.hal.retries(sink))
    }

    /// The error of an operation that would have to take this entry away.
    pub(super) fn needs_break(&self, address: u64, level: Level, entry: u64) -> Error {
        Error::NeedsBreak { address: self.geometry.extend(address), level, entry }
    }

    /// An empty gather for operations on this table.
    #[inline(never)]
    pub fn gather(&self) -> Gather<F, H> {
        Gather::new(self.identity, self.format, self.hal.clone(), self.root, self.tag, self.sinks)
    }

    /// Invalidates translations of `range` by entries at `level`, at once, while nobody else changes the table.
    pub(super) fn invalidate(&self, range: ClosedRange, level: Level, leaf_only: bool) {
        self.changes.count_invalidation();
        self.invalidate_shared(range, level, leaf_only);
    }

    /// As [`Self::invalidate`], while others may change the table, too: not counted, so that CPUs share no counter.
    pub(super) fn invalidate_shared(&self, range: ClosedRange, level: Level, leaf_only: bool) {
        let (range, granule) = (self.extend(range), self.geometry.entry_bits(level));
        self.invalidate_at_once(&Invalidation::Range { range, leaf_only, granule });
    }

    /// Invalidates at all sinks, and waits.
    pub(super) fn invalidate_at_once(&self, set: &Invalidation) {
        let Self { hal, format, .. } = self;
        // The usual case: there is nothing to keep for later.
        if self.sinks == Sinks::CPUS {
            let completion = hal.begin_invalidation(Sink::CPUS, format, self.root, self.tag, set);
            return hal.wait(Sink::CPUS, completion);
        }
        self.invalidate_at_sinks(set);
    }

    /// As [`Self::invalidate_at_once`], if there are sinks other than the CPUs.
    #[cold]
    fn invalidate_at_sinks(&self, set: &Invalidation) {
        let Self { hal, format, .. } = self;
        let mut pending = Pending::NONE;
        self.sinks.begin(hal, format, self.root, self.tag, set, &mut pending);
        pending.wait(hal);
    }
}
