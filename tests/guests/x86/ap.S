/*
 * ap.S - where an application processor goes after its SIPI: from real mode to long mode, to
 * be counted and to sleep. It needs no stack.
 */
#include "long_mode.inc"

#define XAPIC_ID 0xfee00020 /* bits 31 to 24 */

	.section .text.ap, "ax"

/* Copied to page AP_VECTOR; CS is that page, and nothing else here depends on where it is. */
	.code16
	.globl ap_start, ap_end
ap_start:
	cli
	lgdtl	%cs:(ap_gdt_ptr - ap_start)
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$GDT_CODE32, $ap32
	.balign 4
ap_gdt_ptr:
	.word	4 * 8 - 1
	.long	gdt
ap_end:

	.code32
ap32:
	movl	$GDT_DATA, %eax
	movl	%eax, %ds
	ENTER_LONG_MODE ap64

	.code64
ap64:
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx		/* the initial APIC id */
	movl	$XAPIC_ID, %ecx
	movl	(%rcx), %ecx		/* what its local APIC answers to must be the same */
	shrl	$24, %ecx
	cmpl	%ebx, %ecx
	je	2f
	lock incl ap_wrong_id
2:	lock btsl %ebx, ap_seen
	lock incl ap_count
1:	cli
	hlt
	jmp	1b

	.bss
	.balign 4
	.globl ap_count, ap_seen, ap_wrong_id
ap_count:
	.skip	4
ap_wrong_id:
	.skip	4
ap_seen:
	.skip	32

	.section .note.GNU-stack, "", @progbits
