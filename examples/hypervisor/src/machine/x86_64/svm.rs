//! AMD's extension: VMRUN runs a guest from its control block (VMCB) until there is something that the block intercepts.

use core::arch::global_asm;
use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicU64, Ordering};

use tablewright::x86_64::npt;
use tablewright::{AtEntry, GuestPhysAddr, PhysFrame, Tag};

use super::{CR0, LONG_MODE, PAE, Registers, STACK_TOP, TABLES, address, read_msr, set_cr4, write_msr, write_tables};
use crate::guest;
use crate::machine::{Exit, Machine, Problem, Space, Store};
use crate::memory::FrameHal;

/// Model-specific registers.
const IA32_PAT: u32 = 0x277;
const EFER: u32 = 0xc000_0080;
const SYSCFG: u32 = 0xc001_0010;
const HOST_SAVE_AREA: u32 = 0xc001_0117;

/// EFER.SVME.
const SVM_ENABLE: u64 = 1 << 12;

// Offsets in the VMCB (AMD APM Vol. 2, Layout of VMCB).
const INTERCEPTS: usize = 0x008;
const MORE_INTERCEPTS: usize = 0x010;
const IO_PERMISSIONS: usize = 0x040;
const MSR_PERMISSIONS: usize = 0x048;
/// The guest's ASID; in the upper half, what VMRUN is to flush.
const ASID: usize = 0x058;
const EXIT_CODE: usize = 0x070;
const EXIT_INFO_1: usize = 0x078;
const EXIT_INFO_2: usize = 0x080;
const NESTED_CONTROL: usize = 0x090;
const N_CR3: usize = 0x0b0;
const RIP: usize = 0x578;
const RSP: usize = 0x5d8;
const RAX: usize = 0x5f8;

/// Exits.
const CPUID: u64 = 0x072;
const NESTED_PAGE_FAULT: u64 = 0x400;

/// What VMRUN is to flush when the guest of a tag is entered next: here that is how translations are invalidated.
static AT_ENTRY: [AtomicU64; 4] = [const { AtomicU64::new(NOTHING) }; 4];
const NOTHING: u64 = u64::MAX;
/// TLB_CONTROL: all translations.
const EVERYTHING: u64 = 1;

/// Remembers what the library has to say about the next entry. Of two requests the lower flushes more.
pub fn at_entry(Tag(tag): Tag, told: &AtEntry) {
    if let Some(owed) = AT_ENTRY.get(tag as usize) {
        owed.fetch_min(told.value, Ordering::Relaxed);
    }
}

/// What is to be flushed now; for a tag that nothing is remembered of, everything always.
fn owed(tag: u64) -> u64 {
    let owed = AT_ENTRY.get(tag as usize).map_or(EVERYTHING, |owed| owed.swap(NOTHING, Ordering::Relaxed));
    if owed == NOTHING { 0 } else { owed }
}

// rdi: the VMCB; rsi: the guest's registers but rax, rsp and rip, of which VMRUN takes care.
global_asm!(
    "
    .section .text
enter_svm:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    push    rsi
    mov     rax, rdi
    .irp    r, 8,9,10,11,12,13,14,15
    mov     r\\r, [rsi + \\r*8]
    .endr
    mov     rcx, [rsi + 1*8]
    mov     rdx, [rsi + 2*8]
    mov     rbx, [rsi + 3*8]
    mov     rbp, [rsi + 5*8]
    mov     rdi, [rsi + 7*8]
    mov     rsi, [rsi + 6*8]
    vmrun   rax
    xchg    rsi, [rsp]
    .irp    r, 8,9,10,11,12,13,14,15
    mov     [rsi + \\r*8], r\\r
    .endr
    mov     [rsi + 1*8], rcx
    mov     [rsi + 2*8], rdx
    mov     [rsi + 3*8], rbx
    mov     [rsi + 5*8], rbp
    mov     [rsi + 7*8], rdi
    pop     rax
    mov     [rsi + 6*8], rax
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
    "
);

unsafe extern "C" {
    /// Runs a guest until something is intercepted.
    fn enter_svm(vmcb: *mut u8, registers: *mut Registers);
}

