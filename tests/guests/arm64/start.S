/*
 * start.S - from the boot protocol (x0 = device tree, MMU off, any EL of 1 and 2) to
 * guest_start(), from PSCI CPU_ON to secondary_main(), and from interrupts to guest_irq().
 */
#include "tests/guests/arm64/stack.h"

#define CURRENT_EL2	(2 << 2)
#define HCR_EL2_IRQS	(7 << 3)	/* FMO, IMO, AMO: interrupts come to EL2 */
#define HCR_EL2_E2H	(1 << 34)
#define ID_AA64MMFR4_EL1 S3_0_C0_C7_4
#define MMFR4_E2H0_SHIFT 24

/* Vectors, and at EL2 that interrupts come here. Where VHE cannot be left it must be said. */
.macro	SET_UP tmp, tmp2
	msr	daifset, #0xf
	adr	\tmp2, vectors
	mrs	\tmp, CurrentEL
	cmp	\tmp, #CURRENT_EL2
	b.eq	2f
	msr	vbar_el1, \tmp2
	b	3f
2:	msr	vbar_el2, \tmp2
	mrs	\tmp, hcr_el2
	orr	\tmp, \tmp, #HCR_EL2_IRQS
	mrs	\tmp2, ID_AA64MMFR4_EL1
	sbfx	\tmp2, \tmp2, #MMFR4_E2H0_SHIFT, #4
	tbz	\tmp2, #63, 1f
	orr	\tmp, \tmp, #HCR_EL2_E2H
1:	msr	hcr_el2, \tmp
3:	isb
.endm

	.section .text.start, "ax"
	.globl	_start
_start:
	SET_UP	x1, x2
	adrp	x1, stacks
	add	x1, x1, #:lo12:stacks
	add	sp, x1, #(1 << STACK_SHIFT)
	/* A machine that is reset keeps its memory. */
	adrp	x1, bss_start
	add	x1, x1, #:lo12:bss_start
	adrp	x2, bss_end
	add	x2, x2, #:lo12:bss_end
4:	cmp	x1, x2
	b.hs	5f
	str	xzr, [x1], #8
	b	4b
5:	bl	guest_start

	.globl	secondary_start
secondary_start:
	SET_UP	x1, x2
	adrp	x1, stacks
	add	x1, x1, #:lo12:stacks
	add	x2, x0, #1
	lsl	x2, x2, #STACK_SHIFT
	add	sp, x1, x2
	.weak	secondary_main		/* most guests start no other processor */
	bl	secondary_main
6:	wfi
	b	6b

/* Only what the C code of a handler may change; there is no interrupt within one. */
.macro	CALL_IRQ
	sub	sp, sp, #176
	stp	x0, x1, [sp]
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x29, [sp, #144]
	str	x30, [sp, #160]
	bl	guest_irq
	ldp	x0, x1, [sp]
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x29, [sp, #144]
	ldr	x30, [sp, #160]
	add	sp, sp, #176
	eret
.endm

.macro	VECTOR target
	.balign	0x80
	b	\target
.endm

.macro	UNEXPECTED n
	.balign	0x80
	mov	x0, #\n
	b	unexpected
.endm

	.text
	.balign	0x800
vectors:
	UNEXPECTED 0
	UNEXPECTED 1
	UNEXPECTED 2
	UNEXPECTED 3
	UNEXPECTED 4		/* of our own EL: synchronous */
	VECTOR	irq		/* IRQ */
	UNEXPECTED 6
	UNEXPECTED 7		/* SError */
	UNEXPECTED 8
	UNEXPECTED 9
	UNEXPECTED 10
	UNEXPECTED 11
	UNEXPECTED 12
	UNEXPECTED 13
	UNEXPECTED 14
	UNEXPECTED 15

irq:	CALL_IRQ

unexpected:
	mrs	x1, CurrentEL
	cmp	x1, #CURRENT_EL2
	b.eq	7f
	mrs	x1, esr_el1
	mrs	x2, elr_el1
	mrs	x3, far_el1
	b	guest_exception
7:	mrs	x1, esr_el2
	mrs	x2, elr_el2
	mrs	x3, far_el2
	b	guest_exception

/* u64 firmware_hvc(function, a1, a2, a3), firmware_smc() */
	.globl	firmware_hvc, firmware_smc
firmware_hvc:
	hvc	#0
	ret
firmware_smc:
	smc	#0
	ret

	.section .stacks, "aw", %nobits
	.balign	16
stacks:	.skip	MAX_CPUS << STACK_SHIFT

	.section .note.GNU-stack, "", %progbits
