/*
 * low.S - an image of 32-bit code at 32 KiB, where tests of real mode are: says in its verdict
 * whether it was entered as Multiboot says. 0: yes.
 */
#define MB_MAGIC 0x1badb002
#define MB_EAX	 0x2badb002

#define INFO_FLAGS 0	/* bits 0 (memory), 2 (command line), 6 (memory map) */
#define INFO_WANT  0x45

	.text
	.code32
	.long	MB_MAGIC, 0, -MB_MAGIC

	.globl _start
_start:
	movl	$1, %ecx
	cmpl	$MB_EAX, %eax
	jne	1f
	incl	%ecx
	movl	INFO_FLAGS(%ebx), %eax
	andl	$INFO_WANT, %eax
	cmpl	$INFO_WANT, %eax
	jne	1f
	incl	%ecx
	cmpl	$0x12345678, marker	/* data came along, too */
	jne	1f
	xorl	%ecx, %ecx
1:	movl	%ecx, %eax
	outl	%eax, $0xf4
2:	hlt
	jmp	2b

	.data
	.balign 4
marker:
	.long	0x12345678

	.section .note.GNU-stack, "", @progbits
