/*
 * exits.S - a guest that does nothing but exit, in the shape of a bzImage (Linux boot protocol
 * 2.15, Documentation/arch/x86/boot.rst) so that whatever loads Debian's kernel loads it.
 *
 * Its command line says what: "pio N" or "mmio N" does N times EXITS_PER_LOOP reads and then
 * ends the machine with verdict 0; "idle" halts for ever.
 */
#include "tests/bench/x86/exits.h"

#define FIELD(off) .org off, 0

	.text
	FIELD(0x1f1)
	.byte	1			/* setup_sects */
	FIELD(0x1f4)
	.long	(end - code) / 16	/* syssize */
	FIELD(0x1fe)
	.word	0xaa55			/* boot_flag */
	.byte	0xeb, header_end - 0x202 /* jump: its second byte is the end of the header */
	.ascii	"HdrS"
	.word	0x020f			/* version */
	FIELD(0x211)
	.byte	1			/* loadflags: LOADED_HIGH */
	FIELD(0x214)
	.long	0x100000		/* code32_start */
	FIELD(0x22c)
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x200000		/* kernel_alignment */
	.byte	1			/* relocatable_kernel */
	FIELD(0x236)
	.word	1			/* xloadflags: XLF_KERNEL_64 */
	.long	255			/* cmdline_size */
	FIELD(0x258)
	.quad	0x1000000		/* pref_address */
	.long	0x10000			/* init_size */
	FIELD(0x268)
header_end = 0x268

	FIELD(0x400)
code:
	hlt				/* the 32-bit entry, which nobody uses */

	FIELD(0x600)			/* the 64-bit entry; RSI is the zero page */
	.code64
	movl	0x228(%rsi), %esi	/* cmd_line_ptr */
	movb	(%rsi), %bl
	xorl	%ecx, %ecx
1:	lodsb				/* N: the digits after the first blank */
	testb	%al, %al
	jz	3f
	cmpb	$' ', %al
	jne	1b
2:	lodsb
	subb	$'0', %al
	cmpb	$9, %al
	ja	3f
	movzbl	%al, %eax
	leaq	(%rcx, %rcx, 4), %rcx
	leaq	(%rax, %rcx, 2), %rcx
	jmp	2b
3:	testq	%rcx, %rcx
	jz	idle
	cmpb	$'m', %bl
	je	mmio

	movl	$EXITS_PORT, %edx
4:	.rept	EXITS_PER_LOOP
	inb	%dx, %al
	.endr
	decq	%rcx
	jnz	4b
	jmp	done

mmio:	movl	$EXITS_GPA, %edx
5:	.rept	EXITS_PER_LOOP
	movl	(%rdx), %eax
	.endr
	decq	%rcx
	jnz	5b

done:	xorl	%eax, %eax
	outb	%al, $EXITS_END_PORT
idle:	cli
	hlt
	jmp	idle

	.balign	512, 0
end:
