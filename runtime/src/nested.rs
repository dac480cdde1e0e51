//! One type over all nested formats of an architecture, for machines that decide which it is when they start.
//!
//! Each operation finds out once which format it is; inside, the engine is that of the one format.

/// Evaluates `$body` for the variant that `$on` is.
macro_rules! dispatch {
    ([$($variant:ident)+] $on:expr, $inner:ident => $body:expr) => {
        match $on {
            $(Self::$variant($inner) => $body,)+
        }
    };
}
pub(crate) use dispatch;

/// Makes the types over the modules of formats that are named.
macro_rules! nested_formats {
    ($($(#[$doc:meta])* $variant:ident: $module:ident,)+) => {
        /// One of the nested formats, with its parameters.
        #[derive(Clone, Copy, Debug)]
        pub enum NestedFormat {
            $($(#[$doc])* $variant($module::Format),)+
        }

        /// The values to load into the machine's registers.
        #[derive(Clone, Copy, Debug)]
        pub enum NestedRegisters {
            $($(#[$doc])* $variant($module::Registers),)+
        }

        /// The hardware's fault report.
        #[derive(Clone, Copy, Debug)]
        pub enum NestedReport {
            $($(#[$doc])* $variant($module::Report),)+
        }

        /// A [`Gather`] of one of the formats.
        #[derive(Debug)]
        #[must_use = "dropping it invalidates; keep it to collect the changes of several operations"]
        pub enum NestedGather<H: Hal> {
            $($(#[$doc])* $variant(Gather<$module::Format, H>),)+
        }

        /// A guest's page table in one of the formats. What is not forwarded here, the [`PageTable`] inside has.
        #[derive(Debug)]
        pub enum NestedPageTable<H: Hal> {
            $($(#[$doc])* $variant(PageTable<$module::Format, H>),)+
        }

        /// A guest's address space in one of the formats. What is not forwarded here, the [`AddrSpace`] inside has.
        #[derive(Debug)]
        pub enum NestedAddrSpace<H: Hal, B: Backend = Builtin> {
            $($(#[$doc])* $variant(AddrSpace<$module::Format, H, B>),)+
        }

        $(
            impl From<$module::Format> for NestedFormat {
                fn from(format: $module::Format) -> Self {
                    Self::$variant(format)
                }
            }
        )+

        impl<H: Hal> NestedPageTable<H> {
            /// An empty table: see [`PageTable::new`].
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::new`].
            pub fn new(format: impl Into<NestedFormat>, hal: H, tag: Tag) -> Result<Self, Error> {
                match format.into() {
                    $(NestedFormat::$variant(format) => PageTable::new(format, hal, tag).map(Self::$variant),)+
                }
            }

            /// The values to load into the machine's registers to activate this table.
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::registers`].
            pub fn registers(&self) -> Result<NestedRegisters, Refusal> {
                match self {
                    $(Self::$variant(table) => table.registers().map(NestedRegisters::$variant),)+
                }
            }

            /// An empty gather for operations on this table.
            pub fn gather(&self) -> NestedGather<H> {
                match self {
                    $(Self::$variant(table) => NestedGather::$variant(table.gather()),)+
                }
            }

            /// See [`PageTable::map`].
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::map`].
            ///
            /// # Safety
            ///
            /// As for [`PageTable::map`].
            #[allow(unreachable_patterns)]
            pub unsafe fn map(
                &mut self,
                range: ClosedRange,
                oa: u64,
                attributes: &Attributes,
                gather: &mut NestedGather<H>,
            ) -> Result<(), Error> {
                match (self, gather) {
                    // SAFETY: as the caller promises.
                    $((Self::$variant(table), NestedGather::$variant(gather)) => unsafe {
                        table.map(range, oa, attributes, gather)
                    },)+
                    _ => Err(Error::ForeignGather),
                }
            }

            /// See [`PageTable::unmap`].
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::unmap`].
            #[allow(unreachable_patterns)]
            pub fn unmap(&mut self, range: ClosedRange, gather: &mut NestedGather<H>) -> Result<(), Error> {
                match (self, gather) {
                    $((Self::$variant(table), NestedGather::$variant(gather)) => table.unmap(range, gather),)+
                    _ => Err(Error::ForeignGather),
                }
            }

            /// See [`PageTable::protect`].
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::protect`].
            #[allow(unreachable_patterns)]
            pub fn protect(
                &mut self,
                range: ClosedRange,
                change: &Change,
                gather: &mut NestedGather<H>,
            ) -> Result<(), Error> {
                match (self, gather) {
                    $((Self::$variant(table), NestedGather::$variant(gather)) => table.protect(range, change, gather),)+
                    _ => Err(Error::ForeignGather),
                }
            }

            /// See [`PageTable::harvest`].
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::harvest`].
            #[allow(unreachable_patterns)]
            pub fn harvest(
                &self,
                state: State,
                pages: &mut PageBitmap<'_>,
                gather: &mut NestedGather<H>,
            ) -> Result<(), Error> {
                match (self, gather) {
                    $((Self::$variant(table), NestedGather::$variant(gather)) => table.harvest(state, pages, gather),)+
                    _ => Err(Error::ForeignGather),
                }
            }
        }

        impl<H: Hal> NestedAddrSpace<H> {
            /// An empty space of all addresses: see [`AddrSpace::new_empty`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::new_empty`].
            pub fn new_empty(format: impl Into<NestedFormat>, hal: H, tag: Tag) -> Result<Self, SpaceError> {
                match format.into() {
                    $(NestedFormat::$variant(format) => AddrSpace::new_empty(format, hal, tag).map(Self::$variant),)+
                }
            }
        }

        impl<H: Hal, B: Backend> NestedAddrSpace<H, B> {
            /// An empty space with backends of the caller's: see [`AddrSpace::with_backend`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::with_backend`].
            pub fn with_backend(
                format: impl Into<NestedFormat>,
                hal: H,
                tag: Tag,
                base: GuestPhysAddr,
                size: usize,
            ) -> Result<Self, SpaceError> {
                match format.into() {
                    $(NestedFormat::$variant(format) => {
                        AddrSpace::with_backend(format, hal, tag, base, size).map(Self::$variant)
                    })+
                }
            }

            /// The values to load into the machine's registers to activate this space.
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::registers`].
            pub fn registers(&self) -> Result<NestedRegisters, Refusal> {
                match self {
                    $(Self::$variant(space) => space.registers().map(NestedRegisters::$variant),)+
                }
            }

            /// Reads the hardware's fault report and deals with the fault: see [`AddrSpace::handle_report`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::handle_report`]; [`ReportError::NotAFault`] if it is the report of another format.
            #[allow(unreachable_patterns)]
            pub fn handle_report(&self, report: &NestedReport) -> Result<FaultOutcome, ReportError> {
                match (self, report) {
                    $((Self::$variant(space), NestedReport::$variant(report)) => space.handle_report(report),)+
                    _ => Err(ReportError::NotAFault),
                }
            }
        }

        $crate::nested::forward! { [$($variant)+] }
    };
}
pub(crate) use nested_formats;

/// What is the same for all variants.
macro_rules! forward {
    ($variants:tt) => {
        impl<H: Hal> NestedPageTable<H> {
            /// Where the root table is.
            pub fn root(&self) -> HostPhysAddr {
                dispatch!($variants self, table => table.root())
            }

            /// The tag of this table's translations.
            pub fn tag(&self) -> Tag {
                dispatch!($variants self, table => table.tag())
            }

            /// Levels and sizes.
            pub fn geometry(&self) -> &Geometry {
                dispatch!($variants self, table => table.geometry())
            }

            /// What the table says about `ia`; `None` if `ia` is outside the table.
            pub fn query(&self, ia: u64) -> Option<Lookup> {
                dispatch!($variants self, table => table.query(ia))
            }

            /// The output address of `ia`; `None` if it is not mapped.
            pub fn translate(&self, ia: u64) -> Option<u64> {
                dispatch!($variants self, table => table.translate(ia))
            }

            /// See [`PageTable::fault_in`].
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::fault_in`].
            ///
            /// # Safety
            ///
            /// As for [`PageTable::fault_in`].
            pub unsafe fn fault_in(
                &self,
                ia: u64,
                size: u8,
                oa: u64,
                attributes: &Attributes,
            ) -> Result<FaultIn, Error> {
                // SAFETY: as the caller promises.
                dispatch!($variants self, table => unsafe { table.fault_in(ia, size, oa, attributes) })
            }

            /// See [`PageTable::relax`].
            ///
            /// # Errors
            ///
            /// Those of [`PageTable::relax`].
            pub fn relax(&self, ia: u64, rights: Rights) -> Result<Relax, Error> {
                dispatch!($variants self, table => table.relax(ia, rights))
            }
        }

        impl<H: Hal> NestedGather<H> {
            /// Invalidates what is due, waits for completion, then releases what rides here.
            pub fn flush(&mut self) {
                dispatch!($variants self, gather => gather.flush())
            }
        }

        impl<H: Hal, B: Backend> NestedAddrSpace<H, B> {
            /// Where the root table is.
            pub fn page_table_root(&self) -> HostPhysAddr {
                dispatch!($variants self, space => space.page_table_root())
            }

            /// The areas, in ascending order.
            pub fn areas(&self) -> Areas<'_, B> {
                dispatch!($variants self, space => space.areas())
            }

            /// The area that `address` is in.
            pub fn find_area(&self, address: GuestPhysAddr) -> Option<&Area<B>> {
                dispatch!($variants self, space => space.find_area(address))
            }

            /// See [`AddrSpace::find_free_area`].
            pub fn find_free_area(&self, hint: GuestPhysAddr, size: usize, align: u8) -> Option<GuestPhysAddr> {
                dispatch!($variants self, space => space.find_free_area(hint, size, align))
            }

            /// See [`AddrSpace::map`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::map`].
            pub fn map(
                &mut self,
                start: GuestPhysAddr,
                size: usize,
                attributes: impl Into<Attributes>,
                backend: impl Into<B>,
            ) -> Result<(), SpaceError> {
                dispatch!($variants self, space => space.map(start, size, attributes, backend))
            }

            /// See [`AddrSpace::map_linear`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::map`].
            pub fn map_linear(
                &mut self,
                start: GuestPhysAddr,
                region: HostRegion,
                attributes: impl Into<Attributes>,
            ) -> Result<(), SpaceError>
            where
                B: From<Linear>,
            {
                dispatch!($variants self, space => space.map_linear(start, region, attributes))
            }

            /// See [`AddrSpace::map_alloc`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::map`].
            pub fn map_alloc(
                &mut self,
                start: GuestPhysAddr,
                size: usize,
                attributes: impl Into<Attributes>,
                populate: bool,
            ) -> Result<(), SpaceError>
            where
                B: From<Alloc>,
            {
                dispatch!($variants self, space => space.map_alloc(start, size, attributes, populate))
            }

            /// See [`AddrSpace::map_device`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::map`].
            pub fn map_device(&mut self, start: GuestPhysAddr, size: usize, handle: usize) -> Result<(), SpaceError>
            where
                B: From<Device>,
            {
                dispatch!($variants self, space => space.map_device(start, size, handle))
            }

            /// See [`AddrSpace::unmap`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::unmap`].
            pub fn unmap(&mut self, start: GuestPhysAddr, size: usize) -> Result<(), SpaceError> {
                dispatch!($variants self, space => space.unmap(start, size))
            }

            /// See [`AddrSpace::protect`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::protect`].
            pub fn protect(
                &mut self,
                start: GuestPhysAddr,
                size: usize,
                change: impl Into<Change>,
            ) -> Result<(), SpaceError> {
                dispatch!($variants self, space => space.protect(start, size, change))
            }

            /// See [`AddrSpace::handle_fault`].
            pub fn handle_fault(&self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
                dispatch!($variants self, space => space.handle_fault(address, access))
            }

            /// See [`AddrSpace::handle_fault_cached`].
            pub fn handle_fault_cached(
                &self,
                address: GuestPhysAddr,
                access: Rights,
                frames: &mut FrameCache<H>,
            ) -> FaultOutcome {
                dispatch!($variants self, space => space.handle_fault_cached(address, access, frames))
            }

            /// See [`AddrSpace::handle_fault_exclusive`].
            pub fn handle_fault_exclusive(&mut self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
                dispatch!($variants self, space => space.handle_fault_exclusive(address, access))
            }

            /// An empty cache of frames for the faults of one virtual CPU.
            pub fn frame_cache(&self) -> FrameCache<H> {
                dispatch!($variants self, space => space.frame_cache())
            }

            /// See [`AddrSpace::top_up`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::top_up`].
            pub fn top_up(&self, cache: &mut FrameCache<H>) -> Result<(), SpaceError> {
                dispatch!($variants self, space => space.top_up(cache))
            }

            /// The host physical address behind `address`, if it is mapped at this moment.
            pub fn translate(&self, address: GuestPhysAddr) -> Option<HostPhysAddr> {
                dispatch!($variants self, space => space.translate(address))
            }

            /// Where `address` leads, if it is mapped at this moment.
            pub fn query(&self, address: GuestPhysAddr) -> Option<Translation> {
                dispatch!($variants self, space => space.query(address))
            }

            /// See [`AddrSpace::harvest`].
            ///
            /// # Errors
            ///
            /// Those of [`AddrSpace::harvest`].
            pub fn harvest(&self, state: State, pages: &mut PageBitmap<'_>) -> Result<(), SpaceError> {
                dispatch!($variants self, space => space.harvest(state, pages))
            }
        }

        impl<H: Hal, B: Backend> GuestMemoryAccessor for NestedAddrSpace<H, B> {
            fn guest_slice(
                &self,
                address: GuestPhysAddr,
                length: usize,
                access: Rights,
            ) -> Result<GuestSlice<'_>, GuestFault> {
                dispatch!($variants self, space => space.guest_slice(address, length, access))
            }
        }
    };
}
pub(crate) use forward;

/// What the types above speak of.
pub(crate) mod prelude {
    pub(crate) use crate::nested::dispatch;
    pub(crate) use crate::{
        AddrSpace, Alloc, Area, Areas, Attributes, Backend, Builtin, Change, ClosedRange, Device, Error, FaultIn,
        FaultOutcome, FrameCache, Gather, Geometry, GuestFault, GuestMemoryAccessor, GuestPhysAddr, GuestSlice, Hal,
        HostPhysAddr, HostRegion, Linear, Lookup, PageBitmap, PageTable, Refusal, Relax, ReportError, Rights,
        SpaceError, State, Tag, Translation,
    };
}
