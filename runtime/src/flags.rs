//! [`MappingFlags`] in the library's own words, and back.

use crate::{Attributes, Change, MappingFlags, MemoryType, Rights};

impl From<MappingFlags> for Rights {
    /// Rights at every privilege level: nested tables apply to all of the guest.
    fn from(flags: MappingFlags) -> Self {
        let right = |flag, right| if flags.contains(flag) { right } else { Self::empty() };
        right(MappingFlags::READ, Self::R) | right(MappingFlags::WRITE, Self::W) | right(MappingFlags::EXECUTE, Self::X)
    }
}

impl From<Rights> for MappingFlags {
    /// What some privilege level may do; `USER` if only user mode may do any of it.
    fn from(rights: Rights) -> Self {
        let flag = |right, flag| if rights.intersects(right) { flag } else { Self::empty() };
        let privileged = rights.intersects(Rights::PR | Rights::PW | Rights::PX);
        let user = if privileged || rights.is_empty() { Self::empty() } else { Self::USER };
        flag(Rights::R, Self::READ) | flag(Rights::W, Self::WRITE) | flag(Rights::X, Self::EXECUTE) | user
    }
}

/// The memory type that the flags name; `None` if they name none.
fn named_memory(flags: MappingFlags) -> Option<MemoryType> {
    if flags.contains(MappingFlags::DEVICE) {
        Some(MemoryType::DeviceNGnRE)
    } else if flags.contains(MappingFlags::UNCACHED) {
        Some(MemoryType::NonCacheable)
    } else {
        None
    }
}

impl From<MappingFlags> for Attributes {
    /// `DEVICE` is device memory with early acknowledgement, `UNCACHED` is normal memory that is not cached, and anything
    /// else is write-back.
    fn from(flags: MappingFlags) -> Self {
        Self::new(flags.into(), named_memory(flags).unwrap_or_default())
    }
}

impl From<MappingFlags> for Change {
    /// New rights; a new memory type only if the flags name one.
    fn from(flags: MappingFlags) -> Self {
        Self { rights: Some(flags.into()), memory: named_memory(flags), options: None }
    }
}

impl From<&Attributes> for Change {
    /// A change to exactly these attributes, whatever was there before.
    fn from(attributes: &Attributes) -> Self {
        let &Attributes { rights, memory, options, .. } = attributes;
        Self { rights: Some(rights), memory: Some(memory), options: Some(options) }
    }
}

impl From<Attributes> for MappingFlags {
    /// The closest flags.
    fn from(attributes: Attributes) -> Self {
        let memory = match attributes.memory {
            memory if memory.is_device() => Self::DEVICE,
            MemoryType::NonCacheable | MemoryType::WriteCombining | MemoryType::Uncached => Self::UNCACHED,
            _ => Self::empty(),
        };
        Self::from(attributes.rights) | memory
    }
}

impl MemoryType {
    /// Whether it is one of the device types, where even a read may have side effects.
    pub const fn is_device(self) -> bool {
        matches!(self, Self::DeviceNGnRnE | Self::DeviceNGnRE | Self::DeviceNGRE | Self::DeviceGRE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_back_as_they_went() {
        for bits in 0..MappingFlags::all().bits() + 1 {
            let flags = MappingFlags::from_bits_truncate(bits) - MappingFlags::USER;
            let back = MappingFlags::from(Attributes::from(flags));
            // A device is not cached anyway: the two flags together say no more than the first alone.
            let uncached =
                if flags.contains(MappingFlags::DEVICE) { MappingFlags::UNCACHED } else { MappingFlags::empty() };
            assert_eq!(back, flags - uncached);
        }
    }

    #[test]
    fn new_rights_leave_the_memory_type_alone() {
        assert_eq!(Change::from(MappingFlags::READ).memory, None);
        assert_eq!(Change::from(MappingFlags::DEVICE).memory, Some(MemoryType::DeviceNGnRE));
    }
}
