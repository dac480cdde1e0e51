//! The program that runs inside the PC: the whole of its firmware, and the tables that it brings along.
//!
//! It is laid out as the hypervisor's stub is, whose first instructions and whose disk it shares.

use dynasmrt::{DynasmApi, DynasmError, DynasmLabelApi, VecAssembler, dynasm, x86::X86Relocation};

use super::Operation;
use crate::mmu::x86_64::layout::{self, CODE, OWN, OWN_SIZE, PAGE};
use crate::mmu::x86_64::program::MAGIC;
use crate::mmu::x86_64::stub::{self as firmware, CODE_32, DATA, GDT, PROTECTED_MODE, REAL_MODE, RESET};

/// What an entry of a root spans without PAE; as much as that at the end of memory is the stub's.
pub(super) const SPAN: u64 = 4 << 20;

/// A page's address, with this in its low bits, is in the page at two places: one of them is not where an access is.
pub(super) const TAG_MARK: u64 = 0x5a5;
pub(super) const TAGS: [u64; 2] = [0x7f8, 0xff8];
/// The rest of a page: whatever is called there returns.
const RETURN: u8 = 0xc3;

/// Of a probe's kind: at privilege level 3.
pub(super) const USER: u32 = 4;
/// What becomes of a probe.
pub(super) const CAME_THROUGH: u64 = 0;
pub(super) const FAULTED: u64 = 1;
pub(super) const REFUSED: u64 = 2;

/// Pages of the stub's own memory, by their numbers.
const fn page(number: u64) -> u32 {
    (OWN + number * PAGE) as u32
}

const TABLE: u32 = page(0);
const IDT: u32 = page(1);
const TSS: u32 = page(2);
const USER_CODE: u32 = page(3);
const USER_STACK_TOP: u32 = page(5);
/// Operands of LGDT and LIDT.
const GDT_POINTER: u32 = page(6);
const IDT_POINTER: u32 = page(6) + 8;
/// The stack as it was before the probe.
const SAVED_STACK: u32 = page(6) + 16;
/// The root entry that is lent, and what is not there now: the lower half and, with PAE, the upper one, which else is of
/// nowhere.
const LENT: u32 = page(6) + 24;
const LENT_UPPER: u32 = page(6) + 32;
const NOWHERE: u32 = page(6) + 40;

/// What powers Bochs off.
const SHUTDOWN: u32 = page(6) + 48;

/// With PAE: what leads to the stub's own pages, and the first directory with that in it; what that is a copy of, if it
/// is one.
const PAE_TABLE: u32 = page(7);
const DIRECTORY: u32 = page(8);
const COPIED: u32 = page(6) + 56;
/// Where the stub's entry is in a directory.
const OWN_ENTRY: u32 = (OWN >> 21) as u32 * 8;

/// The vector by which user mode comes back.
const BACK: usize = 0x80;
const PROTECTION: usize = 13;
const PAGE_FAULT: usize = 14;

const USER_CODE_32: u16 = 0x1b;
const USER_DATA: u16 = 0x23;
const TASK: u16 = 0x28;

/// Null, code, data, and the same for privilege level 3: flat, and accessed already; a 32-bit TSS.
const GDT_ENTRIES: [u64; 6] =
    [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff, descriptor(TSS)];

/// Of a TSS that is not busy.
const fn descriptor(base: u32) -> u64 {
    0x67 | (base as u64 & 0xff_ffff) << 16 | 0x89 << 40 | (base as u64 >> 24) << 56
}

/// An interrupt gate, through which any privilege level may come.
const fn gate(handler: u32) -> u64 {
    (handler as u64 & 0xffff) | (CODE_32 as u64) << 16 | 0xee00 << 32 | (handler as u64 >> 16) << 48
}

/// A present, writable entry, accessed and dirty already; for user mode, too.
const SUPERVISOR_ENTRY: u32 = 0x63;
const ENTRY: u32 = 0x67;
/// A PAE root's, which has no rights and no marks.
const POINTER: u32 = 1;

/// CR4.PAE.
const PAE: i32 = 1 << 5;
const IA32_EFER: i32 = 0xc000_0080_u32 as i32;

/// CR0: PE, ET.
const UNPAGED: i32 = 0x11;
/// CR0: PG.
const PAGED: i32 = i32::MIN;

