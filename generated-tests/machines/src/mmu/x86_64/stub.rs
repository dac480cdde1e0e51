//! The program that runs inside the emulated PC: the whole of its firmware, and a small hypervisor.
//!
//! It interprets a [`Program`](super::program::Program), which lies at the start of the ROM. Results leave through a
//! disk, eight bytes each, in the order of the operations that give one. What can be known beforehand (page tables, the
//! guest's state, addresses) is in the operations or in [`layout`], not here. Intel's and AMD's processors differ in how
//! the guest is entered and in what it leaves behind, and in nothing else.
//!
//! It is one page: the last of the ROM, so that the processor finds the reset vector at its end, and the last of the
//! 128 KiB that the first instructions copy to RAM, where the rest runs.

use dynasmrt::{DynasmApi, DynasmError, DynasmLabelApi, VecAssembler, dynasm, x64::X64Relocation, x86::X86Relocation};

use super::layout::{self, Extension, PAGE};
use super::program::{MAGIC, Operation, SECOND_TAG, TAG_MARK};
use super::{Host, exit, vmcb, vmcs};

/// Offsets in the page of what the guest runs.
pub(super) const GUEST_LOAD: u64 = 0xe80;
pub(super) const GUEST_STORE: u64 = 0xea0;

/// Offsets in the page; the interpreter is at 0.
pub(super) const REAL_MODE: u16 = 0xf00;
pub(super) const GDT: u16 = 0xf40;
pub(super) const PROTECTED_MODE: u16 = 0xf80;
pub(super) const RESET: u16 = 0xff0;

/// Where the page is in ROM.
const ROM_PAGE: u32 = 0xffff_f000;

/// Selectors of the descriptors in [`GDT_ENTRIES`].
pub(super) const CODE_32: u16 = 0x08;
pub(super) const DATA: u16 = 0x10;
pub(super) const CODE_64: u16 = 0x18;

/// Null, 32-bit code, data, 64-bit code: flat, and accessed already.
const GDT_ENTRIES: [u64; 4] = [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00af_9b00_0000_ffff];

/// Bits of the disk's status.
pub(super) const DISK_BUSY: i8 = 0x80_u8 as i8;
pub(super) const DISK_WANTS_DATA: i8 = 0x08;

/// Not canonical, so that a guest that uses it as an address faults, and its lowest byte is 0.
const GUEST_RAX: u64 = 1 << 63;

/// The assembled page.
pub(super) fn page(extension: Extension, host: Host) -> Result<Vec<u8>, DynasmError> {
    let parts = [
        (GUEST_LOAD as u16, guest(extension, true)?),
        (GUEST_STORE as u16, guest(extension, false)?),
        (REAL_MODE, real_mode(GDT_ENTRIES.len())),
        (GDT, GDT_ENTRIES.iter().flat_map(|entry| entry.to_le_bytes()).collect()),
        (PROTECTED_MODE, protected_mode(host)?),
        (RESET, reset()),
    ];
    Ok(page_of(interpreter(extension)?, parts))
}

/// The page that begins so, and has these parts at these offsets.
pub(super) fn page_of<const N: usize>(mut page: Vec<u8>, parts: [(u16, Vec<u8>); N]) -> Vec<u8> {
    for (offset, bytes) in parts.into_iter().chain([(PAGE as u16, Vec::new())]) {
        assert!(page.len() <= usize::from(offset), "what lies before {offset:#x} is too long");
        page.resize(offset.into(), 0);
        page.extend(bytes);
    }
    page
}

/// jmp REAL_MODE: three bytes, relative to the byte after them.
pub(super) fn reset() -> Vec<u8> {
    [&[0xe9], &REAL_MODE.wrapping_sub(RESET + 3).to_le_bytes()[..]].concat()
}

/// 16-bit code, which the assembler does not know; from reset, CS has base 0xffff0000.
pub(super) fn real_mode(descriptors: usize) -> Vec<u8> {
    let gdt = (ROM_PAGE + u32::from(GDT)).to_le_bytes();
    let gdt_limit = (8 * descriptors as u16 - 1).to_le_bytes();
    let gdt_pointer = (ROM_PAGE as u16 + REAL_MODE + 24).to_le_bytes();
    let protected_mode = (ROM_PAGE + u32::from(PROTECTED_MODE)).to_le_bytes();
    [
        [&[0x2e, 0x66, 0x0f, 0x01, 0x16], &gdt_pointer[..]].concat(), // lgdt cs:[gdt_pointer]
        vec![0x66, 0xb8, 0x11, 0, 0, 0],                              // mov eax, PE | ET
        vec![0x0f, 0x22, 0xc0],                                       // mov cr0, eax
        [&[0x66, 0xea], &protected_mode[..], &CODE_32.to_le_bytes()].concat(), // jmp CODE_32:protected_mode
        [gdt_limit.as_slice(), &gdt].concat(),                        // gdt_pointer, after 24 bytes
    ]
    .concat()
}

