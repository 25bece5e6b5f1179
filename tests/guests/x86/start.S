/*
 * start.S - from either boot protocol to guest_start(): 64-bit Linux entry (RSI = zero page)
 * and, for guests linked with pvh.S, PVH (32-bit, EBX = hvm_start_info).
 *
 * Nothing of the loader's tables is relied on after the first instructions. Page tables are
 * data, filled in by the assembler: an emulated CPU would take its time to do that.
 */
#include "long_mode.inc"

	.section .text.start, "ax"
	.code64
	.globl _start
_start:
	cli
	cld
	movl	$boot_pml4, %eax
	movq	%rax, %cr3
	movl	$stack_top, %esp
	lgdt	gdt_ptr
	pushq	$GDT_CODE64
	pushq	$1f
	lretq
1:	movl	$GDT_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	%rsi, %rdi
	xorl	%esi, %esi
	call	guest_start

	.code32
	.globl pvh_start
pvh_start:
	cli
	cld
	movl	$stack_top, %esp
	ENTER_LONG_MODE pvh64

	.code64
pvh64:
	xorl	%edi, %edi
	movl	%ebx, %esi
	call	guest_start

	.section .rodata
	.balign 8
	.globl gdt_ptr
gdt_ptr:
	.word	gdt_end - gdt - 1
	.long	gdt, 0			/* 64-bit lgdt takes 8 bytes, 32-bit and 16-bit ones 4 */
	.balign 8
	.globl gdt
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* GDT_CODE32: 4 GiB, execute and read, accessed */
	.quad	0x00af9b000000ffff	/* GDT_CODE64: the same with L */
	.quad	0x00cf93000000ffff	/* GDT_DATA: 4 GiB, read and write, accessed */
gdt_end:

#define PTE_PRESENT_RW 0x03
#define PTE_2M	       0x80

	.section .data.page_tables, "aw"
	.balign 4096
	.globl boot_pml4
boot_pml4:
	.quad	boot_pdpt + PTE_PRESENT_RW
	.fill	511, 8, 0
boot_pdpt:
	.quad	boot_pd + PTE_PRESENT_RW
	.quad	boot_pd + 0x1000 + PTE_PRESENT_RW
	.quad	boot_pd + 0x2000 + PTE_PRESENT_RW
	.quad	boot_pd + 0x3000 + PTE_PRESENT_RW
	.quad	window_pd + PTE_PRESENT_RW	/* 4 GiB: WINDOW of lib.c */
	.fill	507, 8, 0
boot_pd:
	.set	i, 0
	.rept	2048
	.quad	(i << 21) + PTE_PRESENT_RW + PTE_2M
	.set	i, i + 1
	.endr
	.globl window_pd
window_pd:
	.fill	512, 8, 0

	.bss
	.balign 16
	.skip	8192
stack_top:

	.section .note.GNU-stack, "", @progbits
