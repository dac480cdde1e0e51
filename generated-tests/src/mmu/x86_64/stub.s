# The program that runs inside the emulated PC: the whole of its firmware, and a small hypervisor.
#
# It is an interpreter. The operations are made by the host program (`program.rs`) and lie at the start of the ROM; the
# results leave through the debug port, eight bytes each, in the order of the operations that give one. Everything that
# can be computed beforehand (page tables, VMCS fields, addresses) is in the operations or in the page tables of
# `layout.rs`, not here.
#
# The code is one page, assembled position-independent. It is the last page of the ROM, so that the reset vector is where
# the processor looks for it, and the last page of the 128 KiB that the first instructions copy to RAM, where the rest
# of it runs.

    .pushsection .rodata.tablewright_x86_64_stub, "a"
    .balign 4096
    .globl tablewright_x86_64_stub
tablewright_x86_64_stub:

# --- From reset to 64-bit mode -------------------------------------------------------------------------------------

    .code16
real_mode:                              # CS base 0xffff0000, IP 0xf000 + offset in this page
    cli
    .byte 0x2e, 0x66, 0x0f, 0x01, 0x16  # lgdt cs:[gdt_pointer], 32-bit base
    .word 0xf000 + (gdt_pointer - tablewright_x86_64_stub)
    mov eax, 0x11                       # PE, ET
    mov cr0, eax
    .byte 0x66, 0xea                    # jmp 0x08:protected_mode
    .long 0xfffff000 + (protected_mode - tablewright_x86_64_stub)
    .word 0x08

    .code32
protected_mode:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    cld
    mov esi, {OWN_IN_ROM}
    mov edi, {OWN}
    mov ecx, {OWN_SIZE} / 4
    rep movsd
    mov eax, 0x2020                     # VMXE, PAE
    mov cr4, eax
    mov eax, {OWN}                      # the host's top table is the first page
    mov cr3, eax
    mov ecx, 0xc0000080                 # IA32_EFER
    mov eax, 0x100                      # LME
    xor edx, edx
    wrmsr
    mov eax, 0x80000031                 # PG, NE, ET, PE
    mov cr0, eax
    .byte 0xea                          # jmp 0x18:long_mode, in the copy in RAM
    .long {CODE} + (long_mode - tablewright_x86_64_stub)
    .word 0x18

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 0x08: 32-bit code, 4 GiB
    .quad 0x00cf93000000ffff            # 0x10: data, 4 GiB
    .quad 0x00af9b000000ffff            # 0x18: 64-bit code
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long 0xfffff000 + (gdt - tablewright_x86_64_stub)

# --- VMX operation -------------------------------------------------------------------------------------------------

    .code64
long_mode:
    mov esp, {STACK_TOP}
    mov ecx, 0x3a                       # IA32_FEATURE_CONTROL: there is no other firmware to allow VMX and lock it
    mov eax, 5
    xor edx, edx
    wrmsr
    mov ecx, 0x480                      # IA32_VMX_BASIC: the revision that both regions must start with
    rdmsr
    mov [{VMXON_REGION}], eax
    mov [{VMCS_REGION}], eax
    push {VMXON_REGION}
    vmxon [rsp]
    push {VMCS_REGION}
    vmclear [rsp]
    vmptrld [rsp]
    mov rax, {MAGIC}
    call emit

# --- The interpreter -----------------------------------------------------------------------------------------------
#
# rbx: the next operation, five words: its number and four operands, which arrive in rdi, rsi, rdx and r8.
# r12: the entry that is not in the overlay slot now. r13: address of the overlay slot. r14: 1 once the VMCS is launched.

    mov ebx, {PROGRAM}
    mov r12, {OVERLAY_ENTRY}
    xor r14d, r14d
next:
    mov rax, [rbx]
    mov rdi, [rbx + 8]
    mov rsi, [rbx + 16]
    mov rdx, [rbx + 24]
    mov r8, [rbx + 32]
    add rbx, 40
    cmp eax, {PROBE}
    je probe
    cmp eax, {LOAD}
    je load
    cmp eax, {ZERO}
    je zero
    cmp eax, {TAG}
    je tag
    cmp eax, {PEEK}
    je peek
    cmp eax, {SLOT}
    je slot
    cmp eax, {VMWRITE}
    je vmcs_write
    cmp eax, {RDMSR}
    je read_msr
    cmp eax, {CPUID}
    je read_cpuid

power_off:                              # anything else is the end
    lea rsi, [rip + shutdown]
    mov ecx, 8
    mov dx, 0x8900
    rep outsb
    hlt
shutdown:
    .ascii "Shutdown"

load:                                   # rdi: where to; rsi: bytes, which follow the operation
    mov rcx, rsi
    mov rsi, rbx
    rep movsb
    mov rbx, rsi
    jmp next

