/* result.h - from causes to words and exit statuses (layer 2). */
#ifndef LKVM_VMM_RESULT_H
#define LKVM_VMM_RESULT_H

#include <lkvm.h>

#include "vmm/base.h"

/* The table of lkvm(1): what `lkvm run` ends with. */
int result_exit_status(enum lkvm_cause cause, u64 verdict);

/* Causes after which registers and last exits are kept. */
bool result_wants_post_mortem(enum lkvm_cause cause);

#endif
