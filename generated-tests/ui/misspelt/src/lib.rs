use misspelt::{Capabilities, Config, Format, Registers, Report};

tablewright::page_table_format! { pub mod misspelt = "arch/misspelt.toml" }

pub fn format() -> Option<Format> {
    let capabilities = Capabilities { ia32_vmx_ept_vpid_cap: 0, ..Capabilities::default() };
    let mut config = Config::from_capabilities(&capabilities, 4, 48);
    config.huge_1g = true;
    tablewright::Format::new(&Config { pa_bits: 46, ..config }).ok()
}

pub fn eptp(registers: &Registers) -> u64 {
    registers.eptp
}

pub fn reason(report: &Report) -> u64 {
    report.exit_reason
}
