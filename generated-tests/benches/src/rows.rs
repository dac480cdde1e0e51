//! The rows of the table.

use crate::{
    hand::Hand,
    machine::{Ept, Machine, Stage2, Sv48x4},
    measure::{BATCH, Contender, Row},
    ours::{Bare, Space},
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
            vec![
                work::map::<Hand<M>>(GIB, BY_PAGES, 12),
                work::map::<Bare<M>>(GIB, BY_PAGES, 12),
                work::map::<Space<M>>(GIB, BY_PAGES, 12),
            ],
        ),
        row::<M>(
            "map 64 GiB by 2 MiB blocks",
            ("block", (64 * GIB) >> 21),
            1.5,
            vec![
                work::map::<Hand<M>>(64 * GIB, BY_2M, 21),
                work::map::<Bare<M>>(64 * GIB, BY_2M, 21),
                work::map::<Space<M>>(64 * GIB, BY_2M, 21),
            ],
        ),
        row::<M>(
            "map 64 GiB by 1 GiB blocks",
            ("call", BATCH as u64),
            1.3,
            vec![
                work::map_calls::<Hand<M>>(IA, 64 * GIB),
                work::map_calls::<Bare<M>>(IA, 64 * GIB),
                work::map_calls::<Space<M>>(IA, 64 * GIB),
            ],
        ),
        row::<M>(
            "map 64 GiB, both ends off by 4 KiB",
            ("call", BATCH as u64),
            1.5,
            vec![
                work::map_calls::<Hand<M>>(IA + PAGE, 64 * GIB - 2 * PAGE),
                work::map_calls::<Bare<M>>(IA + PAGE, 64 * GIB - 2 * PAGE),
                work::map_calls::<Space<M>>(IA + PAGE, 64 * GIB - 2 * PAGE),
            ],
        ),
        row::<M>(
            "populate 1 GiB",
            pages,
            1.3,
            vec![work::populate::<Hand<M>>(), work::populate::<Bare<M>>(), work::populate::<Space<M>>()],
        ),
        row::<M>(
            "first use of a page, in order",
            pages,
            1.2,
            vec![work::fault::<Hand<M>>(false), work::fault::<Bare<M>>(false), work::fault::<Space<M>>(false)],
        ),
        row::<M>(
            "first use of a page, at random",
            pages,
            1.2,
            vec![work::fault::<Hand<M>>(true), work::fault::<Bare<M>>(true), work::fault::<Space<M>>(true)],
        ),
        row::<M>(
            "translate, pages at random",
            ("address", work::TRANSLATIONS),
            1.15,
            vec![
                work::translate::<Hand<M>>(GIB, BY_PAGES, 12, false),
                work::translate::<Bare<M>>(GIB, BY_PAGES, 12, false),
                work::translate::<Space<M>>(GIB, BY_PAGES, 12, false),
            ],
        ),
        row::<M>(
            "translate, pages, one after the other",
            ("address", work::TRANSLATIONS),
            1.15,
            vec![
                work::translate::<Hand<M>>(GIB, BY_PAGES, 12, true),
                work::translate::<Bare<M>>(GIB, BY_PAGES, 12, true),
                work::translate::<Space<M>>(GIB, BY_PAGES, 12, true),
            ],
        ),
        row::<M>(
            "translate, 2 MiB blocks",
            ("address", work::TRANSLATIONS),
            1.15,
            vec![
                work::translate::<Hand<M>>(64 * GIB, BY_2M, 21, false),
                work::translate::<Bare<M>>(64 * GIB, BY_2M, 21, false),
                work::translate::<Space<M>>(64 * GIB, BY_2M, 21, false),
            ],
        ),
        row::<M>(
            "unmap 1 GiB of pages",
            pages,
            1.5,
            vec![work::unmap::<Hand<M>>(), work::unmap::<Bare<M>>(), work::unmap::<Space<M>>()],
        ),
        row::<M>(
            "unmap 1 GiB and free each page",
            pages,
            1.3,
            vec![work::unpopulate::<Hand<M>>(), work::unpopulate::<Bare<M>>(), work::unpopulate::<Space<M>>()],
        ),
        row::<M>(
            "create and drop an empty space",
            ("space", 64),
            1.2,
            vec![work::create::<Hand<M>>(), work::create::<Bare<M>>(), work::create::<Space<M>>()],
        ),
        row::<M>(
            "drop 1 GiB of pages",
            pages,
            1.2,
            vec![work::discard::<Hand<M>>(), work::discard::<Bare<M>>(), work::discard::<Space<M>>()],
        ),
    ];
    for (work, what) in [
        ("10,000 areas: map one", AreaWork::Add),
        ("10,000 areas: find one", AreaWork::Find),
        ("10,000 areas: unmap one", AreaWork::Remove),
    ] {
        rows.push(row::<M>(
            work,
            ("area", work::TOUCHED),
            1.5,
            vec![work::areas::<Hand<M>>(10_000, what), work::areas::<Space<M>>(10_000, what)],
        ));
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
            vec![work::protect::<Hand<M>>(), work::protect::<Bare<M>>(), work::protect::<Space<M>>()],
        ),
        row::<M>(
            "make one page writable, at random",
            ("page", work::RELAXED),
            1.3,
            vec![work::relax::<Hand<M>>(), work::relax::<Bare<M>>()],
        ),
        row::<M>(
            "write-protect a page in a 2 MiB block",
            ("page", 512),
            1.3,
            vec![work::split::<Hand<M>>(), work::split::<Bare<M>>(), work::split::<Space<M>>()],
        ),
    ];
    rows.into_iter().map(|row| Row { hardware: Some(M::HARDWARE), ..row }).collect()
}
