//! Programs that build tables of every kind.

use fastrand::Rng;
use tablewright::Rights;

use super::{Ground, Program, Step};

/// A way to fill an address space.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Its name.
    pub name: &'static str,
    /// Makes its program.
    pub make: fn(&Ground) -> Program,
}

/// All layouts.
pub const LAYOUTS: &[Layout] = &[
    Layout { name: "every_size", make: every_size },
    Layout { name: "every_right", make: every_right },
    Layout { name: "largest_that_fit", make: largest_that_fit },
    Layout { name: "every_other_page", make: every_other_page },
    Layout { name: "parts_unmapped", make: parts_unmapped },
    Layout { name: "parts_protected", make: parts_protected },
    Layout { name: "top_of_the_input", make: top_of_the_input },
    Layout { name: "mapped_again", make: mapped_again },
    Layout { name: "moved", make: moved },
    Layout { name: "random_1", make: |ground| random(ground, 1) },
    Layout { name: "random_2", make: |ground| random(ground, 2) },
    Layout { name: "random_3", make: |ground| random(ground, 3) },
];

/// A program under construction. Each new piece lies above the one before.
struct Writer<'a> {
    ground: &'a Ground,
    next: u64,
    program: Program,
}

impl<'a> Writer<'a> {
    fn new(ground: &'a Ground) -> Self {
        Self { ground, next: 0, program: Program::default() }
    }

    /// A place for this many bytes at a multiple of `1 << size`, after a gap; `None` if there is none left.
    fn room(&mut self, size: u8, bytes: u64) -> Option<u64> {
        let start = (self.next + 1).checked_next_multiple_of(1 << size)?;
        let end = start.checked_add(bytes)?;
        if end - 1 > u64::MAX >> (64 - self.ground.reach) {
            return None;
        }
        self.next = end;
        Some(start)
    }

    fn map(&mut self, start: u64, bytes: u64, oa: u64, rights: Rights) {
        let memory = self.ground.memory[self.program.steps.len() % self.ground.memory.len()];
        self.program.steps.push(Step::Map { range: self.ground.range(start, bytes), oa, rights, memory });
    }

    fn unmap(&mut self, start: u64, bytes: u64) {
        self.program.steps.push(Step::Unmap { range: self.ground.range(start, bytes) });
    }

    fn protect(&mut self, start: u64, bytes: u64, rights: Rights) {
        self.program.steps.push(Step::Protect { range: self.ground.range(start, bytes), rights });
    }

    fn move_range(&mut self, start: u64, bytes: u64, to: u64) {
        let [range, to] = [start, to].map(|start| self.ground.range(start, bytes));
        if range.intersection(&to).is_none() {
            self.program.steps.push(Step::Unmap { range: to });
            self.program.steps.push(Step::Move { range, to: to.start() });
        }
    }

    fn page(&self) -> u64 {
        1 << self.ground.geometry.page_bits
    }
}

/// One leaf of every size.
fn every_size(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    for &size in &ground.sizes {
        if let Some(ia) = writer.room(size, 1 << size) {
            writer.map(ia, 1 << size, ground.target(size), ground.full);
        }
    }
    writer.program
}

/// Leaves of every size side by side, with all rights that there are.
fn every_right(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    for &size in &ground.sizes {
        for &rights in &ground.rights {
            let start = writer.next;
            if start.is_multiple_of(1 << size) && start != 0 && start + (1 << size) <= 1 << ground.reach.min(63) {
                writer.next += 1 << size;
                writer.map(start, 1 << size, ground.target(size), rights);
            } else if let Some(start) = writer.room(size, 1 << size) {
                writer.map(start, 1 << size, ground.target(size), rights);
            }
        }
    }
    writer.program
}

/// Ranges that begin and end within larger pages, with output addresses that are aligned like them, or less.
fn largest_that_fit(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    let block = ground.block(4);
    let page = writer.page();
    let bytes = (3 << block) + page;
    for (slip, rights) in
        [0].into_iter().chain(ground.sizes.iter().map(|size| 1 << size)).zip(ground.rights.iter().cycle())
    {
        let Some(room) = writer.room(block, (4 << block) + page) else { continue };
        let oa = ground.target(block) + (1 << block) - page;
        if slip < 1 << block && oa + slip + bytes <= ground.targets.end {
            writer.map(room + (1 << block) - page, bytes, oa + slip, *rights);
        }
    }
    writer.program
}

fn every_other_page(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    let page = writer.page();
    for (index, &rights) in (0..40).zip(ground.rights.iter().cycle()) {
        let Some(ia) = writer.room(ground.geometry.page_bits, page) else { break };
        // Backwards, so that no two continue each other.
        writer.map(ia, page, ground.target(ground.geometry.page_bits) + (80 - index) * page, rights);
    }
    writer.program
}

/// Leaves of every size, from which a page and the upper half are unmapped, where the judge can see it.
fn parts_unmapped(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    let page = writer.page();
    for &size in &ground.sizes {
        let Some(ia) = writer.room(size, 1 << size) else { continue };
        let oa = ground.target(size);
        writer.map(ia, 1 << size, oa, ground.full);
        let seen = ia + ground.targets.start.saturating_sub(oa);
        writer.unmap(seen + if size > ground.geometry.page_bits { page } else { 0 }, page);
        writer.unmap(ia + (1 << size) / 2 / page * page, (1_u64 << size).div_ceil(2).max(page));
    }
    writer.program
}