/// 32-bit code, in ROM: copies the stub's own memory to RAM and enters 64-bit mode there.
fn protected_mode(host: Host) -> Result<Vec<u8>, DynasmError> {
    let top = if host.five_level() { layout::HOST_LEVEL_5 } else { layout::HOST_TOP };
    let mut code = VecAssembler::<X86Relocation>::new(0);
    copy_to_ram(&mut code);
    dynasm!(code
        ; .arch x86
        ; mov eax, host.cr4 as i32
        ; mov cr4, eax
        ; mov eax, top as i32
        ; mov cr3, eax
        ; mov ecx, 0xc000_0080_u32 as i32               // IA32_EFER
        ; mov eax, host.efer as i32
        ; xor edx, edx
        ; wrmsr
        ; mov eax, vmcs::CR0 as i32
        ; mov cr0, eax
        ; .bytes [0xea]                                 // jmp CODE_64:interpreter
        ; .u32 layout::CODE as u32
        ; .u16 CODE_64
    );
    code.finalize()
}

/// Copies the stub's own memory to RAM.
pub(super) fn copy_to_ram(code: &mut VecAssembler<X86Relocation>) {
    dynasm!(code
        ; .arch x86
        ; mov eax, DATA.into()
        ; .bytes [0x8e, 0xd8]                           // mov ds, eax, which the assembler takes for its converse
        ; .bytes [0x8e, 0xc0]                           // mov es, eax
        ; .bytes [0x8e, 0xd0]                           // mov ss, eax
        ; mov esi, layout::OWN_IN_ROM as i32
        ; mov edi, layout::OWN as i32
        ; mov ecx, layout::OWN_SIZE as i32 / 4
        ; rep movsd
    );
}

/// What the guest runs: a load or a store at rdi, and a look at the tag at rsi.
fn guest(extension: Extension, load: bool) -> Result<Vec<u8>, DynasmError> {
    let mut code = VecAssembler::<X64Relocation>::new(0);
    if load {
        dynasm!(code; .arch x64; mov al, [rdi]);
    } else {
        dynasm!(code; .arch x64; mov [rdi], al);
    }
    dynasm!(code; .arch x64; mov rax, [rsi + 2]);
    match extension {
        Extension::Vmx => dynasm!(code; .arch x64; vmcall),
        Extension::Svm { .. } => dynasm!(code; .arch x64; vmmcall),
    }
    code.finalize()
}

/// Makes the processor able to enter a guest.
fn enable_vmx(code: &mut VecAssembler<X64Relocation>) {
    dynasm!(code
        ; .arch x64
        ; mov ecx, 0x3a                                 // IA32_FEATURE_CONTROL: no other firmware allows VMX, and locks
        ; mov eax, 5
        ; xor edx, edx
        ; wrmsr
        ; mov ecx, 0x480                                // IA32_VMX_BASIC: the revision, with which both regions begin
        ; rdmsr
        ; mov [layout::HOST_REGION as i32], eax
        ; mov [layout::GUEST_REGION as i32], eax
        ; push layout::HOST_REGION as i32
        ; vmxon [rsp]
        ; push layout::GUEST_REGION as i32
        ; vmclear [rsp]
        ; vmptrld [rsp]
        ; xor r14d, r14d
    );
}

/// The same; EFER.SVME is set already.
fn enable_svm(code: &mut VecAssembler<X64Relocation>) {
    dynasm!(code
        ; .arch x64
        ; mov ecx, 0xc001_0117_u32 as i32               // VM_HSAVE_PA
        ; mov eax, layout::HOST_REGION as i32
        ; xor edx, edx
        ; wrmsr
    );
}

/// Runs the guest at rdx until it exits. Gives its rax, and in r15 the VM-instruction error, 0 if it ran. r14: 1 once the
/// VMCS is launched.
fn enter_vmx(code: &mut VecAssembler<X64Relocation>) {
    dynasm!(code
        ; .arch x64
        ; push 0
        ; push 0
        ; mov eax, 2                                    // all contexts
        ; invept rax, [rsp]
        ; add rsp, 16
        ; mov ecx, 0x681e                               // guest RIP
        ; vmwrite rcx, rdx
        ; lea rax, [->exited]
        ; mov ecx, 0x6c16                               // host RIP
        ; vmwrite rcx, rax
        ; push rbx
        ; mov ecx, 0x6c14                               // host RSP
        ; vmwrite rcx, rsp
        ; mov rax, QWORD GUEST_RAX as i64
        ; test r14d, r14d
        ; jnz >resume
        ; vmlaunch
        ; jmp >refused
        ; resume:
        ; vmresume
        ; refused:
        ; mov ecx, 0x4400                               // VM-instruction error
        ; vmread r15, rcx
        ; jmp >restore
        ; ->exited:
        ; xor r15d, r15d
        ; mov r14d, 1
        ; restore:
        ; pop rbx
        ; ret
    );
}

