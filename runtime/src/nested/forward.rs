//! The methods that are the same for all variants: each is one line, and calls the method of the type inside.

/// Methods that call those of the same name in the type inside, which is named for their documentation. Methods that can
/// fail return `Ok | Error`.
macro_rules! methods {
    ($variants:tt $of:literal &self {
        $(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty $(| $error:ty)?)?;)*
    }) => {$(
        #[doc = as_inside!($of $name $($($error)?)?)]
        pub fn $name(&self, $($arg: $type),*) $(-> outcome!($result $(, $error)?))? {
            dispatch!($variants self, inner => inner.$name($($arg),*))
        }
    )*};
    ($variants:tt $of:literal &mut self {
        $(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty $(| $error:ty)?)? $(where [$($bound:tt)+])?;)*
    }) => {$(
        #[doc = as_inside!($of $name $($($error)?)?)]
        pub fn $name(&mut self, $($arg: $type),*) $(-> outcome!($result $(, $error)?))? $(where $($bound)+)? {
            dispatch!($variants self, inner => inner.$name($($arg),*))
        }
    )*};
}
pub(crate) use methods;

/// The documentation of a method that calls the one of the type inside, with its errors if it has any.
macro_rules! as_inside {
    ($of:literal $name:ident) => {
        concat!("As [`", $of, "::", stringify!($name), "`].")
    };
    ($of:literal $name:ident $error:ty) => {
        as_inside!($of $name $error, "")
    };
    ($of:literal $name:ident $error:ty, $more:literal) => {
        concat!(
            "As [`", $of, "::", stringify!($name), "`].\n\n# Errors\n\nThose of [`", $of, "::", stringify!($name), "`]", $more,
            "."
        )
    };
}
pub(crate) use as_inside;

/// What a method returns.
macro_rules! outcome {
    ($result:ty) => { $result };
    ($result:ty, $error:ty) => { Result<$result, $error> };
}
pub(crate) use outcome;

/// Evaluates `$body` for the variant that both are.
macro_rules! with_gather {
    ([$($variant:ident)+] $on:expr, $gather:expr, $inner:ident, $its:ident => $body:expr) => {
        match ($on, $gather) {
            $((Self::$variant($inner), NestedGather::$variant($its)) => $body,)+
            _ => Err(Error::ForeignGather),
        }
    };
}
pub(crate) use with_gather;

