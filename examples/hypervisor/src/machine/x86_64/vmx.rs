//! Intel's extension: a guest runs by its control structure (VMCS) until there is something that makes it exit.

use core::arch::x86_64::__cpuid_count;
use core::arch::{asm, global_asm};

use tablewright::x86_64::ept;
use tablewright::{GuestPhysAddr, PhysFrame};

use super::{
    CR0, LONG_MODE, PAE, Registers, STACK_TOP, TABLES, address, exceptions, read_msr, set_cr4, write_msr, write_tables,
};
use crate::guest;
use crate::machine::{Exit, Machine, Problem, Space, Store};
use crate::memory::FrameHal;

// Model-specific registers (Intel SDM Vol. 3D, VMX Capability Reporting Facility).
const FEATURE_CONTROL: u32 = 0x3a;
const ARCH_CAPABILITIES: u32 = 0x10a;
const VMX_BASIC: u32 = 0x480;
const EPT_VPID_CAP: u32 = 0x48c;

/// CR4.VMXE, which guests have, too.
const VMX_ENABLE: u64 = 1 << 13;

// Fields of the VMCS (Intel SDM Vol. 3D, Field Encoding in VMCS).
const EPT_POINTER: u64 = 0x201a;
const GUEST_PHYSICAL_ADDRESS: u64 = 0x2400;
const INSTRUCTION_ERROR: u64 = 0x4400;
const EXIT_REASON: u64 = 0x4402;
const QUALIFICATION: u64 = 0x6400;
const GUEST_RSP: u64 = 0x681c;
const GUEST_RIP: u64 = 0x681e;
const HOST_CR3: u64 = 0x6c02;
const HOST_GDTR: u64 = 0x6c0c;
const HOST_IDTR: u64 = 0x6c0e;
const HOST_RIP: u64 = 0x6c16;

/// Exit reasons.
const CPUID: u64 = 10;
const EPT_VIOLATION: u64 = 48;
const EPT_MISCONFIGURATION: u64 = 49;

// rdi: the guest's registers but rsp and rip, which are in the VMCS; esi: whether it was launched. Returns 0 after an exit.
global_asm!(
    "
    .section .text
enter_vmx:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    push    rdi
    mov     eax, 0x6c14                     // the host's rsp
    vmwrite rax, rsp
    test    esi, esi
    .irp    r, 8,9,10,11,12,13,14,15
    mov     r\\r, [rdi + \\r*8]
    .endr
    mov     rax, [rdi]
    mov     rcx, [rdi + 1*8]
    mov     rdx, [rdi + 2*8]
    mov     rbx, [rdi + 3*8]
    mov     rbp, [rdi + 5*8]
    mov     rsi, [rdi + 6*8]
    mov     rdi, [rdi + 7*8]
    jnz     2f
    vmlaunch
    jmp     3f
2:  vmresume
3:  pop     rdi                             // it was refused
    mov     eax, 1
    jmp     4f
exit_vmx:
    xchg    rdi, [rsp]
    .irp    r, 8,9,10,11,12,13,14,15
    mov     [rdi + \\r*8], r\\r
    .endr
    mov     [rdi], rax
    mov     [rdi + 1*8], rcx
    mov     [rdi + 2*8], rdx
    mov     [rdi + 3*8], rbx
    mov     [rdi + 5*8], rbp
    mov     [rdi + 6*8], rsi
    pop     rax
    mov     [rdi + 7*8], rax
    xor     eax, eax
4:  pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
    "
);

unsafe extern "C" {
    /// Runs the guest of the current VMCS until it exits.
    fn enter_vmx(registers: *mut Registers, launched: bool) -> u32;
    /// Where the processor goes on then.
    fn exit_vmx();
}

/// The machine.
pub struct Vmx {
    config: ept::Config,
    /// What the processor keeps for itself.
    _own_region: PhysFrame<FrameHal>,
}

/// A virtual CPU.
pub struct Vcpu {
    vmcs: PhysFrame<FrameHal>,
    launched: bool,
    registers: Registers,
}

