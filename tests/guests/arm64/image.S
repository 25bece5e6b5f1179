/*
 * image.S - for guests linked with it: the header that makes a flat file an arm64 Image
 * (Documentation/arch/arm64/booting.rst).
 */
	.section .text.image, "ax"
	b	_start
	.word	0
	.quad	0		/* text_offset: at the start of RAM, where it is linked */
	.quad	image_size
	.quad	0x2		/* flags: little endian, 4 KiB pages */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

	.section .note.GNU-stack, "", %progbits
