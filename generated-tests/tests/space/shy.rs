//! A backend that maps nothing, and records the faults that it gets.

use std::{
    fmt::{self, Display, Formatter},
    sync::{Arc, Mutex},
};

use tablewright::{
    Attributes, Backend, BackendError, ClosedRange, DeviceAccess, Fault, FaultOutcome, Format, FrameCache, Gather, Hal,
    Joinable, Operation, PageTable,
};

/// A device that answers only to those who have the space for themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shy {
    /// The faults that came through `&self`, which it left to exclusive access.
    pub(crate) faults: Arc<Mutex<Vec<Fault>>>,
}

impl Joinable for Shy {
    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }
}

impl Display for Shy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("shy device")
    }
}

// SAFETY: nothing is ever mapped.
unsafe impl Backend for Shy {
    fn is_ram(&self) -> bool {
        false
    }

    fn map<F: Format, H: Hal>(
        &self,
        _range: ClosedRange,
        _attributes: &Attributes,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        Ok(())
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        _range: ClosedRange,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        Ok(())
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        _table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        self.faults.lock().unwrap().push(*fault);
        FaultOutcome::NeedsExclusive(Operation::CopyOnWrite)
    }

    fn fault_exclusive<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        FaultOutcome::Device(DeviceAccess { handle: 0, offset: 0, access: fault.access, width: fault.width })
    }
}