impl Vmx {
    /// The machine, if its processor has EPT.
    pub fn new() -> Result<Self, Problem> {
        // Only a processor with secondary controls says what they can be.
        let allows = |(_, capability, wanted): (u64, u32, u64)| read_msr(capability) >> 32 & wanted == wanted;
        let has_vmx = __cpuid_count(1, 0).ecx & 1 << 5 != 0;
        if !(has_vmx && CONTROLS.into_iter().all(allows) && allows(SECONDARY)) {
            return Err(Problem("the processor has nested page tables"));
        }
        let own_region = region()?;
        // SAFETY: the region stays as long as guests can be run. The firmware, which this is, allows VMX once.
        unsafe {
            if read_msr(FEATURE_CONTROL) & 1 == 0 {
                write_msr(FEATURE_CONTROL, 0b101);
            }
            set_cr4(VMX_ENABLE);
            asm!("vmxon [{}]", in(reg) &address(&own_region)?);
        }
        let capabilities = ept::Capabilities {
            ia32_vmx_ept_vpid_cap: read_msr(EPT_VPID_CAP),
            ia32_arch_capabilities: if __cpuid_count(7, 0).edx & 1 << 29 == 0 {
                0
            } else {
                read_msr(ARCH_CAPABILITIES)
            },
            cpuid_80000008_eax: __cpuid_count(0x8000_0008, 0).eax.into(),
        };
        Ok(Self { config: ept::Config::from_capabilities(&capabilities, 4, 48), _own_region: own_region })
    }
}

/// A page that begins with the revision that this processor wants there.
fn region() -> Result<PhysFrame<FrameHal>, Problem> {
    let frame = PhysFrame::alloc_zero(&FrameHal).map_err(|_| Problem("no memory"))?;
    // SAFETY: the frame is ours.
    unsafe { frame.as_mut_ptr().cast::<u32>().write(read_msr(VMX_BASIC) as u32) };
    Ok(frame)
}

impl Machine for Vmx {
    type Format = ept::Format;
    type Vcpu = Vcpu;

    const NAME: &'static str = "x86-64, with extended page tables";

    fn format(&self) -> Result<ept::Format, Problem> {
        ept::Format::new(&self.config).map_err(|_| Problem("the processor is one that the format knows"))
    }

    fn boot(&mut self, space: &Space<Self>, number: usize) -> Result<Vcpu, Problem> {
        write_tables::<Self>(space)?;
        let registers = space.registers().map_err(|_| Problem("the root fits its register"))?;
        let vcpu = Vcpu { vmcs: region()?, launched: false, registers: Registers::of(number) };
        // SAFETY: the region is the virtual CPU's own.
        unsafe { asm!("vmclear [{}]", in(reg) &address(&vcpu.vmcs)?) };
        vcpu.make_current()?;
        let [segments, exceptions] = exceptions::tables();
        let own = [
            (EPT_POINTER, registers.eptp),
            (GUEST_RIP, guest::main as *const () as u64),
            (GUEST_RSP, STACK_TOP),
            (HOST_CR3, cr3()),
            (HOST_GDTR, segments),
            (HOST_IDTR, exceptions),
            (HOST_RIP, exit_vmx as *const () as u64),
        ];
        let controls = CONTROLS.into_iter().chain([SECONDARY]).map(|(field, capability, wanted)| {
            // What must be 1 and what may be.
            let capability = read_msr(capability);
            (field, (wanted | capability & 0xffff_ffff) & capability >> 32)
        });
        controls.chain(own).chain(STATE).for_each(|(field, value)| set(field, value));
        Ok(vcpu)
    }

    /// All of it is in the VMCS.
    fn load(&mut self, _space: &Space<Self>) -> Result<(), Problem> {
        Ok(())
    }

    fn run(&mut self, vcpu: &mut Vcpu) -> Exit<ept::Report> {
        if vcpu.make_current().is_err() {
            return Exit::Other([0; 3]);
        }
        // SAFETY: the guest has memory of its own only, and `enter_vmx` keeps what is the hypervisor's.
        if unsafe { enter_vmx(&mut vcpu.registers, vcpu.launched) } != 0 {
            return Exit::Other([u64::MAX, get(INSTRUCTION_ERROR), get(GUEST_RIP)]);
        }
        vcpu.launched = true;
        let report = ept::Report {
            exit_reason: get(EXIT_REASON),
            qualification: get(QUALIFICATION),
            guest_physical_address: get(GUEST_PHYSICAL_ADDRESS),
        };
        match (report.exit_reason, vcpu.registers.call()) {
            (CPUID, Some((number, argument))) => {
                self.skip(vcpu, 2);
                Exit::Call(number, argument)
            }
            (EPT_VIOLATION | EPT_MISCONFIGURATION, _) => Exit::Fault(report),
            (reason, _) => Exit::Other([reason, report.qualification, get(GUEST_RIP)]),
        }
    }