/// The machine.
pub struct Svm {
    config: npt::Config,
    /// Where VMRUN keeps what is the hypervisor's.
    _save_area: PhysFrame<FrameHal>,
    /// All ones: no port and no model-specific register is the guest's.
    nothing_permitted: PhysFrame<FrameHal>,
}

/// A virtual CPU.
pub struct Vcpu {
    vmcb: Vmcb,
    registers: Registers,
}

/// Whether the processor has this extension.
pub fn is_there() -> bool {
    __cpuid_count(0x8000_0001, 0).ecx & 1 << 2 != 0
}

impl Svm {
    /// The machine, if its processor has nested page tables.
    pub fn new() -> Result<Self, Problem> {
        if __cpuid_count(0x8000_000a, 0).edx & 1 == 0 {
            return Err(Problem("the processor has nested page tables"));
        }
        let save_area = PhysFrame::alloc_zero(&FrameHal).map_err(|_| Problem("no memory"))?;
        let mut nothing_permitted = PhysFrame::alloc_sized(&FrameHal, 14).map_err(|_| Problem("no memory"))?;
        nothing_permitted.fill(0xff);
        // SAFETY: the frame stays as long as guests can be run.
        unsafe {
            write_msr(EFER, read_msr(EFER) | SVM_ENABLE);
            write_msr(HOST_SAVE_AREA, address(&save_area)?);
        }
        let config = npt::Config::from_capabilities(&capabilities(), 4, 48);
        Ok(Self { config, _save_area: save_area, nothing_permitted })
    }
}

/// What the processor says of its page tables.
fn capabilities() -> npt::Capabilities {
    let encryption =
        if __cpuid_count(0x8000_0000, 0).eax < 0x8000_001f { 0 } else { __cpuid_count(0x8000_001f, 0).ebx };
    npt::Capabilities {
        cpuid_7_ecx: __cpuid_count(7, 0).ecx.into(),
        cpuid_80000001_edx: __cpuid_count(0x8000_0001, 0).edx.into(),
        cpuid_80000008_eax: __cpuid_count(0x8000_0008, 0).eax.into(),
        cpuid_8000000a_edx: __cpuid_count(0x8000_000a, 0).edx.into(),
        cpuid_8000001f_ebx: encryption.into(),
        ia32_pat: read_msr(IA32_PAT),
        syscfg: if encryption == 0 { 0 } else { read_msr(SYSCFG) },
    }
}

impl Machine for Svm {
    type Format = npt::Format;
    type Vcpu = Vcpu;

    const NAME: &'static str = "x86-64, with nested page tables";

    fn format(&self) -> Result<npt::Format, Problem> {
        npt::Format::new(&self.config).map_err(|_| Problem("the processor is one that the format knows"))
    }

    fn boot(&mut self, space: &Space<Self>, number: usize) -> Result<Vcpu, Problem> {
        write_tables::<Self>(space)?;
        let registers = space.registers().map_err(|_| Problem("the root fits its register"))?;
        let vmcb = Vmcb(PhysFrame::alloc_zero(&FrameHal).map_err(|_| Problem("no memory"))?);
        let permissions = address(&self.nothing_permitted)?;
        let own = [
            (IO_PERMISSIONS, permissions),
            (MSR_PERMISSIONS, permissions),
            (ASID, registers.guest_asid),
            (NESTED_CONTROL, registers.nested_control),
            (N_CR3, registers.n_cr3),
            (RIP, guest::main as *const () as u64),
            (RSP, STACK_TOP),
        ];
        own.into_iter().chain(STATE).for_each(|(offset, value)| vmcb.set(offset, value));
        Ok(Vcpu { vmcb, registers: Registers::of(number) })
    }

    /// What is the guest's is in its VMCB; this is what it takes from the host.
    fn load(&mut self, space: &Space<Self>) -> Result<(), Problem> {
        let registers = space.registers().map_err(|_| Problem("the root fits its register"))?;
        // SAFETY: the hypervisor's own tables use nothing that this changes.
        unsafe {
            set_cr4(registers.cr4);
            write_msr(EFER, read_msr(EFER) | registers.efer);
            write_msr(IA32_PAT, registers.ia32_pat);
        }
        Ok(())
    }

