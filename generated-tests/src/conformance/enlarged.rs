//! A table in use whose pages are replaced by one larger frame: what the MMU caches of the pages is invalidated, and
//! the states that it has set are kept.

use libtest_mimic::Failed;
use tablewright::{ByName, Format, Geometry, State};

use super::live::{Hearing, Live, Rig};
use super::program::unseen;
use super::{Setup, TABLES};
use crate::mmu::{Access, Probe, Verdict};

/// log2 of the large frame's size, if memory has room for one beside the pages that it replaces.
fn block(geometry: &Geometry) -> Option<u8> {
    let block = (geometry.levels > 1).then(|| geometry.entry_bits(1))?;
    (block < geometry.input_bits && 4 << block <= TABLES).then_some(block)
}

/// Whether a format has such frames.
pub(super) fn is_possible<F: Format>(format: &F) -> bool {
    block(&format.geometry()).is_some_and(|block| format.page_sizes(1).contains(block))
}

/// Uses pages, replaces them by one frame, and uses that.
pub(super) fn conforms<F: ByName, J: Live>(setup: &Setup<F>, judge: &mut J) -> Result<usize, Failed> {
    run(setup, judge, Hearing::Good)?.map_err(Failed::from)
}

/// The negative control: without invalidations, the MMU still sees the pages.
pub(super) fn is_caught<F: ByName, J: Live>(setup: &Setup<F>, judge: &mut J) -> Result<usize, Failed> {
    match run(setup, judge, Hearing::Deaf)? {
        Err(wrong) if wrong.starts_with("a stale translation") => Ok(1),
        other => Err(format!("nobody noticed: {other:?}").into()),
    }
}

/// The number of probes that were judged, or what the MMU gets wrong.
fn run<F: ByName, J: Live>(setup: &Setup<F>, judge: &mut J, hearing: Hearing) -> Result<Result<usize, String>, Failed> {
    let mut rig = Rig::in_own_memory(setup, judge, hearing)?;
    let ground = rig.ground.clone();
    let geometry = ground.geometry;
    let block = block(&geometry).ok_or("no memory for such frames")?;
    let range = ground.range(1 << block, 1 << block);
    let mut gather = rig.table.gather();
    rig.table.populate(range, &unseen(ground.full, ground.memory[0]), geometry.page_bits, &mut gather)?;
    gather.flush();
    let page = 1_u64 << geometry.page_bits;
    let pages = || (range.start()..=range.last()).step_by(page as usize);
    let states = setup.generated.format.accessed_dirty(0);
    if !states.hardware {
        pages().for_each(|at| {
            rig.table.mark(at, true);
        });
    }
    rig.apply_all();
    // One of the pages is written to. From here on, the MMU is asked only about what it caches.
    rig.ask_and_observe(&[Probe { address: range.start() + 3 * page + 8, access: Access::Write, user: false }]);
    let asked: Vec<u64> = pages().step_by(37).chain([range.last() & !(page - 1)]).collect();
    if let Some(wrong) = disagrees(&mut rig, &asked) {
        return Ok(Err(format!("before the edit: {wrong}")));
    }
    rig.observe();
    let mut gather = rig.table.gather();
    // SAFETY: `populate` mapped all of it, and nobody uses it but MMU models, in memory of their own.
    let taken = unsafe { rig.table.enlarge(range, block, &mut gather) };
    gather.flush();
    if taken != Ok(1) {
        return Err(format!("{taken:?} frames became larger").into());
    }
    rig.apply_all();
    if let Some(wrong) = disagrees(&mut rig, &asked) {
        return Ok(Err(format!("a stale translation: {wrong}")));
    }
    if states.hardware && states.dirty_mask != 0 {
        let found = rig.harvest_pages(range, State::Dirty)?;
        if found.len() != pages().count() {
            return Err(format!("{} pages of a dirty frame are dirty", found.len()).into());
        }
    }
    Ok(Ok(1 + 2 * asked.len()))
}

/// What the MMU says about an address, if it differs from what the table says.
fn disagrees<F: ByName, J: Live>(rig: &mut Rig<'_, F, J>, asked: &[u64]) -> Option<String> {
    let verdicts = rig.judge.remembered(asked);
    asked.iter().zip(verdicts).find_map(|(&address, verdict)| {
        let output = rig.table.translate(address);
        let is_right = matches!(verdict, Verdict::Translated(seen) if seen == output);
        (!is_right).then(|| format!("{address:#x}: {verdict:x?}, not {output:x?}"))
    })
}