/// Runs the guest at rdx until it exits, and gives its rax. Every entry flushes the TLB, as the VMCB says.
fn enter_svm(code: &mut VecAssembler<X64Relocation>) {
    const GUEST: i32 = layout::GUEST_REGION as i32;
    dynasm!(code
        ; .arch x64
        ; mov rax, QWORD GUEST_RAX as i64
        ; mov [GUEST + vmcb::RAX], rax
        ; mov [GUEST + vmcb::RIP], rdx
        ; push rbx
        ; mov eax, GUEST
        ; .bytes [0x0f, 0x01, 0xd8]                     // vmrun
        ; pop rbx
        ; mov rax, [GUEST + vmcb::RAX]
        ; ret
    );
}

/// Sends what is known of the guest's exit.
fn report_vmx(code: &mut VecAssembler<X64Relocation>) {
    dynasm!(code; .arch x64; mov rax, r15; call ->emit);
    for field in exit::VMX_FIELDS {
        dynasm!(code; .arch x64; mov ecx, field; vmread rax, rcx; call ->emit);
    }
}

fn report_svm(code: &mut VecAssembler<X64Relocation>) {
    for field in vmcb::EXIT {
        dynasm!(code; .arch x64; mov rax, [layout::GUEST_REGION as i32 + field]; call ->emit);
    }
}