    fn run(&mut self, vcpu: &mut Vcpu) -> Exit<npt::Report> {
        let Vcpu { vmcb, registers } = vcpu;
        let asid = vmcb.get(ASID) & 0xffff_ffff;
        vmcb.set(ASID, asid | owed(asid) << 32);
        vmcb.set(RAX, registers.0[Registers::RAX]);
        // SAFETY: the guest has memory of its own only, and `enter_svm` keeps what is the hypervisor's.
        unsafe { enter_svm(vmcb.0.as_mut_ptr(), registers) };
        registers.0[Registers::RAX] = vmcb.get(RAX);
        let report = npt::Report {
            exit_code: vmcb.get(EXIT_CODE),
            exit_info_1: vmcb.get(EXIT_INFO_1),
            exit_info_2: vmcb.get(EXIT_INFO_2),
        };
        match (report.exit_code, registers.call()) {
            (CPUID, Some((number, argument))) => {
                vcpu.skip(2);
                Exit::Call(number, argument)
            }
            (NESTED_PAGE_FAULT, _) => Exit::Fault(report),
            (code, _) => Exit::Other([code, report.exit_info_1, vmcb.get(RIP)]),
        }
    }

    /// Every report of this machine has the address.
    fn resolve(&self, report: &npt::Report) -> GuestPhysAddr {
        GuestPhysAddr::from_usize(report.exit_info_2 as usize)
    }

    fn store(&self, vcpu: &Vcpu, space: &Space<Self>) -> Option<Store> {
        vcpu.registers.store::<Self>(vcpu.vmcb.get(RIP), space)
    }

    fn skip(&mut self, vcpu: &mut Vcpu, bytes: usize) {
        vcpu.skip(bytes);
    }
}

impl Vcpu {
    fn skip(&mut self, bytes: usize) {
        self.vmcb.set(RIP, self.vmcb.get(RIP) + bytes as u64);
    }
}

/// A control block.
struct Vmcb(PhysFrame<FrameHal>);

impl Vmcb {
    fn field(&self, offset: usize) -> *mut u64 {
        // Offsets are those of words in a page.
        self.0.as_mut_ptr().wrapping_add(offset).cast()
    }

    fn get(&self, offset: usize) -> u64 {
        // SAFETY: the frame is ours.
        unsafe { self.field(offset).read_volatile() }
    }

    fn set(&self, offset: usize, value: u64) {
        // SAFETY: the frame is ours.
        unsafe { self.field(offset).write_volatile(value) };
    }
}

/// The attributes and the limit of a segment.
const fn segment(attributes: u64, limit: u64) -> u64 {
    attributes << 16 | limit << 32
}

/// Where all guests start: in 64-bit mode, with nothing permitted that would need the hypervisor's care.
const STATE: [(usize, u64); 14] = [
    // Every exception, as the guest has no handlers; interrupts, CPUID, HLT, ports, model-specific registers, shutdown.
    (INTERCEPTS, 0xffff_ffff | (1 << 0 | 1 << 18 | 1 << 24 | 1 << 27 | 1 << 28 | 1 << 31) << 32),
    // The instructions of this extension.
    (MORE_INTERCEPTS, 0x7f),
    (0x410, segment(0xa9b, 0xffff_ffff)), // CS
    (0x420, segment(0xc93, 0xffff_ffff)), // SS
    (0x430, segment(0xc93, 0xffff_ffff)), // DS
    (0x490, segment(0x08b, 0x67)),        // TR
    (0x4d0, LONG_MODE | SVM_ENABLE),      // EFER
    (0x548, PAE),                         // CR4
    (0x550, TABLES as u64),               // CR3
    (0x558, CR0),
    (0x560, 0x400),                 // DR7
    (0x568, 0xffff_0ff0),           // DR6
    (0x570, 2),                     // RFLAGS
    (0x668, 0x0007_0406_0007_0406), // PAT
];
