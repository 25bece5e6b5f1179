/*
 * panic_scan.h - find Linux's panic messages in console output as it passes (layer 0).
 *
 * A text counts where printk puts one: at the start of a line, or after printk's own
 * prefix ("<0>", "[    1.234567]", "[    T1]"). A time stamp is taken in the middle of a
 * line as well, since a panic interrupts whatever a prompt or a program was printing;
 * other words before the text, as in a command that a user types, make it not count. What
 * a guest prints as a line of its own cannot be told from the kernel's.
 */
#ifndef LKVM_VMM_PANIC_SCAN_H
#define LKVM_VMM_PANIC_SCAN_H

#include "vmm/base.h"

/* The first and the last line of Linux's panic(). */
enum panic_text { PANIC_LINE, PANIC_END, N_PANIC_TEXTS };

#define PANIC_REASON_MAX 128 /* bytes, with the final NUL */

/* Zero-initialised at the start of the output; how it was cut into pieces does not matter. */
struct panic_scan {
	enum { SCAN_HEAD, SCAN_LEVEL, SCAN_STAMP, SCAN_TEXT, SCAN_REST } state;
	bool need_dot; /* SCAN_STAMP: "[1]" is no time stamp */
	u8 text, pos;  /* SCAN_TEXT */

	/* A PANIC_LINE was seen, and its rest, printable and terminated: what the kernel died of.
	 */
	bool seen, in_reason;
	u8 n_reason;
	char reason[PANIC_REASON_MAX];
};

/* The texts that are complete with these bytes: BIT(PANIC_LINE), BIT(PANIC_END), or none. */
u32 panic_scan(struct panic_scan *scan, const u8 *data, size_t len);

#endif