/// The 64-bit code, in RAM.
///
/// rbx: the next operation: its number and four operands, which arrive in rdi, rsi, rdx and r8.
fn interpreter(extension: Extension) -> Result<Vec<u8>, DynasmError> {
    let mut code = VecAssembler::<X64Relocation>::new(0);
    dynasm!(code; .arch x64; mov esp, layout::STACK_TOP as i32);
    match extension {
        Extension::Vmx => enable_vmx(&mut code),
        Extension::Svm { .. } => enable_svm(&mut code),
    }
    dynasm!(code
        ; .arch x64
        ; mov edx, layout::DISK_CONTROL
        ; mov al, 2                                     // no interrupts
        ; out dx, al
        ; mov rax, QWORD MAGIC as i64
        ; call ->emit
        ; mov ebx, layout::PROGRAM as u32 as i32

        ; ->next:
        ; mov rax, [rbx]
        ; mov rdi, [rbx + 8]
        ; mov rsi, [rbx + 16]
        ; mov rdx, [rbx + 24]
        ; mov r8, [rbx + 32]
        ; add rbx, 40
        ; cmp eax, Operation::Probe as i32
        ; je ->probe
        ; cmp eax, Operation::Load as i32
        ; je ->load
        ; cmp eax, Operation::Zero as i32
        ; je ->zero
        ; cmp eax, Operation::Tag as i32
        ; je ->tag
        ; cmp eax, Operation::Peek as i32
        ; je ->peek
        ; cmp eax, Operation::Lend as i32
        ; je ->lend
        ; cmp eax, Operation::SetGuest as i32
        ; je ->set_guest
        ; cmp eax, Operation::ReadMsr as i32
        ; je ->read_msr
        ; cmp eax, Operation::Cpuid as i32
        ; je ->cpuid

        // The end: the rest of the results, then what Bochs powers off by, and what QEMU does.
        ; mov rax, QWORD MAGIC as i64
        ; call ->emit
        ; call ->write_sector
        ; lea rsi, [->shutdown]
        ; mov ecx, 8
        ; mov edx, 0x8900
        ; rep outsb
        ; mov edx, 0xf4
        ; out dx, al
        ; hlt
        ; ->shutdown:
        ; .bytes b"Shutdown"

        ; ->load:                                       // rdi: where to; rsi: bytes, which follow the operation
        ; mov rcx, rsi
        ; mov rsi, rbx
        ; rep movsb
        ; mov rbx, rsi
        ; jmp ->next

        ; ->zero:                                       // rdi: where; rsi: words
        ; xor eax, eax
        ; mov rcx, rsi
        ; rep stosq
        ; jmp ->next

        ; ->tag:                                        // rdi: first page; rsi: end
        ; call ->tag_page
        ; add rdi, PAGE as i32
        ; cmp rdi, rsi
        ; jb ->tag
        ; jmp ->next

        ; ->peek:                                       // rdi: address of the words; rsi: how many
        ; mov rax, [rdi]
        ; call ->emit
        ; add rdi, 8
        ; dec rsi
        ; jnz ->peek
        ; jmp ->next

        ; ->lend:                                       // rdi: which; rsi: address of a root entry; rdx: the overlay
        ; mov [rdi], rsi
        ; mov [rdi + 8], rdx
        ; jmp ->next

        ; ->set_guest:                                  // rdi: field; rsi: value
        ;; match extension {
            Extension::Vmx => dynasm!(code; .arch x64; vmwrite rdi, rsi),
            Extension::Svm { .. } => dynasm!(code; .arch x64; mov [rdi + layout::GUEST_REGION as i32], rsi),
        }
        ; jmp ->next

        ; ->read_msr:                                   // rdi: number
        ; mov ecx, edi
        ; rdmsr
        ; shl rdx, 32
        ; or rax, rdx
        ; call ->emit
        ; jmp ->next

        ; ->cpuid:                                      // rdi: leaf
        ; push rbx
        ; mov eax, edi
        ; cpuid
        ; pop rbx
        ; call ->emit
        ; jmp ->next

        ; ->probe:                                      // rdi: address; rsi: tag there; rdx: RIP; r8: window's entry
        ; mov [layout::WINDOW_ENTRY as i32], r8
        ; call ->swap
        ; call ->enter
        ; push rax
        ; call ->swap
        ; pop rax
        ; mov rdi, rax
        ; call ->emit                                   // the guest's rax: the tag, if it came to that
        ;; match extension {
            Extension::Vmx => report_vmx(&mut code),
            Extension::Svm { .. } => report_svm(&mut code),
        }
        ; mov rax, QWORD TAG_MARK as i64
        ; xor rdi, rax
        ; mov rax, rdi
        ; shr rax, 48
        ; jnz ->next
        ; call ->tag_page                               // a store may have hit the other tag
        ; jmp ->next

        // The overlays in or out.
        ; ->swap:
        ; mov ecx, layout::LENT[0] as i32
        ; call ->swap_one
        ; mov ecx, layout::LENT[1] as i32
        ; ->swap_one:
        ; mov r9, [rcx]
        ; mov rax, [rcx + 8]
        ; xchg [r9], rax
        ; mov [rcx + 8], rax
        ; ret

        ; ->enter:
        ;; match extension {
            Extension::Vmx => enter_vmx(&mut code),
            Extension::Svm { .. } => enter_svm(&mut code),
        }

        // A tag is code, so that a load and a fetch both find out where a page is: mov rax, TAG_MARK | page; int3.
        // rdi: the page.
        ; ->tag_page:
        ; mov rax, QWORD TAG_MARK as i64
        ; or rax, rdi
        ; mov WORD [rdi], 0xb848_u16 as i16
        ; mov [rdi + 2], rax
        ; mov BYTE [rdi + 10], 0xcc_u8 as i8
        ; mov WORD [rdi + SECOND_TAG as i32], 0xb848_u16 as i16
        ; mov [rdi + SECOND_TAG as i32 + 2], rax
        ; mov BYTE [rdi + SECOND_TAG as i32 + 10], 0xcc_u8 as i8
        ; ret

        // Sends rax, together with others: once the sector is full.
        ; ->emit:
        ; mov ecx, [layout::NEXT_WORD as i32]
        ; mov [rcx], rax
        ; add ecx, 8
        ; mov [layout::NEXT_WORD as i32], ecx
        ; cmp ecx, layout::NEXT_WORD as i32
        ; je ->write_sector
        ; ret

        // Sends the sector, and waits until it is in the file.
        ; ->write_sector:
        ; push rsi
        ; mov rax, [layout::WRITE_SECTOR as i32]
        ; add DWORD [layout::WRITE_SECTOR as i32], 0x100 // the next one
        ; mov edx, layout::DISK_COUNT
        ; mov ecx, 6
        ; set:
        ; out dx, al
        ; shr rax, 8
        ; inc edx
        ; loop <set
        ; mov edx, layout::DISK_STATUS
        ; wanted:
        ; in al, dx
        ; and al, DISK_BUSY | DISK_WANTS_DATA
        ; cmp al, DISK_WANTS_DATA
        ; jne <wanted
        ; mov edx, layout::DISK_DATA
        ; mov esi, layout::SECTOR as i32
        ; mov [layout::NEXT_WORD as i32], esi
        ; mov ecx, (layout::NEXT_WORD - layout::SECTOR) as i32 / 2
        ; rep outsw
        ; mov edx, layout::DISK_STATUS
        ; written:
        ; in al, dx
        ; test al, DISK_BUSY
        ; jnz <written
        ; pop rsi
        ; ret
    );
    code.finalize()
}
