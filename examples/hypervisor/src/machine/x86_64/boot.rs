//! From the reset vector to 64-bit code in RAM.

use core::arch::global_asm;

// The linker puts `.vector` where execution begins and `.reset` into the page that ends there, both in ROM.
global_asm!(
    "
    .section .vector, \"ax\"
    .code16
    jmp     reset
    .balign 16                              // to 4 GiB: the end of the image

    .section .reset, \"ax\"
    .global reset
reset:                                      // CS begins at 0xffff0000, and this page 0xf000 after it
    lgdtl   %cs:0xf000 + gdt_pointer - reset
    movl    $0x11, %eax                     // ET, PE
    movl    %eax, %cr0
    ljmpl   $0x08, $protected
    .code32
protected:
    movl    $0x10, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movl    $0xfff00000, %esi               // the ROM but for this page
    movl    $0x100000, %edi
    movl    $0xff000 / 4, %ecx
    rep movsl
    movl    $0x20, %eax                     // PAE
    movl    %eax, %cr4
    movl    $tables, %eax
    movl    %eax, %cr3
    movl    $0xc0000080, %ecx               // EFER
    movl    $0x100, %eax                    // LME
    xorl    %edx, %edx
    wrmsr
    movl    $0x80010031, %eax               // PG, WP, NE, ET, PE
    movl    %eax, %cr0
    ljmpl   $0x18, $start

    .balign 8
gdt:
    .quad   0
    .quad   0x00cf9b000000ffff              // 08: 32-bit code
    .quad   0x00cf93000000ffff              // 10: data
    .quad   0x00af9b000000ffff              // 18: 64-bit code
gdt_pointer:
    .word   gdt_pointer - gdt - 1
    .long   gdt

    .section .boot, \"ax\"
    .code64
start:
    leaq    __stack_top(%rip), %rsp
    leaq    __bss(%rip), %rdi
    leaq    __bss_end(%rip), %rcx
    subq    %rdi, %rcx
    xorl    %eax, %eax
    rep stosb
    call    {main}

    .section .tables, \"a\"                 // the lowest 4 GiB, one to one, in blocks of 1 GiB
    .balign 0x1000
tables:
    .quad   gigabytes + 3
    .fill   511, 8, 0
gigabytes:
    .quad   0x83, 0x40000083, 0x80000083, 0xc0000083
    .fill   508, 8, 0
    ",
    main = sym super::main,
    options(att_syntax)
);
