//! The rows of the table.

use crate::{
    hand::Hand,
    machine::{Ept, Machine, Stage2, Sv48x4},
    measure::{BATCH, Contender, Row},
    ours::{Bare, Space},
    peers::{Aarch64, Generic, Multiarch, X86},
    work::{self, AreaWork, BY_2M, BY_PAGES, GIB, IA, PAGE},
};

/// Every row, for every format.
pub fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(of::<Ept<false>>());
    rows.extend(edits::<Ept<true>>());
    rows.extend(of::<Stage2<false>>());
    rows.extend(edits::<Stage2<true>>());
    rows.extend(of::<Sv48x4<false>>());
    rows.extend(edits::<Sv48x4<true>>());
    rows
}

/// Those who do a job of `work.rs`: the hand-written loop, this library's types, and other libraries.
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
            contenders!(map(GIB, BY_PAGES, 12): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "map 64 GiB by 2 MiB blocks",
            ("block", (64 * GIB) >> 21),
            1.5,
            contenders!(map(64 * GIB, BY_2M, 21): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "map 64 GiB by 1 GiB blocks",
            ("call", BATCH as u64),
            1.3,
            contenders!(map_calls(IA, 64 * GIB): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "map 64 GiB, both ends off by 4 KiB",
            ("call", BATCH as u64),
            1.5,
            contenders!(map_calls(IA + PAGE, 64 * GIB - 2 * PAGE): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>("populate 1 GiB", pages, 1.3, contenders!(populate(): Bare, Space; Multiarch, Generic, Aarch64, X86)),
        row::<M>(
            "first use of a page, in order",
            pages,
            1.2,
            contenders!(fault(false): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "first use of a page, at random",
            pages,
            1.2,
            contenders!(fault(true): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "translate, pages at random",
            ("address", work::TRANSLATIONS),
            1.15,
            contenders!(translate(GIB, BY_PAGES, 12, false): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "translate, pages, one after the other",
            ("address", work::TRANSLATIONS),
            1.15,
            contenders!(translate(GIB, BY_PAGES, 12, true): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "translate, 2 MiB blocks",
            ("address", work::TRANSLATIONS),
            1.15,
            contenders!(translate(64 * GIB, BY_2M, 21, false): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "unmap 1 GiB of pages",
            pages,
            1.5,
            contenders!(unmap(): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "unmap 1 GiB and free each page",
            pages,
            1.3,
            contenders!(unpopulate(): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "create and drop an empty space",
            ("space", 64),
            1.2,
            contenders!(create(): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "drop 1 GiB of pages",
            pages,
            1.2,
            contenders!(discard(): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
    ];
    for (work, what) in [
        ("10,000 areas: map one", AreaWork::Add),
        ("10,000 areas: find one", AreaWork::Find),
        ("10,000 areas: unmap one", AreaWork::Remove),
    ] {
        rows.push(row::<M>(work, ("area", work::TOUCHED), 1.5, contenders!(areas(10_000, what): Space)));
    }
    rows.extend(edits::<M>());
    rows
}

/// What changes entries that are in use, with or without hardware that does so, too.
fn edits<M: Machine>() -> Vec<Row> {
    let rows = vec![
        row::<M>(
            "write-protect 1 GiB of pages",
            ("page", GIB / PAGE),
            1.5,
            contenders!(protect(): Bare, Space; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "make one page writable, at random",
            ("page", work::RELAXED),
            1.3,
            contenders!(relax(): Bare; Multiarch, Generic, Aarch64, X86),
        ),
        row::<M>(
            "write-protect a page in a 2 MiB block",
            ("page", 512),
            1.3,
            contenders!(split(): Bare, Space; Generic),
        ),
    ];
    rows.into_iter().map(|row| Row { hardware: Some(M::HARDWARE), ..row }).collect()
}
