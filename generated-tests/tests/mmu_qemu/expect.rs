//! What a test says of an address, for each access at each privilege.

use tablewright_tests::mmu::{Access, Fault, FaultKind, Probe, Verdict};

/// Six questions about an address: each access, privileged and not.
pub(crate) fn probes(address: u64) -> [Probe; 6] {
    let probe = |access, user| Probe { address, access, user };
    [
        probe(Access::Read, false),
        probe(Access::Read, true),
        probe(Access::Write, false),
        probe(Access::Write, true),
        probe(Access::Execute, false),
        probe(Access::Execute, true),
    ]
}

/// A page's translation: where to, the rights as `rwx`, and the fault of what they do not have.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) output: u64,
    /// `r`, `w`, `x` for the privileged mode, then `/` and the same for the user mode, if that differs.
    pub(crate) rights: &'static str,
    pub(crate) refusal: (FaultKind, Option<u8>),
}

/// Checks that the verdicts on [`probes`] are those of a page.
pub(crate) fn page(what: &str, page: Page, verdicts: &[Verdict]) {
    let (privileged, user) = page.rights.split_once('/').unwrap_or((page.rights, page.rights));
    let has = |right| [privileged.contains(right), user.contains(right)];
    let allowed = [has('r'), has('w'), has('x')].concat();
    let readable = [has('r'), has('r'), has('r')].concat();
    for (i, (probe, verdict)) in probes(0).into_iter().zip(verdicts).enumerate() {
        let seen = match verdict {
            Verdict::Translated(output) => Ok(*output),
            Verdict::Fault(Fault { kind, level, .. }) => Err((*kind, *level)),
        };
        let wanted = if allowed[i] { Ok(Some(page.output)) } else { Err(page.refusal) };
        // Where the page cannot be read, its address need not be seen.
        let unseen = allowed[i] && !readable[i] && seen == Ok(None);
        assert!(seen == wanted || unseen, "{what}: {probe:?}: {verdict:#x?}, not {wanted:x?}");
    }
}

/// Checks that every access was refused.
pub(crate) fn refused(what: &str, refusal: (FaultKind, Option<u8>), verdicts: &[Verdict]) {
    page(what, Page { output: 0, rights: "", refusal }, verdicts);
}
