/* pvh.S - the note that makes an ELF file a PVH kernel (Xen: docs/misc/pvh.pandoc, elfnote.h). */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

	.section .note.Xen, "a", @note
	.balign 4
	.long	2f - 1f
	.long	4f - 3f
	.long	XEN_ELFNOTE_PHYS32_ENTRY
1:	.asciz	"Xen"
2:	.balign 4
3:	.long	pvh_start
4:	.balign 4

	.section .note.GNU-stack, "", @progbits
