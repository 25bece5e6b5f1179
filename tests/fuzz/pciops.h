/*
 * pciops.h - the language of fuzz_pci.c. First a byte: with bit 0 the device in slot 2 is a
 * console, with bit 1 the bridge is a Q35's. Then codes with their arguments, each a byte unless
 * said otherwise. Functions are numbered from 0, though their slots are 1 to 3; sizes are
 * 1 << (byte & 3).
 */
#ifndef LKVM_TESTS_FUZZ_PCIOPS_H
#define LKVM_TESTS_FUZZ_PCIOPS_H

enum pciop {
	PCIOP_ECAM_READ,  /* slot (0: the bridge), size, u16 offset */
	PCIOP_ECAM_WRITE, /* the same, u16 offset, u32 value */
	PCIOP_PORT_READ,  /* port, size */
	PCIOP_PORT_WRITE, /* port, size, u32 value */
	PCIOP_BAR_READ,	  /* slot, bar, size, u16 offset */
	PCIOP_BAR_WRITE,  /* slot, bar, size, u16 offset, u32 value */
	PCIOP_MOVE,	  /* slot, bar, page: of the window and a bit beyond */
	PCIOP_COMMAND,	  /* slot, value: bits 1 and 2, INTx Disable from bit 7 */
	PCIOP_START,	  /* slot, flags: 1 with messages, 2 no DRIVER_OK */
	PCIOP_REQUEST,	  /* slot, queue */
	PCIOP_MESSAGE,	  /* slot, vector, data */
	PCIOP_WINDOW,	  /* slot, bar, length, flags: 1 write, u16 offset, u32 value */
	PCIOP_DEVICE,	  /* what: see device_acts() */
	PCIOP_HOST,	  /* bits: 1 doorbells fail, 2 messages fail, 4 requests take their time */
	PCIOP_RUN,	  /* the loop; a request that takes its time ends */
	PCIOP_MSIX,	  /* slot, flags: bits 14 and 15 of message control from bits 6 and 7 */
	PCIOP_REGISTER,	  /* slot, offset in the common configuration, size, u16 value */
	PCIOP_PCIEXBAR,	  /* value: its bits 31 to 28 and 0 */
	PCIOP_N
};

#endif
