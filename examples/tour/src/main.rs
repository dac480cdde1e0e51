//! A guest's memory from its first page to its last, on each architecture, on a simulated machine.
//!
//! New here? Read `guest.rs` from top to bottom: it is what a hypervisor does. `report.rs` prints. `machine.rs`
//! simulates the hardware: it translates the guest's accesses by an MMU and reports faults.

mod guest;
mod machine;
mod report;

use std::process::ExitCode;

use tablewright::{aarch64::stage2_4k, riscv64::sv_x4, x86_64::ept};

fn main() -> ExitCode {
    println!("tablewright: one engine, three architectures, each described by a TOML file\n");
    let tours = [
        guest::tour::<ept::Format>("ept", "server", ept::Config::new(4, 48), ept::Config::set),
        guest::tour::<stage2_4k::Format>("stage2", "4k-40", stage2_4k::Config::new(3, 40), stage2_4k::Config::set),
        guest::tour::<sv_x4::Format>("sv_x4", "sv48x4-napot", sv_x4::Config::new(4, 50), sv_x4::Config::set),
    ];
    let mut code = ExitCode::SUCCESS;
    for error in tours.into_iter().filter_map(Result::err) {
        eprintln!("error: {error}");
        code = ExitCode::FAILURE;
    }
    code
}
