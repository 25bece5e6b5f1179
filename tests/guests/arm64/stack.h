/* stack.h - how much room each CPU's stack has; macros only, start.S reads it too. */
#ifndef LKVM_TESTS_GUESTS_ARM64_STACK_H
#define LKVM_TESTS_GUESTS_ARM64_STACK_H

#define MAX_CPUS    256
#define STACK_SHIFT 11 /* 2 KiB */

#endif