/// What is copied from the end of the ROM.
pub(super) fn own_memory() -> Result<Vec<u8>, DynasmError> {
    let mut memory = vec![0; OWN_SIZE as usize];
    let mut put =
        |address: u32, bytes: &[u8]| memory[(address - OWN as u32) as usize..][..bytes.len()].copy_from_slice(bytes);
    for index in 0..1024 {
        let address = (layout::RAM_SIZE - SPAN) as u32 + index * PAGE as u32;
        let flags = if (USER_CODE..USER_STACK_TOP).contains(&address) { ENTRY } else { SUPERVISOR_ENTRY };
        put(TABLE + 4 * index, &(address | flags).to_le_bytes());
        if let Some(index) = index.checked_sub(512) {
            put(PAE_TABLE + 8 * index, &(address | flags).to_le_bytes());
        }
    }
    let (code, [refused, fault, back]) = interpreter()?;
    for (vector, handler) in [(PROTECTION, refused), (PAGE_FAULT, fault), (BACK, back)] {
        put(IDT + 8 * vector as u32, &gate(CODE as u32 + handler as u32).to_le_bytes());
    }
    put(TSS + 4, &(layout::STACK_TOP as u32).to_le_bytes());
    put(TSS + 8, &DATA.to_le_bytes());
    let pointer = |size: usize, base: u32| [&(size as u16 - 1).to_le_bytes()[..], &base.to_le_bytes()].concat();
    put(GDT_POINTER, &pointer(size_of_val(&GDT_ENTRIES), CODE as u32 + u32::from(GDT)));
    put(IDT_POINTER, &pointer(8 * (BACK + 1), IDT));
    put(SHUTDOWN, b"Shutdown");
    put(USER_CODE, &user_code()?);
    put(layout::NEXT_WORD as u32, &layout::SECTOR.to_le_bytes());
    put(layout::WRITE_SECTOR as u32, &layout::WRITE_FIRST_SECTOR.to_le_bytes());
    let page = firmware::page_of(
        code,
        [
            (REAL_MODE, firmware::real_mode(GDT_ENTRIES.len())),
            (GDT, GDT_ENTRIES.iter().flat_map(|entry| entry.to_le_bytes()).collect()),
            (PROTECTED_MODE, protected_mode()?),
            (RESET, firmware::reset()),
        ],
    );
    put(CODE as u32, &page);
    Ok(memory)
}

/// In ROM: copies the stub's own memory to RAM, and goes on there.
fn protected_mode() -> Result<Vec<u8>, DynasmError> {
    let mut code = VecAssembler::<X86Relocation>::new(0);
    firmware::copy_to_ram(&mut code);
    dynasm!(code
        ; .arch x86
        ; mov eax, CODE as i32
        ; jmp eax
    );
    code.finalize()
}

/// The access of a probe: at edi, of the kind in ecx. Then the tag at esi, in eax.
fn access(code: &mut VecAssembler<X86Relocation>) {
    dynasm!(code
        ; .arch x86
        ; and ecx, 3
        ; cmp ecx, 1
        ; je >store
        ; ja >call
        ; mov al, [edi]
        ; jmp >tag
        ; store:
        ; mov BYTE [edi], RETURN as i8
        ; jmp >tag
        ; call:
        ; call edi
        ; tag:
        ; mov eax, [esi]
    );
}

/// What user mode runs.
fn user_code() -> Result<Vec<u8>, DynasmError> {
    let mut code = VecAssembler::<X86Relocation>::new(0);
    access(&mut code);
    dynasm!(code; .arch x86; int BACK as i8);
    code.finalize()
}

