//! The program that runs inside the emulated PC: the whole of its firmware, and a small hypervisor.
//!
//! It interprets a [`Program`](super::program::Program), which lies at the start of the ROM. Results leave through the
//! debug port, eight bytes each, in the order of the operations that give one. What can be known beforehand (page
//! tables, VMCS fields, addresses) is in the operations or in [`layout`], not here.
//!
//! It is one page: the last of the ROM, so that the processor finds the reset vector at its end, and the last of the
//! 128 KiB that the first instructions copy to RAM, where the rest runs.

use dynasmrt::{DynasmApi, DynasmError, DynasmLabelApi, VecAssembler, dynasm, x64::X64Relocation, x86::X86Relocation};

use super::layout::{self, PAGE};
use super::program::{MAGIC, Operation, SECOND_TAG, TAG_MARK};
use super::{exit, vmcs};
use crate::mmu::Access;

/// Offsets in the page; the interpreter is at 0.
const REAL_MODE: u16 = 0xf00;
const GDT: u16 = 0xf40;
const PROTECTED_MODE: u16 = 0xf80;
const RESET: u16 = 0xff0;

/// Where the page is in ROM.
const ROM_PAGE: u32 = 0xffff_f000;

/// Selectors of the descriptors in [`GDT_ENTRIES`].
const CODE_32: u16 = 0x08;
pub(super) const DATA: u16 = 0x10;
pub(super) const CODE_64: u16 = 0x18;

/// Null, 32-bit code, data, 64-bit code: flat, and accessed already.
const GDT_ENTRIES: [u64; 4] = [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00af_9b00_0000_ffff];

/// The assembled page.
pub(super) fn page() -> Result<Vec<u8>, DynasmError> {
    let mut page = interpreter()?;
    for (offset, bytes) in [
        (REAL_MODE, real_mode()),
        (GDT, GDT_ENTRIES.iter().flat_map(|entry| entry.to_le_bytes()).collect()),
        (PROTECTED_MODE, protected_mode()?),
        // jmp REAL_MODE: three bytes, relative to the byte after them.
        (RESET, [&[0xe9], &REAL_MODE.wrapping_sub(RESET + 3).to_le_bytes()[..]].concat()),
        (PAGE as u16, Vec::new()),
    ] {
        page.resize(offset.into(), 0);
        page.extend(bytes);
    }
    Ok(page)
}