/// Methods of page tables that feed a gather, their last argument.
macro_rules! gathering {
    ($variants:tt {
        $(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*
    } unsafe {
        $(fn $risky:ident($($value:ident: $kind:ty),*) -> $outcome:ty;)*
    }) => {
        $(
            #[doc = as_inside!("PageTable" $name Error, "; [`Error::ForeignGather`] for a gather of another format, too")]
            #[allow(unreachable_patterns)]
            pub fn $name(&mut self, $($arg: $type,)* gather: &mut NestedGather<H>) -> Result<$result, Error> {
                with_gather!($variants self, gather, table, gather => table.$name($($arg,)* gather))
            }
        )*
        $(
            #[doc = as_inside!("PageTable" $risky Error, "; [`Error::ForeignGather`] for a gather of another format, too")]
            ///
            /// # Safety
            ///
            #[doc = concat!("As for [`PageTable::", stringify!($risky), "`].")]
            #[allow(unreachable_patterns)]
            pub unsafe fn $risky(&mut self, $($value: $kind,)* gather: &mut NestedGather<H>) -> Result<$outcome, Error> {
                // SAFETY: as the caller promises.
                with_gather!($variants self, gather, table, gather => unsafe { table.$risky($($value,)* gather) })
            }
        )*
    };
}
pub(crate) use gathering;

/// Methods of address spaces that read a hardware report, their first argument.
macro_rules! reporting {
    ($variants:tt {
        $(fn $name:ident[&$($mutable:ident)?]($($arg:ident: $type:ty),*) -> $result:ty;)*
    }) => {$(
        #[doc = as_inside!("AddrSpace" $name Error, "; [`ReportError::NotAFault`] for the report of another format, too")]
        #[allow(unreachable_patterns)]
        pub fn $name(
            &$($mutable)? self,
            report: &NestedReport
            $(, $arg: $type)*
        ) -> Result<$result, ReportError> {
            with_report!($variants self, report, space, report => space.$name(report $(, $arg)*))
        }
    )*};
}
pub(crate) use reporting;

/// Evaluates `$body` for the variant that both are.
macro_rules! with_report {
    ([$($variant:ident)+] $on:expr, $report:expr, $inner:ident, $its:ident => $body:expr) => {
        match ($on, $report) {
            $((Self::$variant($inner), NestedReport::$variant($its)) => $body,)+
            _ => Err(ReportError::NotAFault),
        }
    };
}
pub(crate) use with_report;

/// What is the same for all variants.
macro_rules! forward {
    ($variants:tt) => {
        impl<H: Hal> NestedPageTable<H> {
            methods! { $variants "PageTable" &self {
                fn root() -> HostPhysAddr;
                fn tag() -> Tag;
                fn hal() -> &H;
                fn geometry() -> &Geometry;
                fn query(ia: u64) -> Option<Lookup>;
                fn translate(ia: u64) -> Option<u64>;
                fn relax(ia: u64, rights: Rights) -> Relax | Error;
                fn mark(ia: u64, write: bool) -> bool;
                fn frame_cache() -> FrameCache<H>;
                fn top_up(cache: &mut FrameCache<H>, frames: usize) -> () | Error;
                fn tables_for(range: ClosedRange, oa: u64, attributes: &Attributes) -> usize | Error;
                fn tables_needed(range: ClosedRange) -> usize | Error;
                fn reserved() -> usize;
                fn change_counts() -> ChangeCounts;
            } }

            methods! { $variants "PageTable" &mut self {
                fn reserve(tables: usize) -> () | Error;
                fn release_reserve();
                fn attach(sink: Sink);
                fn detach(sink: Sink);
                fn renew_tag(tags: &Tags) -> bool | Error;
                fn set_partial_change(policy: PartialChange);
            } }

            gathering! { $variants {
                fn unmap(range: ClosedRange) -> ();
                fn protect(range: ClosedRange, change: &Change) -> ();
                fn protect_and_harvest(range: ClosedRange, change: &Change, pages: &mut PageBitmap<'_>) -> ();
                fn populate(range: ClosedRange, attributes: &Attributes, largest: u8) -> ();
                fn harvest_exclusive(state: State, pages: &mut PageBitmap<'_>) -> ();
                fn relax_exclusive(ia: u64, rights: Rights) -> Relax;
                fn move_range(range: ClosedRange, to: u64) -> ();
                fn split(range: ClosedRange) -> ();
                fn split_to(range: ClosedRange, size: u8) -> ();
            } unsafe {
                fn map(range: ClosedRange, oa: u64, attributes: &Attributes) -> ();
                fn depopulate(range: ClosedRange) -> ();
                fn collapse(range: ClosedRange, largest: u8) -> ();
                fn enlarge(range: ClosedRange, largest: u8) -> usize;
                fn fault_in_exclusive(ia: u64, size: u8, oa: u64, attributes: &Attributes) -> FaultIn;
                fn remap(ia: u64, oa: u64, attributes: &Attributes) -> bool;
            } }

            #[doc = as_inside!("PageTable" harvest Error, "; [`Error::ForeignGather`] for a gather of another format, too")]
            #[allow(unreachable_patterns)]
            pub fn harvest(
                &self,
                state: State,
                pages: &mut PageBitmap<'_>,
                gather: &mut NestedGather<H>,
            ) -> Result<(), Error> {
                with_gather!($variants self, gather, table, gather => table.harvest(state, pages, gather))
            }

            #[doc = as_inside!("PageTable" fault_in Error)]
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

            #[doc = as_inside!("PageTable" fault_in_cached Error)]
            ///
            /// # Safety
            ///
            /// As for [`PageTable::fault_in_cached`].
            pub unsafe fn fault_in_cached(
                &self,
                ia: u64,
                size: u8,
                oa: u64,
                attributes: &Attributes,
                cache: &mut FrameCache<H>,
            ) -> Result<FaultIn, Error> {
                // SAFETY: as the caller promises.
                dispatch!($variants self, table => unsafe { table.fault_in_cached(ia, size, oa, attributes, cache) })
            }

            /// As [`PageTable::give_up`].
            pub fn give_up(self) -> HostPhysAddr {
                dispatch!($variants self, table => table.give_up())
            }
        }

        impl<H: Hal> NestedGather<H> {
            methods! { $variants "Gather" &self {
                fn is_empty() -> bool;
                fn is_complete() -> bool;
            } }
            methods! { $variants "Gather" &mut self {
                fn begin();
                fn flush();
            } }
        }

        impl<H: Hal, B: Backend> NestedAddrSpace<H, B> {
            reporting! { $variants {
                fn fault_info[&]() -> NestedPageFaultInfo;
                fn handle_report[&]() -> FaultOutcome;
                fn handle_report_cached[&](frames: &mut FrameCache<H>) -> FaultOutcome;
                fn handle_report_exclusive[&mut]() -> FaultOutcome;
            } }

            methods! { $variants "AddrSpace" &self {
                fn base() -> GuestPhysAddr;
                fn end() -> GuestPhysAddr;
                fn size() -> usize;
                fn range() -> ClosedRange;
                fn contains_range(start: GuestPhysAddr, size: usize) -> bool;
                fn page_table_root() -> HostPhysAddr;
                fn areas() -> Areas<'_, B>;
                fn find_area(address: GuestPhysAddr) -> Option<&Area<B>>;
                fn find_free_area(within: ClosedRange, size: usize, align: u8) -> Option<GuestPhysAddr>;
                fn translate(address: GuestPhysAddr) -> Option<HostPhysAddr>;
                fn query(address: GuestPhysAddr) -> Option<Translation>;
                fn translate_and_get_limit(address: GuestPhysAddr) -> Option<(HostPhysAddr, usize)>;
                fn translated_byte_buffer(address: GuestPhysAddr, length: usize)
                    -> Vec<GuestSlice<'_>> | GuestError;
                fn handle_fault(address: GuestPhysAddr, access: Rights) -> FaultOutcome;
                fn handle_fault_cached(address: GuestPhysAddr, access: Rights, frames: &mut FrameCache<H>)
                    -> FaultOutcome;
                fn handle_resolved(info: &FaultInfo, address: GuestPhysAddr, frames: &mut FrameCache<H>)
                    -> FaultOutcome;
                fn frame_cache() -> FrameCache<H>;
                fn top_up(cache: &mut FrameCache<H>) -> () | SpaceError;
                fn harvest(state: State, pages: &mut PageBitmap<'_>) -> () | SpaceError;
                fn statistics() -> Statistics;
                fn change_counts() -> ChangeCounts;
            } }

            methods! { $variants "AddrSpace" &mut self {
                fn map(start: GuestPhysAddr, size: usize, attributes: impl Into<Attributes>, backend: impl Into<B>)
                    -> () | SpaceError;
                fn map_linear(start: GuestPhysAddr, region: HostRegion, attributes: impl Into<Attributes>)
                    -> () | SpaceError where [B: From<Linear>];
                fn map_alloc(start: GuestPhysAddr, size: usize, attributes: impl Into<Attributes>, populate: bool)
                    -> () | SpaceError where [B: From<Alloc>];
                fn map_shared(start: GuestPhysAddr, memory: &SharedMemory, attributes: impl Into<Attributes>)
                    -> () | SpaceError where [B: From<Shared>];
                fn map_copy_on_write(start: GuestPhysAddr, memory: &SharedMemory, attributes: impl Into<Attributes>)
                    -> () | SpaceError where [B: From<CopyOnWrite>];
                fn map_device(start: GuestPhysAddr, size: usize, handle: usize)
                    -> () | SpaceError where [B: From<Device>];
                fn unmap(start: GuestPhysAddr, size: usize) -> () | SpaceError;
                fn populate(start: GuestPhysAddr, size: usize, access: Rights) -> () | SpaceError;
                fn replace(start: GuestPhysAddr, size: usize, attributes: impl Into<Attributes>, backend: impl Into<B>)
                    -> () | SpaceError;
                fn move_range(start: GuestPhysAddr, size: usize, to: GuestPhysAddr) -> () | SpaceError;
                fn clear() -> () | SpaceError;
                fn protect(start: GuestPhysAddr, size: usize, change: impl Into<Change>) -> () | SpaceError;
                fn handle_fault_exclusive(address: GuestPhysAddr, access: Rights) -> FaultOutcome;
                fn handle_page_fault(address: GuestPhysAddr, access_flags: MappingFlags) -> bool;
                fn harvest_exclusive(state: State, pages: &mut PageBitmap<'_>) -> () | SpaceError;
                fn start_dirty_log(start: GuestPhysAddr, size: usize) -> () | SpaceError;
                fn stop_dirty_log(start: GuestPhysAddr, size: usize) -> () | SpaceError;
                fn protect_and_harvest(
                    start: GuestPhysAddr, size: usize, change: impl Into<Change>, pages: &mut PageBitmap<'_>
                ) -> () | SpaceError;
                fn split(start: GuestPhysAddr, size: usize, largest: u8) -> () | SpaceError;
                fn collapse(start: GuestPhysAddr, size: usize) -> () | SpaceError;
                fn enlarge(start: GuestPhysAddr, size: usize) -> usize | SpaceError;
                fn attach(sink: Sink);
                fn detach(sink: Sink);
                fn renew_tag(tags: &Tags) -> bool | SpaceError;
                fn set_partial_change(policy: PartialChange);
                fn reserve(start: GuestPhysAddr, size: usize) -> () | SpaceError;
                fn release_reserve();
            } }
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
