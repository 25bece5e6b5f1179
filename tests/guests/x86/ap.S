/*
 * ap.S - where an application processor goes after its SIPI: from real mode to long mode, to
 * be counted and to sleep. It needs no stack.
 */
#include "long_mode.inc"

#define XAPIC_ID 0xfee00020 /* bits 31 to 24 */

#define MSR_APIC_BASE	 0x1b
#define APIC_BASE_X2APIC 0x400
#define MSR_X2APIC_ID	 0x802

#define AP_MAX_APICID 8191 /* as in guest.h */

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
	shrl	$24, %ebx		/* the initial APIC id, 8 bits of it */
	movl	%ebx, %esi
	movl	$0xb, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%edx, %edi		/* all of it */
	movzbl	%dl, %ecx
	cmpl	%ecx, %esi
	jne	1f
	movl	$MSR_APIC_BASE, %ecx
	rdmsr
	testl	$APIC_BASE_X2APIC, %eax
	jz	3f
	movl	$MSR_X2APIC_ID, %ecx	/* what its local APIC answers to must be the same */
	rdmsr
	cmpl	%edi, %eax
	jmp	4f
3:	movl	$XAPIC_ID, %eax
	movl	(%rax), %eax
	shrl	$24, %eax
	cmpl	%esi, %eax
4:	jne	1f
	cmpl	$AP_MAX_APICID, %edi
	jbe	2f
1:	lock incl ap_wrong_id
	xorl	%edi, %edi
2:	lock btsl %edi, ap_seen
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
	.skip	(AP_MAX_APICID + 1) / 8

	.section .note.GNU-stack, "", @progbits
