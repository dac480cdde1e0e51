//! A glossary: what the words in this library's names and messages mean.
//!
//! # Addresses
//!
//! - **IA, OA**: the address that goes into a translation, and the one that comes out. For nested tables: a guest physical
//!   address ([`GuestPhysAddr`](crate::GuestPhysAddr)) and a host physical one ([`HostPhysAddr`](crate::HostPhysAddr)). For
//!   a guest's own tables: its virtual and its physical address.
//! - **range**: always closed, `start..=last` ([`ClosedRange`](crate::ClosedRange)), so that the last page of 2^64 bytes is
//!   a page like any other. Where nothing can reach that far, there is a `start` and a size in bytes instead.
//! - **size of a page or frame**: as log2 of its bytes; 12 is 4 KiB, 21 is 2 MiB.
//! - **granule**: the smallest page of a format.
//!
//! # Tables
//!
//! - **format**: one layout of entries with its geometry ([`Format`](crate::Format)): Intel's EPT, or AArch64's stage 2 with
//!   a granule of 4 KiB. Its **parameters** are what differs between machines (`boot`) or address spaces (`vm`); together
//!   they are its `Config`.
//! - **stage 1, stage 2**: the guest's own translation, and the host's translation of its results (*nested* tables).
//! - **level**: 0 is where the smallest pages are, the *top level* is the root's. Arm and Intel count differently; the
//!   manuals' numbers appear only where manuals are quoted.
//! - **root**: the table at the top. It may be wide (four tables' size), or several tables side by side (*concatenated*), or
//!   there may be two, one for each end of the addresses.
//! - **entry**: what one slot of a table says. It is a **table** (leads one level down), a **leaf** (maps; a **page** at
//!   level 0, a **block** above), **empty** (the value that we write where nothing is), otherwise **invalid** (faults, the
//!   rest is free), or **reserved** (no software may write it).
//! - **run**: neighbouring entries that together are one larger leaf; one of them is an **item**. Contiguous hints,
//!   NAPOT, and the page sizes in AMD's addresses are runs.
//! - **rights**: what an access must be allowed to do ([`Rights`](crate::Rights)); **memory type**: whether and how it is
//!   cached ([`MemoryType`](crate::MemoryType)); both are **attributes** ([`Attributes`](crate::Attributes)).
//! - **accessed, dirty**: the states that hardware or this library records in a leaf when it is used, or written. To
//!   **harvest** is to read and clear them ([`PageTable::harvest`](crate::PageTable::harvest)).
//! - **split, collapse**: turn one leaf into smaller ones that map the same, and back.
//!
//! # Changes
//!
//! - **live**: what an MMU can reach at this moment.
//! - **break, make**: where a live entry must not turn into another at once, it is emptied and invalidated (broken), then
//!   written (made). Arm calls this break-before-make. Whether it is needed is in the format's data.
//! - **tag**: what distinguishes the translations of one space from those of others in a TLB ([`Tag`](crate::Tag)): VMID,
//!   VPID, ASID, PCID.
//! - **gather**: the invalidations that are due after changes, and the frames that may be freed only after them
//!   ([`Gather`](crate::Gather)). Dropping it performs the invalidations.
//! - **sink**: something that caches translations of a table ([`Sink`](crate::Sink)): the CPUs, and perhaps an IOMMU.
//! - **reserve**: frames set aside, so that later operations cannot fail for lack of one.
//! - **exclusive**: through `&mut`, while no other CPU of the host uses the table. Operations through `&` that would need it
//!   answer [`NeedsExclusive`](crate::FaultOutcome::NeedsExclusive).
//!
//! # Spaces
//!
//! - **area**: a range of an address space that was mapped as one ([`Area`](crate::Area)), whether or not it is in the table
//!   already.
//! - **backend**: what is behind an area ([`Backend`](crate::Backend)): host memory, frames of the HAL, a device.
//! - **linear**: backed by consecutive host memory. **lazy**: mapped when it is first used. **populated**: mapped from the
//!   start.
//! - **fault**: an access that was not translated. A **violation** lacks rights; a **misconfiguration** is caused by an
//!   entry that no software may write; a **spurious** fault is over before anybody looks at it.
//! - **HAL**: what this library needs from the machine and the rest of the hypervisor ([`Hal`](crate::Hal)).
