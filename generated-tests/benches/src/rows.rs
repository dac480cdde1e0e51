//! The rows of the table.

use crate::{
    hand::Hand,
    machine::{Ept, Machine, Stage2, Sv48x4},
    measure::{BATCH, Contender, Row},
    ours::{Bare, Space},
    peers::{Aarch64, AxAddrSpace, Generic, Locked, MemorySet, Multiarch, X86},
    work::{self, ALIGNED, BY_2M, BY_PAGES, GIB, IA, PAGE},
};

type LockedMultiarch = Locked<Multiarch>;
type LockedGeneric = Locked<Generic>;
type LockedX86 = Locked<X86>;
type LockedMemorySet = Locked<MemorySet>;
type LockedAxAddrSpace = Locked<AxAddrSpace>;

/// Every row, for every format.
pub fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(of::<Ept<false>>());
    rows.extend(many::<Ept<false>>());
    rows.extend(edits::<Ept<true>>());
    rows.extend(of::<Stage2<false>>());
    rows.extend(edits::<Stage2<true>>());
    rows.extend(of::<Sv48x4<false>>());
    rows.extend(edits::<Sv48x4<true>>());
    rows
}

/// The contenders for a job of `work`: the hand-written loop, this library's types, and other libraries.
macro_rules! contenders {
    ($job:ident $arguments:tt: $($ours:ident),* $(; $($peer:ident),*)?) => {{
        let mut all = vec![work::$job::<Hand<M>> $arguments];
        all.extend([$(work::$job::<$ours<M>> $arguments),*]);
        $(if M::PEERS {
            all.extend([$(work::$job::<$peer> $arguments),*]);
        })?
        all
    }};
}

