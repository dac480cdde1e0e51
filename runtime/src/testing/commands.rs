//! Tags that registers tell apart are told apart by what invalidates them: a tag that is cut off would be another space's.

use std::prelude::rust_2024::*;

use super::samples::below;
use super::{Case, Verdict, ensure};
use crate::{ClosedRange, Invalidation};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let granule = case.subject.geometry().page_bits;
    let range = ClosedRange::new(0, below(granule)).ok_or("a page has no last byte")?;
    let page = |leaf_only| Invalidation::Range { range, leaf_only, granule };
    let samples = (0..u32::BITS).map(|bit| 1 << bit).chain((0..=u32::BITS).map(|bits| below(bits as u8) as u32));
    let mut tags: Vec<u32> = samples.filter(|tag| case.subject.registers(0, *tag).is_some()).collect();
    tags.sort_unstable();
    tags.dedup();
    for set in [Invalidation::Space, page(true), page(false)] {
        told_apart(&tags, |tag| case.subject.commands(tag, &set)).map_err(|why| format!("commands: {why}"))?;
        told_apart(&tags, |tag| case.subject.at_entry(tag, &set)).map_err(|why| format!("at entry: {why}"))?;
    }
    Ok(())
}

/// Each tag is said otherwise, or none is said at all.
fn told_apart<T: PartialEq>(tags: &[u32], say: impl Fn(u32) -> T) -> Verdict {
    let said: Vec<T> = tags.iter().map(|tag| say(*tag)).collect();
    if said.windows(2).all(|two| two[0] == two[1]) {
        return Ok(());
    }
    for (index, tag) in tags.iter().enumerate() {
        let like = said[..index].iter().position(|earlier| *earlier == said[index]);
        ensure!(like.is_none(), "the tags {:#x} and {tag:#x} are said alike", tags[like.unwrap_or(0)]);
    }
    Ok(())
}
