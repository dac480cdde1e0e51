//! Parameters of formats from a machine's identification registers. Register values are composed by hand from the
//! manuals' bit numbers.

use tablewright::x86_64::{amd_iommu_v1, ept, long_mode, npt, vtd_first_stage, vtd_second_stage};

/// A server with everything that Intel's processors have.
const INTEL: long_mode::Capabilities = long_mode::Capabilities {
    cpuid_0_ebx: 0x756e_6547,
    cpuid_1_ecx: 1 << 17,
    cpuid_7_ebx: 1 << 10,
    cpuid_7_ecx: 1 << 3 | 1 << 16 | 1 << 31,
    cpuid_80000001_edx: 1 << 20 | 1 << 26 | 1 << 29,
    cpuid_80000008_eax: 0x392e,
    cpuid_8000001f_ebx: 0,
    ia32_arch_capabilities: 1 << 6,
    ia32_pat: 0x0407_0506_0007_0106,
    syscfg: 0,
    sev_status: 0,
};

/// One of AMD's that can encrypt memory: bit 51, which takes 5 bits from the 48 of an address.
const AMD: long_mode::Capabilities = long_mode::Capabilities {
    cpuid_0_ebx: 0x6874_7541,
    cpuid_1_ecx: 1 << 17,
    cpuid_7_ebx: 1 << 10,
    cpuid_7_ecx: 1 << 3,
    cpuid_80000001_edx: 1 << 20 | 1 << 26,
    cpuid_80000008_eax: 0x3030,
    cpuid_8000001f_ebx: 5 << 6 | 51,
    ia32_arch_capabilities: 0,
    ia32_pat: 0x0007_0406_0007_0406,
    syscfg: 0,
    sev_status: 0,
};

#[test]
fn long_mode_takes_what_the_processor_has() {
    let intel = long_mode::Config::from_capabilities(&INTEL, 5, 57);
    let wanted = long_mode::Config {
        pa_bits: 46,
        huge_1g: true,
        five_level: true,
        pat: 0x0407_0506_0007_0106,
        user_keys: true,
        supervisor_keys: true,
        pcid: true,
        invpcid: true,
        size_change_safe: true,
        ..long_mode::Config::new(5, 57)
    };
    assert_eq!(intel, wanted);
    assert!(long_mode::Format::new(&intel).is_ok());
    let nothing = long_mode::Config::from_capabilities(
        &long_mode::Capabilities { cpuid_80000008_eax: 36, ..long_mode::Capabilities::default() },
        4,
        48,
    );
    assert_eq!(nothing, long_mode::Config { pa_bits: 36, no_execute: false, pat: 0, ..long_mode::Config::new(4, 48) });
}

#[test]
fn memory_is_encrypted_where_that_is_turned_on() {
    let config = |capabilities| long_mode::Config::from_capabilities(&capabilities, 4, 48);
    let off = config(AMD);
    assert_eq!((off.pa_bits, off.c_bit, off.table_global_reserved), (48, 0, true));
    let host = config(long_mode::Capabilities { syscfg: 1 << 23, ..AMD });
    assert_eq!((host.pa_bits, host.c_bit), (43, 51));
    // What the host gives up, a guest does not know.
    let guest = config(long_mode::Capabilities { sev_status: 1, ..AMD });
    assert_eq!((guest.pa_bits, guest.c_bit), (48, 51));
    for config in [off, host, guest] {
        assert!(long_mode::Format::new(&config).is_ok());
    }
}

#[test]
fn npt_takes_what_the_processor_has() {
    let capabilities = npt::Capabilities {
        cpuid_7_ecx: 1 << 16,
        cpuid_80000001_edx: 1 << 20 | 1 << 26,
        cpuid_80000008_eax: 0x3934,
        // The guest mode execute trap, too, which is for the hypervisor to turn on.
        cpuid_8000000a_edx: 1 | 1 << 6 | 1 << 17,
        cpuid_8000001f_ebx: 6 << 6 | 51,
        ia32_pat: 0x0007_0406_0007_0406,
        syscfg: 1 << 23,
    };
    let config = npt::Config::from_capabilities(&capabilities, 4, 48);
    let wanted = npt::Config {
        pa_bits: 46,
        huge_1g: true,
        five_level: true,
        c_bit: 51,
        flush_by_asid: true,
        ..npt::Config::new(4, 48)
    };
    assert_eq!(config, wanted);
}

#[test]
fn ept_takes_what_the_processor_has() {
    let capabilities = ept::Capabilities {
        ia32_vmx_ept_vpid_cap: 1 | 1 << 7 | 1 << 16 | 1 << 17 | 1 << 21 | 1 << 23,
        ia32_arch_capabilities: 1 << 6,
        cpuid_80000008_eax: 0x392e,
    };
    let wanted = ept::Config {
        pa_bits: 46,
        huge_2m: true,
        huge_1g: true,
        five_level: true,
        execute_only: true,
        access_dirty: true,
        shadow_stack: true,
        size_change_safe: true,
        ..ept::Config::new(4, 48)
    };
    assert_eq!(ept::Config::from_capabilities(&capabilities, 4, 48), wanted);
}

#[test]
fn iommus_say_what_they_have() {
    // SAGAW from bit 8 on (39, 48, 57 bits are 1 to 3), 2 MiB and 1 GiB pages, page-selective invalidation.
    let cap = 0b1110 << 8 | 1 << 34 | 1 << 35 | 1 << 39;
    let ecap = 1 << 7 | 1 << 43 | 1 << 45 | 1 << 48;
    let second = vtd_second_stage::Config::from_capabilities(&vtd_second_stage::Capabilities { cap, ecap }, 4, 48);
    let wanted = vtd_second_stage::Config {
        huge_2m: true,
        huge_1g: true,
        three_level: true,
        four_level: true,
        five_level: true,
        scalable: true,
        access_dirty: true,
        snoop_control: true,
        page_walk_snoop: true,
        page_selective: true,
        ..vtd_second_stage::Config::new(4, 48)
    };
    assert_eq!(second, wanted);
    // Only scalable mode has accessed and dirty flags.
    let legacy = vtd_second_stage::Capabilities { cap: 1 << 7 | 1 << 10, ecap: 1 << 45 | 1 << 48 };
    let legacy = vtd_second_stage::Config::from_capabilities(&legacy, 4, 48);
    assert!(legacy.caching_mode && !legacy.access_dirty && !legacy.page_walk_snoop && !legacy.three_level);
    let capabilities = vtd_first_stage::Capabilities { cap: 1 << 56 | 1 << 60, ecap: 1 << 31 | 1 << 34 | 1 << 48 };
    let wanted = vtd_first_stage::Config {
        huge_1g: true,
        five_level: true,
        extended_accessed: true,
        supervisor_requests: true,
        page_walk_snoop: true,
        ..vtd_first_stage::Config::new(5, 57)
    };
    assert_eq!(vtd_first_stage::Config::from_capabilities(&capabilities, 5, 57), wanted);
    let levels = |hats: u64| {
        let extended_feature = hats << 10 | 1 << 6 | 1 << 49 | 1 << 52;
        let capabilities = amd_iommu_v1::Capabilities { extended_feature, capability_header: 1 << 26 };
        let config = amd_iommu_v1::Config::from_capabilities(&capabilities, 4, 48);
        assert!(config.access_dirty && config.np_cache && config.invalidate_all);
        (config.five_level, config.six_level)
    };
    assert_eq!([0, 1, 2].map(levels), [(false, false), (true, false), (true, true)]);
}
