//! The words of this library: what names and messages mean by them.
//!
//! # Addresses
//!
//! - **IA, OA**: the address that goes into a translation, and the one that comes out. For nested tables: a guest physical
//!   address ([`GuestPhysAddr`](crate::GuestPhysAddr)) and a host physical one ([`HostPhysAddr`](crate::HostPhysAddr)). For
//!   a guest's own tables: its virtual and its physical address.
//! - **range**: always closed, `start..=last` ([`ClosedRange`](crate::ClosedRange)), so that the last page of 2^64 bytes is
//!   a page like any other. `start` and a size in bytes stand where nothing can reach so far.
//! - **size of a page or frame**: as log2 of its bytes; 12 is 4 KiB, 21 is 2 MiB.
//! - **granule**: the smallest page of a format.
//!
//! # Tables
//!
//! - **format**: one layout of entries with its geometry ([`Format`](crate::Format)): Intel's EPT, or AArch64's stage 2 with
//!   a granule of 4 KiB. Its **parameters** are what differs between machines (`boot`) or address spaces (`vm`); together
//!   they are its `Config`.
//! - **stage 1, stage 2**: the guest's own translation, and the host's of what comes out of it: *nested* tables.
//! - **level**: 0 is where the smallest pages are, the *top level* is the root's. Arm and Intel count in other ways;
//!   manuals' numbers appear only in quotations.
//! - **root**: the table at the top. It may be wide (four tables' size), or several tables side by side (*concatenated*), or
//!   there may be two, one for each end of the addresses.
//! - **entry**: what one slot of a table says. It is a **table** (leads one level down), a **leaf** (maps; a **page** at
//!   level 0, a **block** above), **empty** (the value that we write where nothing is), otherwise **invalid** (faults, the
//!   rest is free), or **reserved** (no software may write it).
//! - **run**: neighbouring entries that together are one larger leaf; one of them is an **item**. Contiguous hints,
//!   NAPOT, and the page sizes in AMD's addresses are runs.
//! - **rights**: what an access must be allowed to do ([`Rights`](crate::Rights)); **memory type**: whether and how it is
//!   cached ([`MemoryType`](crate::MemoryType)); both are **attributes** ([`Attributes`](crate::Attributes)).
//! - **accessed, dirty**: what hardware or this library notes in a leaf when it was used, or written. To **harvest** is to
//!   read and clear that ([`PageTable::harvest`](crate::PageTable::harvest)).
//! - **split, collapse**: one leaf into the entries of a table that say the same, and back.
//!
//! # Changes
//!
//! - **live**: what an MMU can reach at this moment.
//! - **break, make**: where a live entry may not turn into another at once, it is emptied and invalidated, then written.
//!   Arm calls it break-before-make. Whether it is needed is in the format's data.
//! - **tag**: what tells the translations of one space from those of others in a TLB ([`Tag`](crate::Tag)): VMID, VPID,
//!   ASID, PCID.
//! - **gather**: the duty to invalidate what was changed, and the frames that may go back only then
//!   ([`Gather`](crate::Gather)). Dropping it fulfils the duty.
//! - **sink**: who holds translations of a table ([`Sink`](crate::Sink)): the CPUs, and perhaps an IOMMU.
//! - **reserve**: frames put aside, so that what follows cannot fail for want of one.
//! - **exclusive**: with `&mut`, while nobody else uses the table from this side. What needs it answers
//!   [`NeedsExclusive`](crate::FaultOutcome::NeedsExclusive) where it is asked with `&`.
//!
//! # Spaces
//!
//! - **area**: a range of an address space that was mapped as one ([`Area`](crate::Area)), whether or not the table says so
//!   already.
//! - **backend**: what is behind an area ([`Backend`](crate::Backend)): host memory, frames of the HAL, a device.
//! - **linear**: with host memory of consecutive addresses. **lazy**: mapped when it is first used. **populated**: mapped
//!   from the start.
//! - **fault**: an access that was not translated. A **violation** lacks rights, a **misconfiguration** is an entry that
//!   no software may write; a **spurious** fault is over before anybody looked.
//! - **HAL**: what this library needs of the machine and the rest of the hypervisor ([`Hal`](crate::Hal)).
