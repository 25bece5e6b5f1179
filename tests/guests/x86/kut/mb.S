/*
 * mb.S - the beginning of an image as kvm-unit-tests' are: a Multiboot header, and a 32-bit entry
 * (EAX = magic, EBX = information) that goes on to long mode and kut_start().
 */
#include "../long_mode.inc"

#define MB_MAGIC 0x1badb002
#define MB_FLAGS 3	/* modules on pages, memory information */

	.section .text.start, "ax"
	.balign 4
	.long	MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	.code32
	.globl mb_start
mb_start:
	cli
	cld
	movl	$mb_stack_top, %esp
	movl	%eax, %esi
	ENTER_LONG_MODE mb_start64

	.code64
mb_start64:
	movl	%esi, %edi
	movl	%ebx, %esi
	call	kut_start

	.bss
	.balign 16
	.skip	8192
mb_stack_top:

	.section .note.GNU-stack, "", @progbits
