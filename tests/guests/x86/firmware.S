/*
 * firmware.S - the least that is firmware: 64 KiB that end at 4 GiB and are entered at the reset
 * vector. It says on the serial port what it finds, keeps a byte in flash memory, and powers off.
 *
 * The flash memory, if there is any, is the page below.
 */
#define BASE	 0xffff0000
#define FLASH	 (BASE - 0x1000)
#define KEPT	 0x4b
#define COM1	 0x3f8
#define FW_CFG	 0x510
#define PM_CNT	 0x604
#define POWEROFF 0x2000

	.text
	.code32
start32:
	mov	$0x10, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	$hello, %esi
	call	print

	/* fw_cfg: item 0 is the signature */
	mov	$FW_CFG, %dx
	xor	%eax, %eax
	out	%ax, %dx
	inc	%dx
	mov	$4, %ecx
1:	in	%dx, %al
	call	putc
	loop	1b
	mov	$newline, %esi
	call	print

	/* what is code cannot be written */
	movb	$0, BASE + 0x8000
	cmpb	$0x90, BASE + 0x8000
	mov	$writable, %esi
	jne	say

	/* flash memory reads 0 once its status is cleared and asked for */
	mov	$none, %esi
	movb	$0x50, FLASH
	movb	$0x70, FLASH
	cmpb	$0, FLASH
	jne	say
	movb	$0xff, FLASH
	mov	$kept, %esi
	cmpb	$KEPT, FLASH
	je	say
	mov	$first, %esi
	movb	$0x20, FLASH
	movb	$0xd0, FLASH
	movb	$0x10, FLASH
	movb	$KEPT, FLASH
	movb	$0xff, FLASH
	cmpb	$KEPT, FLASH
	je	say
	mov	$lost, %esi
say:
	call	print
	mov	$PM_CNT, %dx
	mov	$POWEROFF, %ax
	out	%ax, %dx
2:	hlt
	jmp	2b

print:
	lodsb
	test	%al, %al
	jz	3f
	call	putc
	jmp	print
3:	ret

putc:
	push	%edx
	mov	$COM1, %dx
	out	%al, %dx
	pop	%edx
	ret

hello:	 .asciz "firmware: entered\nfirmware: fw_cfg "
newline: .asciz "\n"
writable: .asciz "firmware: the code can be written\n"
none:	 .asciz "firmware: no flash\n"
first:	 .asciz "firmware: first boot\n"
kept:	 .asciz "firmware: kept\n"
lost:	 .asciz "firmware: what was written is not there\n"

	.balign 8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff /* code */
	.quad	0x00cf93000000ffff /* data */
gdt_end:
gdt_ptr:
	.word	gdt_end - gdt - 1
	.long	gdt

	/* CS has BASE, so offsets in it are those from there; the GDT is named by its address */
	.code16
start16:
	cli
	lgdtl	%cs:(gdt_ptr - start32)
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$8, $start32

	.org	0xfff0, 0x90
	jmp	start16
	.org	0x10000, 0x90

	.section .note.GNU-stack, "", @progbits
