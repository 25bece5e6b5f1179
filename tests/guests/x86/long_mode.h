/* long_mode.h - from 32-bit protected mode to long mode: start.S and ap.S. */
#ifndef LKVM_TESTS_GUESTS_LONG_MODE_H
#define LKVM_TESTS_GUESTS_LONG_MODE_H

/* CODE64 and DATA where the Linux boot protocol wants them. */
#define GDT_CODE32 0x08
#define GDT_CODE64 0x10
#define GDT_DATA   0x18

#define CR0_PE	 0x00000001
#define CR0_PG	 0x80000000
#define CR4_PAE	 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

/* Paging is off; clobbers EAX, ECX, EDX. */
.macro ENTER_LONG_MODE target
	lgdt	gdt_ptr
	movl	$GDT_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	movl	%eax, %cr0
	ljmp	$GDT_CODE64, $\target
.endm

#endif
