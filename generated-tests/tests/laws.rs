//! Runs the laws on every format in every configuration of its file, generated and interpreted.

use libtest_mimic::{Arguments, Failed, Trial};
use tablewright_archdefs::BUILTINS;
use tablewright_tests::formats::{Configured, configured};
use tablewright_tests::generated;
use tablewright_tests::laws::{AGREEMENT, Case, Interpreted, LAWS, Law, Subject};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, _) in BUILTINS {
        for case in configured(name) {
            trials.extend(LAWS.iter().map(|law| interpreted(name, *law, case.clone())));
        }
    }
    macro_rules! generated_trials {
        ($name:literal, $($module:ident)::+) => {
            for case in configured($name) {
                let Some(format) = generated!($($module)::+, case.params) else { continue };
                for law in LAWS.iter().chain([&AGREEMENT]).copied() {
                    let module = [$(stringify!($module)),+].join("::");
                    let name = format!("{}/{module}/{}/generated", law.name, case.config.id.value);
                    let case = case.clone();
                    trials.push(Trial::test(name, move || hold(law, &format?, &case)));
                }
            }
        };
    }
    generated_trials!("ept", tablewright::x86_64::ept);
    generated_trials!("npt", tablewright::x86_64::npt);
    generated_trials!("long_mode", tablewright::x86_64::long_mode);
    generated_trials!("pae", tablewright::x86_64::pae);
    generated_trials!("legacy", tablewright::x86_64::legacy);
    generated_trials!("vtd_first_stage", tablewright::x86_64::vtd_first_stage);
    generated_trials!("vtd_second_stage", tablewright::x86_64::vtd_second_stage);
    generated_trials!("amd_iommu_v1", tablewright::x86_64::amd_iommu_v1);
    generated_trials!("stage2", tablewright::aarch64::stage2_4k);
    generated_trials!("stage2", tablewright::aarch64::stage2_16k);
    generated_trials!("stage2", tablewright::aarch64::stage2_64k);
    generated_trials!("stage1", tablewright::aarch64::stage1_4k);
    generated_trials!("stage1", tablewright::aarch64::stage1_16k);
    generated_trials!("stage1", tablewright::aarch64::stage1_64k);
    generated_trials!("stage1_el2", tablewright::aarch64::stage1_el2_4k);
    generated_trials!("stage1_el2", tablewright::aarch64::stage1_el2_16k);
    generated_trials!("stage1_el2", tablewright::aarch64::stage1_el2_64k);
    generated_trials!("smmu_v3", tablewright::aarch64::smmu_v3_4k);
    generated_trials!("smmu_v3", tablewright::aarch64::smmu_v3_16k);
    generated_trials!("smmu_v3", tablewright::aarch64::smmu_v3_64k);
    generated_trials!("loongarch64", tablewright::loongarch64::loongarch64_4k);
    generated_trials!("loongarch64", tablewright::loongarch64::loongarch64_16k);
    generated_trials!("loongarch64", tablewright::loongarch64::loongarch64_64k);
    generated_trials!("riscv_iommu", tablewright::riscv64::riscv_iommu);
    generated_trials!("riscv_iommu_first_stage", tablewright::riscv64::riscv_iommu_first_stage);
    generated_trials!("sv", tablewright::riscv64::sv);
    generated_trials!("sv32", tablewright::riscv64::sv32);
    generated_trials!("sv_x4", tablewright::riscv64::sv_x4);
    libtest_mimic::run(&arguments, trials).exit();
}

fn interpreted(name: &str, law: Law, case: Configured) -> Trial {
    let name = format!("{}/{name}/{}/interpreted", law.name, case.config.id.value);
    Trial::test(name, move || hold(law, &Interpreted(case.bound.clone()), &case))
}

fn hold(law: Law, subject: &dyn Subject, case: &Configured) -> Result<(), Failed> {
    let reference = &Interpreted(case.bound.clone());
    (law.check)(&Case { subject, reference, format: &case.format, config: &case.config })?;
    Ok(())
}