    /// Every report of this machine has the address.
    fn resolve(&self, report: &ept::Report) -> GuestPhysAddr {
        GuestPhysAddr::from_usize(report.guest_physical_address as usize)
    }

    fn store(&self, vcpu: &Vcpu, space: &Space<Self>) -> Option<Store> {
        vcpu.registers.store::<Self>(get(GUEST_RIP), space)
    }

    fn skip(&mut self, _vcpu: &mut Vcpu, bytes: usize) {
        set(GUEST_RIP, get(GUEST_RIP) + bytes as u64);
    }
}

impl Vcpu {
    /// Makes its VMCS the one that the instructions are about.
    fn make_current(&self) -> Result<(), Problem> {
        // SAFETY: the region is a VMCS.
        unsafe { asm!("vmptrld [{}]", in(reg) &address(&self.vmcs)?) };
        Ok(())
    }
}

impl Drop for Vcpu {
    /// The processor may hold what belongs into the frame.
    fn drop(&mut self) {
        if let Ok(address) = address(&self.vmcs) {
            // SAFETY: the region is a VMCS.
            unsafe { asm!("vmclear [{}]", in(reg) &address) };
        }
    }
}

/// Reads a field of the current VMCS.
fn get(field: u64) -> u64 {
    let value: u64;
    // SAFETY: reading has no effect.
    unsafe { asm!("vmread {}, {}", out(reg) value, in(reg) field) };
    value
}

/// Writes a field of the current VMCS.
fn set(field: u64, value: u64) {
    // SAFETY: it is about a guest, and what is the hypervisor's in it is what this module says.
    unsafe { asm!("vmwrite {}, {}", in(reg) field, in(reg) value) };
}

fn cr3() -> u64 {
    let value: u64;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack)) };
    value
}

/// Control fields: each with the register that says what they can hold, and what is wanted.
const CONTROLS: [(u64, u32, u64); 4] = [
    (0x4000, 0x481, 0),                                    // pin-based
    (0x4002, 0x482, 1 << 7 | 1 << 23 | 1 << 24 | 1 << 31), // HLT, debug registers and ports exit; there are more controls
    (0x400c, 0x483, 1 << 9 | 1 << 21),                     // exit: to 64-bit mode, with an EFER of its own
    (0x4012, 0x484, 1 << 9 | 1 << 15),                     // entry: the same
];
const SECONDARY: (u64, u32, u64) = (0x401e, 0x48b, 1 << 1); // EPT

const CODE: u64 = 0x18;
const DATA: u64 = 0x10;
/// Not null; no task is ever switched.
const TASK: u64 = 0x20;
const UNUSABLE: u64 = 1 << 16;

/// Where all guests start, in 64-bit mode, and where the hypervisor goes on. What is not here is 0.
const STATE: [(u64, u64); 30] = [
    (0x4004, 0xffff_ffff), // every exception exits, as the guest has no handlers
    (0x2800, u64::MAX),    // no VMCS to link to
    // The guest's segments: selectors, limits, attributes.
    (0x0802, CODE),
    (0x0804, DATA),
    (0x080e, TASK),
    (0x4802, 0xffff_ffff), // CS
    (0x4804, 0xffff_ffff), // SS
    (0x480e, 0x67),        // TR
    (0x4814, UNUSABLE),    // ES
    (0x4816, 0xa09b),      // CS
    (0x4818, 0xc093),      // SS
    (0x481a, UNUSABLE),    // DS
    (0x481c, UNUSABLE),    // FS
    (0x481e, UNUSABLE),    // GS
    (0x4820, UNUSABLE),    // LDTR
    (0x4822, 0x8b),        // TR
    // Its registers.
    (0x2806, LONG_MODE), // EFER
    (0x6800, CR0),
    (0x6802, TABLES as u64), // CR3
    (0x6804, PAE | VMX_ENABLE),
    (0x681a, 0x400), // DR7
    (0x6820, 2),     // RFLAGS
    // The hypervisor's.
    (0x0c00, DATA), // ES
    (0x0c02, CODE), // CS
    (0x0c04, DATA), // SS
    (0x0c06, DATA), // DS
    (0x0c0c, TASK), // TR
    (0x2c02, LONG_MODE),
    (0x6c00, CR0),
    (0x6c04, PAE | VMX_ENABLE),
];