fn row<M: Machine>(
    work: &'static str,
    (unit, units): (&'static str, u64),
    limit: f64,
    contenders: Vec<Contender>,
) -> Row {
    Row { work, format: M::NAME, hardware: None, unit, units, limit, contenders }
}

fn of<M: Machine>() -> Vec<Row> {
    let pages = ("page", GIB / PAGE);
    let mut rows = vec![
        row::<M>(
            "map 1 GiB by pages",
            pages,
            1.5,
            contenders!(map(GIB, BY_PAGES, 12): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "map 64 GiB by 2 MiB blocks",
            ("block", (64 * GIB) >> 21),
            1.5,
            contenders!(map(64 * GIB, BY_2M, 21): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "map 64 GiB by 1 GiB blocks",
            ("call", BATCH as u64),
            1.3,
            contenders!(map_calls(IA, 64 * GIB, ALIGNED, 30): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "map 64 GiB, both ends off by 4 KiB",
            ("call", BATCH as u64),
            1.5,
            contenders!(map_calls(IA + PAGE, 64 * GIB - 2 * PAGE, ALIGNED + PAGE, 30): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "populate 1 GiB",
            pages,
            1.3,
            contenders!(populate(): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "first use of a page, in order",
            pages,
            1.2,
            contenders!(fault(false): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "first use of a page, at random",
            pages,
            1.2,
            contenders!(fault(true): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "translate, pages at random",
            ("address", work::TRANSLATIONS),
            1.15,
            contenders!(translate(GIB, BY_PAGES, 12, false): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "translate, pages, one after the other",
            ("address", work::TRANSLATIONS),
            1.15,
            contenders!(translate(GIB, BY_PAGES, 12, true): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "translate, 2 MiB blocks",
            ("address", work::TRANSLATIONS),
            1.15,
            contenders!(translate(64 * GIB, BY_2M, 21, false): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "unmap 1 GiB of pages",
            pages,
            1.5,
            contenders!(unmap(GIB): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "unmap 1 GiB and free each page",
            pages,
            1.3,
            contenders!(unpopulate(): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "unmap 1 GiB, half of it used, and free each page",
            pages,
            1.3,
            contenders!(release_used(): Bare, Space),
        ),
        row::<M>(
            "unmap one page at random and free it",
            ("page", work::SINGLES),
            1.5,
            contenders!(take_pages(true): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "unmap one page after the other and free it",
            ("page", work::SINGLES),
            1.5,
            contenders!(take_pages(false): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "map one page at random to a new frame",
            ("page", work::SINGLES),
            1.5,
            contenders!(give_pages(): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "create and drop an empty space",
            ("space", 64),
            1.2,
            contenders!(create(): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "drop 1 GiB of pages",
            pages,
            1.2,
            contenders!(discard(): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet, AxAddrSpace),
        ),
    ];
    let one = ("area", work::TOUCHED);
    rows.extend([
        row::<M>("10,000 areas: map one", one, 1.5, contenders!(add_areas(10_000): Space; MemorySet, AxAddrSpace)),
        row::<M>("10,000 areas: find one", one, 1.5, contenders!(find_areas(10_000): Space; MemorySet)),
        row::<M>("10,000 areas: unmap one", one, 1.5, contenders!(remove_areas(10_000): Space; MemorySet, AxAddrSpace)),
        row::<M>(
            "10,000 areas: unmap all at once",
            ("area", 10_000),
            1.5,
            contenders!(clear_areas(10_000): Space; MemorySet, AxAddrSpace),
        ),
        row::<M>(
            "10,000 areas: protect all at once",
            ("area", 10_000),
            1.5,
            contenders!(protect_areas(10_000): Space; MemorySet),
        ),
        row::<M>("read 8 bytes of the guest's", ("read", work::READS), 1.5, contenders!(read(): Space; AxAddrSpace)),
        row::<M>("copy 64 KiB of the guest's", ("KiB", work::COPIED >> 10), 1.5, contenders!(copy(): Space)),
    ]);
    rows.extend(edits::<M>());
    rows
}

/// The rows whose cost must not depend on the amount of memory.
fn many<M: Machine>() -> Vec<Row> {
    let one = ("area", work::TOUCHED);
    vec![
        row::<M>("1,000,000 areas: map one", one, 1.5, contenders!(add_areas(1_000_000): Space)),
        row::<M>("1,000,000 areas: find one", one, 1.5, contenders!(find_areas(1_000_000): Space)),
        row::<M>("1,000,000 areas: unmap one", one, 1.5, contenders!(remove_areas(1_000_000): Space)),
    ]
}

/// The rows that change live entries, with and without hardware that does so, too.
fn edits<M: Machine>() -> Vec<Row> {
    let pages = ("page", GIB / PAGE);
    let relaxed = if M::HARDWARE {
        // In an address space, hardware marks the pages.
        contenders!(relax(): Bare)
    } else {
        contenders!(relax(): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet)
    };
    let some = |every| {
        if M::HARDWARE { contenders!(harvest_some(every): Bare) } else { contenders!(harvest_some(every): Bare, Space) }
    };
    let used = |every| {
        if M::HARDWARE { contenders!(harvest_used(every): Bare) } else { contenders!(harvest_used(every): Bare, Space) }
    };
    let rows = vec![
        row::<M>(
            "write-protect 1 GiB of pages",
            pages,
            1.5,
            contenders!(protect(GIB): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet),
        ),
        row::<M>("write-protect 1 GiB, half of it used", pages, 1.5, contenders!(protect_used(): Bare, Space)),
        row::<M>(
            "protect one page, at random",
            ("call", 2 * work::SINGLES),
            1.5,
            contenders!(protect_pages(): Bare, Space; Multiarch, Generic, Aarch64, X86, MemorySet),
        ),
        row::<M>("make one page writable, at random", ("page", work::SINGLES), 1.3, relaxed),
        row::<M>("harvest 1 GiB of pages, all dirty", pages, 1.5, contenders!(harvest(true): Bare, Space)),
        row::<M>("harvest 1 GiB of pages, none dirty", pages, 1.5, contenders!(harvest(false): Bare, Space)),
        row::<M>("harvest 1 GiB of pages, one in 64 dirty", pages, 1.5, some(64)),
        row::<M>("harvest 1 GiB of pages, half of them dirty", pages, 1.5, some(2)),
        row::<M>("harvest 1 GiB, half of it used, all of that dirty", pages, 1.5, used(1)),
        row::<M>("harvest 1 GiB, half of it used, one page in 64 dirty", pages, 1.5, used(64)),
        row::<M>(
            "write-protect a page in a 2 MiB block",
            ("page", 512),
            1.3,
            contenders!(split(): Bare, Space; Generic),
        ),
        row::<M>(
            "move 1 GiB of pages by whole tables",
            ("call", BATCH as u64),
            1.5,
            contenders!(move_calls(work::BY_TABLES): Bare, Space),
        ),
        row::<M>(
            "move 1 GiB of pages one by one",
            pages,
            1.5,
            contenders!(move_pages(work::BY_SINGLE_PAGES): Bare, Space),
        ),
        row::<M>(
            "move 1 GiB, half of it used, one by one",
            pages,
            1.5,
            contenders!(move_used(work::BY_SINGLE_PAGES): Bare, Space),
        ),
        row::<M>("give 2 MiB of pages one frame", ("block", work::ENLARGED), 1.3, contenders!(enlarge(): Bare, Space)),
    ];
    rows.into_iter().map(|row| Row { hardware: Some(M::HARDWARE), ..row }).collect()
}

/// The cost per page by the number of pages, from one table's worth to the memory of a large machine.
pub fn sizes() -> Vec<Row> {
    type M = Ept<false>;
    let mut rows = Vec::new();
    for (bits, map, unmap, protect) in [
        (21, "map 2 MiB", "unmap 2 MiB", "write-protect 2 MiB"),
        (25, "map 32 MiB", "unmap 32 MiB", "write-protect 32 MiB"),
        (30, "map 1 GiB", "unmap 1 GiB", "write-protect 1 GiB"),
        (35, "map 32 GiB", "unmap 32 GiB", "write-protect 32 GiB"),
        (40, "map 1 TiB", "unmap 1 TiB", "write-protect 1 TiB"),
    ] {
        let size = 1 << bits;
        let pages = |times: u64| ("page", (size / PAGE) * times);
        // Reading the clock would take as long as the smallest jobs.
        rows.extend(if size < GIB {
            let many = pages(BATCH as u64);
            [
                row::<M>(map, many, 1.5, contenders!(map_calls(IA, size, BY_PAGES, 12): Bare, Space; Generic)),
                row::<M>(unmap, many, 1.5, contenders!(unmap_calls(size): Bare, Space; Generic)),
                row::<M>(protect, many, 1.5, contenders!(protect_calls(size): Bare, Space; Generic)),
            ]
        } else {
            [
                row::<M>(map, pages(1), 1.5, contenders!(map(size, BY_PAGES, 12): Bare, Space; Generic)),
                row::<M>(unmap, pages(1), 1.5, contenders!(unmap(size): Bare, Space; Generic)),
                row::<M>(protect, pages(1), 1.5, contenders!(protect(size): Bare, Space; Generic)),
            ]
        });
    }
    // All sizes of a job, one after the other.
    rows.sort_by_key(|row| row.work.split(' ').next());
    rows
}

/// First uses of pages by one thread, and by two at once. The other libraries need a lock for that.
pub fn threads() -> [Row; 2] {
    type M = Ept<false>;
    [(1, "by one thread"), (2, "by two threads")].map(|(threads, work)| {
        let pages = ("page", threads as u64 * work::SHARE / PAGE);
        let all = contenders!(fault_together(threads): Bare, Space;
            LockedMultiarch, LockedGeneric, LockedX86, LockedMemorySet, LockedAxAddrSpace);
        row::<M>(work, pages, 1.2, all)
    })
}

/// How many invalidations each contender requests, as far as they can be counted on a machine of another architecture.
pub fn invalidations() -> [(&'static str, [u64; 2]); 6] {
    type M = Ept<false>;
    [
        work::invalidations::<Hand<M>>(),
        work::invalidations::<Bare<M>>(),
        work::invalidations::<Space<M>>(),
        work::invalidations::<Generic>(),
        work::invalidations::<X86>(),
        work::invalidations::<AxAddrSpace>(),
    ]
}