/// Leaves of every size of which parts get other rights: pages, and ranges that begin in the middle of a leaf.
fn parts_protected(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    let page = writer.page();
    let mut rights = ground.rights.iter().copied().cycle();
    for &size in &ground.sizes {
        let Some(ia) = writer.room(size, 1 << size) else { continue };
        let oa = ground.target(size);
        writer.map(ia, 1 << size, oa, ground.full);
        let seen = ia + ground.targets.start.saturating_sub(oa);
        let last = ia + ((1_u64 << size) - page);
        for &part in ground.sizes.iter().rev().filter(|&&part| part <= size) {
            let start = (seen + page).min(last);
            writer.protect(start, (1_u64 << part).min(last - start + page), rights.next().unwrap_or_default());
        }
    }
    writer.program
}

/// The last pages that can be judged, of every size, and the last of all.
fn top_of_the_input(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    let page = writer.page();
    let mut end = 1_u64 << ground.reach.min(63);
    for &size in &ground.sizes {
        let Some(start) = (end & (!0 << size)).checked_sub(1 << size) else { break };
        writer.map(start, 1 << size, ground.target(size), ground.full);
        end = start;
    }
    if ground.last() > u64::MAX >> (64 - ground.reach) {
        writer.map(ground.last() - (page - 1), page, ground.targets.start, ground.full);
    }
    if end > page {
        writer.map(0, page, ground.target(ground.geometry.page_bits), ground.full);
    }
    writer.program
}

/// A block in place of pages, and pages in place of a block.
fn mapped_again(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    let page = writer.page();
    let block = ground.block(4);
    for pages_first in [true, false] {
        let Some(ia) = writer.room(block, 1 << block) else { break };
        let oa = ground.target(block);
        for pages in [pages_first, !pages_first] {
            writer.unmap(ia, 1 << block);
            if pages {
                let half = (1_u64 << block).div_ceil(2 * page).min(5) * page;
                writer.map(ia, half, oa + page, ground.full);
                if half + page < 1 << block {
                    writer.map(ia + half + page, page, oa, ground.rights[0]);
                }
            } else {
                writer.map(ia, 1 << block, oa, ground.full);
            }
        }
    }
    writer.program
}

/// Pages that move with their tables, blocks that become pages by it, and a part of a block.
fn moved(ground: &Ground) -> Program {
    let mut writer = Writer::new(ground);
    let (page, bits, block) = (writer.page(), ground.geometry.page_bits, ground.block(4));
    for size in (1..ground.geometry.levels.min(4)).map(|level| ground.geometry.entry_bits(level)) {
        // From the first and the last table in use, each in a table of its own.
        let Some(start) = 3_u64.checked_shl(size.into()).and_then(|bytes| writer.room(size, bytes)) else { break };
        for (index, &rights) in (0..8).zip(ground.rights.iter().cycle()) {
            writer.map(start + 3 * index * page, page, ground.target(bits) + (80 - index) * page, rights);
        }
        writer.move_range(start, 1 << size, start + (2 << size));
    }
    for (slip, cut) in [(0, 0), (page, 0), (0, page), (3 * page, page)] {
        let Some(start) = writer.room(block, 4 << block).filter(|_| block > bits) else { break };
        writer.map(start, 2 << block, ground.target(block), ground.full);
        writer.move_range(start + cut, (1 << block) + page, start + (2 << block) + slip);
    }
    writer.program
}

/// Random steps of all kinds.
fn random(ground: &Ground, seed: u64) -> Program {
    let mut random = Rng::with_seed(seed);
    let mut writer = Writer::new(ground);
    let page = writer.page();
    let block = ground.block(16);
    let window = (4_u64 << block).min(1 << ground.reach.min(63));
    let last_window = (1_u64 << ground.reach.min(63)) / window - 1;
    let windows =
        [0, random.u64(0..=last_window), random.u64(0..=last_window), last_window].map(|index| index * window);
    for _ in 0..80 {
        let in_window = random.u64(0..window / page) * page;
        let rounded = in_window & !0 << ground.sizes[random.usize(..ground.sizes.len())];
        let offset = if random.bool() { in_window } else { rounded };
        let wanted = (1 + random.u64(..3)) << random.u8(ground.geometry.page_bits..=block + 1);
        let bytes = wanted.min(window - offset);
        let start = windows[random.usize(..windows.len())] + offset;
        let rights = ground.rights[random.usize(..ground.rights.len())];
        match random.u8(..5) {
            0 => writer.unmap(start, bytes),
            1 => writer.protect(start, bytes, rights),
            2 => {
                let window_there = windows[random.usize(..windows.len())];
                let slip = if random.bool() { 0 } else { page << random.u8(..8) };
                writer.move_range(start, bytes, window_there + (offset ^ slip).min(window - bytes));
            }
            _ => {
                writer.unmap(start, bytes);
                let slip = if random.bool() { 0 } else { page << random.u8(..8) };
                writer.map(start, bytes, ground.target(block) + offset + slip, rights);
            }
        }
    }
    writer.program
}