/// 16-bit code, which the assembler does not know; from reset, CS has base 0xffff0000.
fn real_mode() -> Vec<u8> {
    let gdt = (ROM_PAGE + u32::from(GDT)).to_le_bytes();
    let gdt_limit = (size_of_val(&GDT_ENTRIES) as u16 - 1).to_le_bytes();
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
fn protected_mode() -> Result<Vec<u8>, DynasmError> {
    let mut code = VecAssembler::<X86Relocation>::new(0);
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
        ; mov eax, vmcs::CR4 as i32
        ; mov cr4, eax
        ; mov eax, layout::HOST_TOP as i32
        ; mov cr3, eax
        ; mov ecx, 0xc000_0080_u32 as i32               // IA32_EFER
        ; mov eax, 0x100                                // LME
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

/// The 64-bit code, in RAM: VMX operation, the interpreter, and the guest.
///
/// rbx: the next operation: its number and four operands, which arrive in rdi, rsi, rdx and r8. r12: the entry that is
/// not in the overlay's slot now. r13: address of that slot. r14: 1 once the VMCS is launched.
fn interpreter() -> Result<Vec<u8>, DynasmError> {
    let mut code = VecAssembler::<X64Relocation>::new(0);
    dynasm!(code
        ; .arch x64
        ; mov esp, layout::STACK_TOP as i32
        ; mov ecx, 0x3a                                 // IA32_FEATURE_CONTROL: no other firmware allows VMX, and locks
        ; mov eax, 5
        ; xor edx, edx
        ; wrmsr
        ; mov ecx, 0x480                                // IA32_VMX_BASIC: the revision, with which both regions begin
        ; rdmsr
        ; mov [layout::VMXON_REGION as i32], eax
        ; mov [layout::VMCS_REGION as i32], eax
        ; push layout::VMXON_REGION as i32
        ; vmxon [rsp]
        ; push layout::VMCS_REGION as i32
        ; vmclear [rsp]
        ; vmptrld [rsp]
        ; mov rax, QWORD MAGIC as i64
        ; call ->emit
        ; mov ebx, layout::PROGRAM as u32 as i32
        ; mov r12, layout::OVERLAY_ENTRY as i32
        ; xor r14d, r14d

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
        ; cmp eax, Operation::Slot as i32
        ; je ->slot
        ; cmp eax, Operation::WriteVmcs as i32
        ; je ->write_vmcs
        ; cmp eax, Operation::ReadMsr as i32
        ; je ->read_msr
        ; cmp eax, Operation::Cpuid as i32
        ; je ->cpuid

        // The end: what Bochs powers off by.
        ; lea rsi, [->shutdown]
        ; mov ecx, 8
        ; mov edx, 0x8900
        ; rep outsb
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

        ; ->peek:                                       // rdi: address of the word
        ; mov rax, [rdi]
        ; call ->emit
        ; jmp ->next

        ; ->slot:                                       // rdi: address of the root entry for the overlay
        ; mov r13, rdi
        ; jmp ->next

        ; ->write_vmcs:                                 // rdi: field; rsi: value
        ; vmwrite rdi, rsi
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

        ; ->probe:                                      // rdi: address; rsi: tag there; rdx: access; r8: window's entry
        ; mov [layout::WINDOW_ENTRY as i32], r8
        ; xchg [r13], r12                               // overlay in
        ; push 0
        ; push 0
        ; mov eax, 2                                    // all contexts
        ; invept rax, [rsp]
        ; add rsp, 16
        ; lea rax, [->guest_load]
        ; lea rcx, [->guest_store]
        ; cmp edx, Access::Write as i32
        ; cmove rax, rcx
        ; cmp edx, Access::Execute as i32
        ; cmove rax, rdi
        ; call ->enter
        ; cmp edx, Access::Execute as i32
        ; jne ->probed
        ; mov ecx, 0x4402                               // exit reason
        ; vmread r9, rcx
        ; cmp r9d, 48                                   // EPT violation
        ; je ->probed
        ; cmp r9d, 49                                   // EPT misconfiguration
        ; je ->probed
        ; mov rax, rsi                                  // fetched; now run the tag to see where
        ; call ->enter
        ; ->probed:
        ; xchg [r13], r12                               // overlay out
        ; mov rdi, rax
        ; call ->emit                                   // the guest's rax: the tag, if it came to that
        ; mov rax, r15
        ; call ->emit
        ; lea rsi, [->exit_fields]
        ; ->exit_field:
        ; mov ecx, [rsi]
        ; add rsi, 4
        ; vmread rax, rcx
        ; call ->emit
        ; cmp DWORD [rsi], 0
        ; jne ->exit_field
        ; mov rax, QWORD TAG_MARK as i64
        ; xor rdi, rax
        ; mov rax, rdi
        ; shr rax, 48
        ; jnz ->next
        ; call ->tag_page                               // a store may have hit the other tag
        ; jmp ->next
        ; ->exit_fields:
        ;; code.extend(exit::FIELDS.iter().flat_map(|field| field.to_le_bytes()))

        ; ->guest_load:
        ; mov al, [rdi]
        ; mov rax, [rsi + 2]
        ; vmcall
        ; ->guest_store:
        ; mov [rdi], al
        ; mov rax, [rsi + 2]
        ; vmcall

        // Runs the guest at rax until it exits. Gives its rax, and in r15 the VM-instruction error, 0 if it ran.
        ; ->enter:
        ; mov ecx, 0x681e                               // guest RIP
        ; vmwrite rcx, rax
        ; lea rax, [->exited]
        ; mov ecx, 0x6c16                               // host RIP
        ; vmwrite rcx, rax
        ; push rbx
        ; push rdx
        ; push rsi
        ; push rdi
        ; push r12
        ; push r13
        ; mov ecx, 0x6c14                               // host RSP
        ; vmwrite rcx, rsp
        ; xor eax, eax                                  // what is stored; and zeros, executed, use the address in rax
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
        ; pop r13
        ; pop r12
        ; pop rdi
        ; pop rsi
        ; pop rdx
        ; pop rbx
        ; ret

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

        // Sends rax.
        ; ->emit:
        ; push rsi
        ; push rax
        ; mov rsi, rsp
        ; mov ecx, 8
        ; mov edx, 0xe9
        ; rep outsb
        ; pop rax
        ; pop rsi
        ; ret
    );
    code.finalize()
}
