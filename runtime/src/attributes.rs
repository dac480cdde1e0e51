//! What a mapping allows and how its memory behaves, in words that every format understands.

use core::fmt::{self, Display, Formatter};

use bitflags::bitflags;

bitflags! {
    /// Access rights. Formats that do not tell privileged from user accesses take and give both alike.
    ///
    /// ```
    /// use tablewright::Rights;
    ///
    /// let kernel_text = Rights::PR | Rights::PX;
    /// assert_eq!(kernel_text.to_string(), "pr-px");
    /// assert!(Rights::RX.contains(kernel_text) && !kernel_text.intersects(Rights::U));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Rights: u8 {
        /// Privileged read.
        const PR = 1;
        /// Privileged write.
        const PW = 2;
        /// Privileged execute.
        const PX = 4;
        /// User read.
        const UR = 8;
        /// User write.
        const UW = 16;
        /// User execute.
        const UX = 32;
        /// Read at every privilege level.
        const R = Self::PR.bits() | Self::UR.bits();
        /// Write at every privilege level.
        const W = Self::PW.bits() | Self::UW.bits();
        /// Execute at every privilege level.
        const X = Self::PX.bits() | Self::UX.bits();
        /// Read and write.
        const RW = Self::R.bits() | Self::W.bits();
        /// Read and execute.
        const RX = Self::R.bits() | Self::X.bits();
        /// Whatever user mode may do.
        const U = Self::UR.bits() | Self::UW.bits() | Self::UX.bits();
        /// Everything.
        const RWX = Self::RW.bits() | Self::X.bits();
    }
}

/// As `rwx`: a dash where a right is missing, `p` or `u` before one that only privileged or only user mode has.
impl Display for Rights {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letters = [(Rights::PR, Rights::UR, 'r'), (Rights::PW, Rights::UW, 'w'), (Rights::PX, Rights::UX, 'x')];
        letters.into_iter().try_for_each(|(privileged, user, letter)| {
            match (self.contains(privileged), self.contains(user)) {
                (true, true) => write!(f, "{letter}"),
                (true, false) => write!(f, "p{letter}"),
                (false, true) => write!(f, "u{letter}"),
                (false, false) => f.write_str("-"),
            }
        })
    }
}

bitflags! {
    /// What callers ask for and faults report, in the terms of the `axaddrspace` family of crates.
    ///
    /// ```
    /// use tablewright::{Attributes, MappingFlags, MemoryType, Rights};
    ///
    /// let device = Attributes::from(MappingFlags::READ | MappingFlags::WRITE | MappingFlags::DEVICE);
    /// assert_eq!((device.rights, device.memory), (Rights::RW, MemoryType::DeviceNGnRE));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct MappingFlags: usize {
        /// Readable.
        const READ = 1 << 0;
        /// Writable.
        const WRITE = 1 << 1;
        /// Executable.
        const EXECUTE = 1 << 2;
        /// Accessible from user mode (stage 1; nested tables ignore it).
        const USER = 1 << 3;
        /// Device memory.
        const DEVICE = 1 << 4;
        /// Not cacheable.
        const UNCACHED = 1 << 5;
    }
}

/// Memory types. A format refuses or replaces those that it lacks, as its file says.
///
/// ```
/// use tablewright::{Attributes, Entry, Format, MemoryType, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Without Svpbmt there are no memory types: devices get what the platform says of their addresses.
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let page = format.prototype(0, 12, &Attributes::new(Rights::RW, MemoryType::DeviceNGnRE))?;
/// let Entry::Leaf(leaf) = format.decode(0, page.bits) else { panic!("it is a leaf") };
/// assert_eq!(leaf.attributes.memory, MemoryType::Inherit);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MemoryType {
    /// Whatever the guest's own tables or the platform say.
    Inherit,
    /// Normal memory, write-back.
    #[default]
    WriteBack,
    /// Normal memory, write-through.
    WriteThrough,
    /// Reads are cached, writes are not.
    WriteProtected,
    /// Write-combining.
    WriteCombining,
    /// Normal memory, not cacheable.
    NonCacheable,
    /// Strongly ordered, not cacheable.
    Uncached,
    /// Device: no gathering, no reordering, no early acknowledgement.
    DeviceNGnRnE,
    /// Device: no gathering, no reordering.
    DeviceNGnRE,
    /// Device: no gathering.
    DeviceNGRE,
    /// Device: gathering and reordering allowed.
    DeviceGRE,
    /// A legal encoding that has no name here.
    Unnamed,
}

/// A format's own options and software bits, as the entry bits in which they differ from the format's defaults.
///
/// The constants are generated beside the format; combine them with [`Options::with`].
///
/// ```
/// use tablewright::{Attributes, MemoryType, Rights, x86_64::ept};
///
/// let passthrough = Attributes {
///     options: ept::IGNORE_PAT.with(ept::DELIVER_VE),
///     ..Attributes::new(Rights::RW, MemoryType::Uncached)
/// };
/// assert_ne!(passthrough.options, tablewright::Options::DEFAULT);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Options(u64);

impl Options {
    /// The format's defaults.
    pub const DEFAULT: Self = Self(0);

    /// Options from the entry bits that differ from the format's defaults.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The entry bits that differ from the format's defaults.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Both options.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Everything a leaf says beside its address.
///
/// ```
/// use tablewright::{Attributes, Change, MemoryType, Rights};
///
/// let ram = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// assert!(ram.accessed && ram.dirty);
/// let read_only = ram.with(&Change { rights: Some(Rights::R), ..Change::default() });
/// assert_eq!((read_only.rights, read_only.memory), (Rights::R, MemoryType::WriteBack));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Access rights.
    pub rights: Rights,
    /// Memory type.
    pub memory: MemoryType,
    /// The accessed state. Formats without it ignore it when writing and report `false`.
    pub accessed: bool,
    /// The dirty state. Formats without it ignore it when writing and report `false`.
    pub dirty: bool,
    /// The format's own options.
    pub options: Options,
}

impl Attributes {
    /// Attributes with these rights and this memory type, marked accessed and (if writable) dirty, so that no MMU has to
    /// set the flags or fault for them.
    pub const fn new(rights: Rights, memory: MemoryType) -> Self {
        Self { rights, memory, accessed: true, dirty: rights.intersects(Rights::W), options: Options::DEFAULT }
    }

    /// The same with `change` applied.
    pub const fn with(self, change: &Change) -> Self {
        let mut new = self;
        if let Some(rights) = change.rights {
            new.rights = rights;
        }
        if let Some(memory) = change.memory {
            new.memory = memory;
        }
        if let Some(options) = change.options {
            new.options = options;
        }
        new
    }

    /// The attributes of a page that has been used and, if `dirty`, written.
    pub(crate) const fn used(self, dirty: bool) -> Self {
        Self { accessed: true, dirty: self.dirty || dirty, ..self }
    }
}

/// What a protect operation changes; `None` leaves an attribute as it is.
///
/// ```
/// use tablewright::{Change, MappingFlags, Rights};
///
/// // Flags change the memory type only if they name one.
/// let change = Change::from(MappingFlags::READ);
/// assert_eq!(change, Change { rights: Some(Rights::R), memory: None, options: None });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Change {
    /// New rights.
    pub rights: Option<Rights>,
    /// New memory type.
    pub memory: Option<MemoryType>,
    /// New options.
    pub options: Option<Options>,
}
