/* state.h - what the guest state.c and its test have in common. */
#ifndef LKVM_TESTS_GUESTS_STATE_H
#define LKVM_TESTS_GUESTS_STATE_H

#include "vmm/base.h"

#define STATE_GPA 0x5000 /* a page of conventional memory that nothing else uses */

struct state_page {
	u64 orders; /* the test's: STATE_ORDER_* */
	u64 rounds; /* the guest's from here on */
	u64 timer;  /* how often the local APIC's timer rang */
	u64 pit;
	u64 tsc;
	u64 masked; /* interrupts are off, as ordered */
	u64 bad;    /* STATE_BAD_*: something was not kept */
};

#define STATE_ORDER_MASK   1 /* keep interrupts off */
#define STATE_ORDER_FINISH 2

enum {
	STATE_FINE = 42,
	STATE_BAD_XMM = 2,
	STATE_BAD_DR,
	STATE_BAD_MSR,
	STATE_BAD_TSC,
	STATE_BAD_SVM, /* its own guest ended */
};

/* svm=: it is a hypervisor, and interrupts are kept off... */
enum {
	STATE_SVM_NONE,
	STATE_SVM_GUEST,
	/* ...while its guest runs, */ STATE_SVM_GIF /* ...by GIF */
};

#endif
