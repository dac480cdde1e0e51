//! One type over all nested formats of an architecture, for hypervisors that learn only at boot which one the machine
//! has.
//!
//! Each operation finds out once which format it is; from there on, the engine is that of this one format.

pub(crate) mod forward;

/// Evaluates `$body` for whichever variant `$on` is.
macro_rules! dispatch {
    ([$($variant:ident)+] $on:expr, $inner:ident => $body:expr) => {
        match $on {
            $(Self::$variant($inner) => $body,)+
        }
    };
}
pub(crate) use dispatch;

/// Defines the types over the named modules of formats. `$start` is the beginning of every type's example: it makes a
/// `format` of one of them.
macro_rules! nested_formats {
    ($start:literal $($(#[$doc:meta])* $variant:ident: $module:ident,)+) => {
        /// One of the nested formats, with its parameters.
        ///
        #[doc = $start]
        /// let format = NestedFormat::from(format);
        /// let space = NestedAddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
        /// assert_eq!(space.areas().count(), 0);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub enum NestedFormat {
            $($(#[$doc])* $variant($module::Format),)+
        }

        /// The values to load into the machine's registers.
        ///
        #[doc = $start]
        /// let table = NestedPageTable::new(format, Machine::new(0, 1 << 20), Tag(1))?;
        /// // Which registers these are, the variant says.
        /// let registers: NestedRegisters = table.registers()?;
        /// println!("{registers:x?}");
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub enum NestedRegisters {
            $($(#[$doc])* $variant($module::Registers),)+
        }

        /// The hardware's fault report.
        ///
        #[doc = $start]
        /// /// What an exit handler does, whatever the machine reported.
        /// fn handle(space: &NestedAddrSpace<Machine>, report: &NestedReport) -> bool {
        ///     space.handle_report(report).is_ok_and(|outcome| outcome.is_resolved())
        /// }
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub enum NestedReport {
            $($(#[$doc])* $variant($module::Report),)+
        }

        /// A [`Gather`] of one of the formats.
        ///
        #[doc = $start]
        /// let mut table = NestedPageTable::new(format, Machine::new(0, 1 << 20), Tag(1))?;
        /// let mut gather = table.gather();
        /// table.unmap(ClosedRange::around(0x8000_0000, 12), &mut gather)?;
        /// gather.flush();
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Debug)]
        #[must_use = "dropping it invalidates; keep it to collect the changes of several operations"]
        pub enum NestedGather<H: Hal> {
            $($(#[$doc])* $variant(Gather<$module::Format, H>),)+
        }

        /// A guest's page table in one of the formats. The [`PageTable`] inside has what is not forwarded here.
        ///
        #[doc = $start]
        /// let table = NestedPageTable::new(format, Machine::new(0, 1 << 20), Tag(1))?;
        /// assert_eq!(table.translate(0x8000_0000), None);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Debug)]
        pub enum NestedPageTable<H: Hal> {
            $($(#[$doc])* $variant(PageTable<$module::Format, H>),)+
        }

        /// A guest's address space in one of the formats. The [`AddrSpace`] inside has what is not forwarded here.
        ///
        #[doc = $start]
        /// let mut space = NestedAddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
        /// space.map_alloc(0x1000.into(), 0x4000, MappingFlags::READ | MappingFlags::WRITE, false)?;
        /// assert!(space.handle_fault(0x2000.into(), Rights::W).is_resolved());
        /// # Ok(())
        /// # }
        /// ```
        // All are large, and behind a pointer each would have to be allocated.
        #[allow(clippy::large_enum_variant)]
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
            /// An empty space with the caller's own backends: see [`AddrSpace::with_backend`].
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
        }

        $crate::nested::forward::forward! { [$($variant)+] }
    };
}
pub(crate) use nested_formats;

/// What the types above speak of.
pub(crate) mod prelude {
    pub(crate) use alloc::vec::Vec;

    pub(crate) use crate::nested::dispatch;
    pub(crate) use crate::nested::forward::{
        as_inside, gathering, methods, outcome, reporting, with_gather, with_report,
    };
    pub(crate) use crate::{
        AddrSpace, Alloc, Area, Areas, Attributes, Backend, Builtin, Change, ChangeCounts, ClosedRange, CopyOnWrite,
        Device, Error, FaultIn, FaultInfo, FaultOutcome, FrameCache, Gather, Geometry, GuestError, GuestFault,
        GuestMemoryAccessor, GuestPhysAddr, GuestSlice, Hal, HostPhysAddr, HostRegion, Linear, Lookup, MappingFlags,
        NestedPageFaultInfo, PageBitmap, PageTable, PartialChange, Refusal, Relax, ReportError, Rights, Shared,
        SharedMemory, Sink, SpaceError, State, Statistics, Tag, Tags, Translation,
    };
}