/// The code in RAM, and the offsets in it of the handlers of protection faults, of page faults, and of [`BACK`].
///
/// ebx: the next operation: its number and four operands, which arrive in edi, esi, edx and ecx.
fn interpreter() -> Result<(Vec<u8>, [usize; 3]), DynasmError> {
    let mut code = VecAssembler::<X86Relocation>::new(0);
    let [magic_low, magic_high] = [MAGIC as i32, (MAGIC >> 32) as i32];
    dynasm!(code
        ; .arch x86
        ; mov esp, layout::STACK_TOP as i32
        ; lgdt [GDT_POINTER as i32]
        ; lidt [IDT_POINTER as i32]
        ; mov eax, USER_DATA.into()                     // also at level 0: the way back from 3 loads no others
        ; .bytes [0x8e, 0xd8]                           // mov ds, eax
        ; .bytes [0x8e, 0xc0]                           // mov es, eax
        ; mov eax, TASK.into()
        ; .bytes [0x0f, 0x00, 0xd8]                     // ltr ax
        ; mov edx, layout::DISK_CONTROL
        ; mov al, 2                                     // no interrupts
        ; out dx, al
        ; mov eax, magic_low
        ; call ->emit
        ; mov eax, magic_high
        ; call ->emit
        ; mov ebx, layout::PROGRAM as u32 as i32

        ; ->next:
        ; mov eax, [ebx]
        ; mov edi, [ebx + 4]
        ; mov esi, [ebx + 8]
        ; mov edx, [ebx + 12]
        ; mov ecx, [ebx + 16]
        ; add ebx, 20
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

        // The end: the rest of the results, then what Bochs powers off by, and what QEMU does.
        ; mov eax, magic_low
        ; call ->emit
        ; mov eax, magic_high
        ; call ->emit
        ; call ->write_sector
        ; mov esi, SHUTDOWN as i32
        ; mov ecx, 8
        ; mov edx, 0x8900
        ; rep outsb
        ; mov edx, 0xf4
        ; out dx, al
        ; hlt

        ; ->load:                                       // edi: where to; esi: bytes, which follow the operation
        ; mov ecx, esi
        ; mov esi, ebx
        ; rep movsb
        ; mov ebx, esi
        ; jmp ->next

        ; ->zero:                                       // edi: where; esi: words
        ; xor eax, eax
        ; mov ecx, esi
        ; rep stosd
        ; jmp ->next

        ; ->tag:                                        // edi: first page; esi: end
        ; mov edx, edi
        ; mov eax, i32::from_le_bytes([RETURN; 4])
        ; mov ecx, PAGE as i32 / 4
        ; rep stosd
        ; lea eax, [edx + TAG_MARK as i32]
        ; mov [edx + TAGS[0] as i32], eax
        ; mov [edx + TAGS[1] as i32], eax
        ; cmp edi, esi
        ; jb ->tag
        ; jmp ->next

        ; ->peek:                                       // edi: address of a word
        ; mov eax, [edi]
        ; call ->emit
        ; mov eax, [edi + 4]
        ; call ->emit
        ; jmp ->next

        ; ->probe:                                      // edi: address; esi: CR3; edx: CR4; ecx: kind, WP, and NXE
        ; call ->lend
        ; call ->swap
        ; push edx
        ; push ecx
        ; mov eax, ecx
        ; and eax, super::NO_EXECUTE as i32
        ; xor edx, edx
        ; mov ecx, IA32_EFER
        ; wrmsr
        ; pop ecx
        ; pop edx
        ; mov cr4, edx
        ; mov cr3, esi
        ; mov esi, edi                                  // the tag that is not where the access is
        ; and esi, !(PAGE as i32 - 1)
        ; add esi, TAGS[0] as i32
        ; test edi, PAGE as i32 / 2
        ; jnz >near
        ; add esi, (TAGS[1] - TAGS[0]) as i32
        ; near:
        ; mov eax, ecx
        ; and eax, super::WRITE_PROTECT as i32
        ; or eax, PAGED | UNPAGED
        ; mov [SAVED_STACK as i32], esp
        ; mov cr0, eax
        ; test ecx, USER as i32
        ; jnz >user
        ;; access(&mut code)
        ; mov ecx, CAME_THROUGH as i32
        ; jmp ->done
        ; user:
        ; push USER_DATA.into()
        ; push USER_STACK_TOP as i32
        ; push 2
        ; push USER_CODE_32.into()
        ; push USER_CODE as i32
        ; iretd
    );
    let back = code.offset().0;
    dynasm!(code
        ; .arch x86
        ; mov ecx, CAME_THROUGH as i32
        ; jmp ->done
    );
    let refused = code.offset().0;
    dynasm!(code
        ; .arch x86
        ; pop eax
        ; mov ecx, REFUSED as i32
        ; jmp ->done
    );
    let fault = code.offset().0;
    dynasm!(code
        ; .arch x86
        ; pop eax
        ; mov ecx, FAULTED as i32
        ; ->done:                                       // eax: a tag, or the error code; ecx: which
        ; mov esp, [SAVED_STACK as i32]
        ; mov edx, UNPAGED
        ; mov cr0, edx
        ; mov edx, cr2
        ; push eax
        ; call ->swap
        ; call ->mark
        ; mov eax, [esp]
        ; test ecx, ecx
        ; jnz >emit
        ; and eax, PAGE as i32 - 1
        ; cmp eax, TAG_MARK as i32
        ; jne >emit
        ; mov eax, [esp]                                // a store may have hit a tag
        ; mov [eax + (TAGS[0] - TAG_MARK) as i32], eax
        ; mov [eax + (TAGS[1] - TAG_MARK) as i32], eax
        ; emit:
        ; pop eax
        ; push edx
        ; push ecx
        ; call ->emit
        ; pop eax
        ; call ->emit
        ; pop eax
        ; call ->emit
        ; xor eax, eax
        ; call ->emit
        ; jmp ->next

        // Makes an entry for the root of esi, if edx is CR4.
        ; ->lend:
        ; mov DWORD [COPIED as i32], 0
        ; test edx, PAE
        ; jnz >pae
        ; mov eax, esi
        ; and eax, !(PAGE as i32 - 1)
        ; add eax, ((layout::RAM_SIZE - SPAN) / SPAN * 4) as i32
        ; mov [LENT as i32], eax
        ; mov DWORD [LENT as i32 + 4], (TABLE | ENTRY) as i32
        ; mov DWORD [LENT_UPPER as i32], NOWHERE as i32
        ; ret
        ; pae:
        ; push esi
        ; push edi
        ; push ecx
        ; and esi, !31
        ; mov [LENT as i32], esi
        ; mov DWORD [LENT as i32 + 4], (DIRECTORY | POINTER) as i32
        ; lea eax, [esi + 4]
        ; mov [LENT_UPPER as i32], eax
        ; mov DWORD [LENT_UPPER as i32 + 4], 0
        ; mov edi, DIRECTORY as i32
        ; mov ecx, PAGE as i32 / 4
        ; cmp DWORD [esi + 4], 0
        ; jne >empty
        ; mov esi, [esi]
        ; test esi, POINTER as i32
        ; jz >empty
        ; and esi, !(PAGE as i32 - 1)
        ; mov [COPIED as i32], esi
        ; rep movsd
        ; jmp >own
        ; empty:
        ; xor eax, eax
        ; rep stosd
        ; own:
        ; mov DWORD [(DIRECTORY + OWN_ENTRY) as i32], (PAE_TABLE | ENTRY) as i32
        ; mov DWORD [(DIRECTORY + OWN_ENTRY) as i32 + 4], 0
        ; pop ecx
        ; pop edi
        ; pop esi
        ; ret

        // Marks in the directory what was marked in its copy.
        ; ->mark:
        ; mov eax, [COPIED as i32]
        ; test eax, eax
        ; jz >marked
        ; push ecx
        ; push edx
        ; mov DWORD [(DIRECTORY + OWN_ENTRY) as i32], 0
        ; xor ecx, ecx
        ; again:
        ; mov edx, [ecx + DIRECTORY as i32]
        ; or [eax + ecx], edx
        ; add ecx, 8
        ; cmp ecx, PAGE as i32
        ; jb <again
        ; pop edx
        ; pop ecx
        ; marked:
        ; ret

        // The stub's entry in or out.
        ; ->swap:
        ; push ebx
        ; mov ebx, [LENT as i32]
        ; mov eax, [LENT as i32 + 4]
        ; xchg [ebx], eax
        ; mov [LENT as i32 + 4], eax
        ; mov ebx, [LENT_UPPER as i32]
        ; mov eax, [LENT_UPPER as i32 + 4]
        ; xchg [ebx], eax
        ; mov [LENT_UPPER as i32 + 4], eax
        ; pop ebx
        ; ret

        // Sends eax, together with others: once the sector is full. It keeps ebx, esi and edi.
        ; ->emit:
        ; mov ecx, [layout::NEXT_WORD as i32]
        ; mov [ecx], eax
        ; add ecx, 4
        ; mov [layout::NEXT_WORD as i32], ecx
        ; cmp ecx, layout::NEXT_WORD as i32
        ; je ->write_sector
        ; ret

        // Sends the sector, and waits until it is in the file.
        ; ->write_sector:
        ; push esi
        ; mov esi, layout::WRITE_SECTOR as i32
        ; mov edx, layout::DISK_COUNT
        ; mov ecx, 6
        ; set:
        ; lodsb
        ; out dx, al
        ; inc edx
        ; loop <set
        ; add DWORD [layout::WRITE_SECTOR as i32], 0x100 // the next one
        ; mov edx, layout::DISK_STATUS
        ; wanted:
        ; in al, dx
        ; and al, firmware::DISK_BUSY | firmware::DISK_WANTS_DATA
        ; cmp al, firmware::DISK_WANTS_DATA
        ; jne <wanted
        ; mov edx, layout::DISK_DATA
        ; mov esi, layout::SECTOR as i32
        ; mov [layout::NEXT_WORD as i32], esi
        ; mov ecx, (layout::NEXT_WORD - layout::SECTOR) as i32 / 2
        ; rep outsw
        ; mov edx, layout::DISK_STATUS
        ; written:
        ; in al, dx
        ; test al, firmware::DISK_BUSY
        ; jnz <written
        ; pop esi
        ; ret
    );
    Ok((code.finalize()?, [refused, fault, back]))
}