zero:                                   # rdi: where; rsi: words
    xor eax, eax
    mov rcx, rsi
    rep stosq
    jmp next

tag:                                    # rdi: first page; rsi: end
    call tag_page
    add rdi, 0x1000
    cmp rdi, rsi
    jb tag
    jmp next

peek:                                   # rdi: address of the word
    mov rax, [rdi]
    call emit
    jmp next

slot:                                   # rdi: address of the root entry that is free for the overlay
    mov r13, rdi
    jmp next

vmcs_write:                             # rdi: field; rsi: value
    vmwrite rdi, rsi
    jmp next

read_msr:                               # rdi: number
    mov ecx, edi
    rdmsr
    shl rdx, 32
    or rax, rdx
    call emit
    jmp next

read_cpuid:                             # rdi: leaf; the result is eax
    push rbx
    mov eax, edi
    cpuid
    pop rbx
    call emit
    jmp next

# --- Probes --------------------------------------------------------------------------------------------------------

probe:                                  # rdi: linear address; rsi: tag in the same page; rdx: access; r8: window's entry
    mov [{WINDOW_ENTRY}], r8
    xchg r12, [r13]                     # put the overlay in
    push 0
    push 0
    mov eax, 2                          # all contexts
    invept rax, [rsp]
    add rsp, 16
    lea rax, [rip + guest_read]
    lea rcx, [rip + guest_write]
    cmp edx, {WRITE}
    cmove rax, rcx
    cmp edx, {EXECUTE}
    cmove rax, rdi
    call enter
    cmp edx, {EXECUTE}
    jne probed
    mov ecx, 0x4402                     # exit reason
    vmread r9, rcx
    cmp r9d, 48                         # EPT violation
    je probed
    cmp r9d, 49                         # EPT misconfiguration
    je probed
    mov rax, rsi                        # fetched: now run the tag, which shows where
    call enter
probed:
    xchg r12, [r13]                     # and out again
    mov rdi, rax
    call emit                           # the guest's rax: the tag, if it came to that
    mov rax, r15
    call emit
    lea rsi, [rip + exit_fields]
exit_field:
    mov ecx, [rsi]
    add rsi, 4
    vmread rax, rcx
    call emit
    cmp dword ptr [rsi], 0
    jne exit_field
    mov rax, {TAG_MARK}
    xor rdi, rax
    mov rax, rdi
    shr rax, 48
    jnz next
    call tag_page                       # a store may have hit the page's other tag
    jmp next

exit_fields:                            # reason, qualification, guest-physical address, interruption information and error
    .long 0x4402, 0x6400, 0x2400, 0x4404, 0x4406, 0

guest_read:
    mov al, [rdi]
    mov rax, [rsi + 2]
    vmcall
guest_write:
    mov [rdi], al
    mov rax, [rsi + 2]
    vmcall

# Runs the guest at rax until it exits. Gives its rax, and in r15 the VM-instruction error, 0 if it did run.
enter:
    mov ecx, 0x681e                     # guest RIP
    vmwrite rcx, rax
    lea rax, [rip + exited]
    mov ecx, 0x6c16                     # host RIP
    vmwrite rcx, rax
    push rbx
    push rdx
    push rsi
    push rdi
    push r12
    push r13
    mov ecx, 0x6c14                     # host RSP
    vmwrite rcx, rsp
    xor eax, eax                        # what a store stores; and linear address 0 is not mapped
    test r14d, r14d
    jnz resume
    vmlaunch
    jmp refused
resume:
    vmresume
refused:
    mov ecx, 0x4400                     # VM-instruction error
    vmread r15, rcx
    jmp leave
exited:
    xor r15d, r15d
    mov r14d, 1
leave:
    pop r13
    pop r12
    pop rdi
    pop rsi
    pop rdx
    pop rbx
    ret

# A tag is code, so that a load and a fetch can both find out where a page is: `mov rax, tag | address; int3`.
# rdi: the page.
tag_page:
    mov rax, {TAG_MARK}
    or rax, rdi
    mov word ptr [rdi], 0xb848
    mov [rdi + 2], rax
    mov byte ptr [rdi + 10], 0xcc
    mov word ptr [rdi + {SECOND_TAG}], 0xb848
    mov [rdi + {SECOND_TAG} + 2], rax
    mov byte ptr [rdi + {SECOND_TAG} + 10], 0xcc
    ret

# Sends rax.
emit:
    push rsi
    push rax
    mov rsi, rsp
    mov ecx, 8
    mov edx, 0xe9
    rep outsb
    pop rax
    pop rsi
    ret

    .org tablewright_x86_64_stub + 0xff0
    .code16
    jmp real_mode
    .org tablewright_x86_64_stub + 0x1000
    .code64
    .popsection
