/*
 * exits.h - what the guest of the exit benchmark and the programs under it agree on. Macros only:
 * exits.S reads it too.
 */
#ifndef LKVM_TESTS_BENCH_X86_EXITS_H
#define LKVM_TESTS_BENCH_X86_EXITS_H

#define EXITS_PORT     0xe4	  /* answered by nobody but the benchmark's own device */
#define EXITS_GPA      0xd0000000 /* likewise; below 4 GiB, outside RAM */
#define EXITS_END_PORT 0xf4	  /* a write there is the end */
#define EXITS_PER_LOOP 64	  /* so that the loop itself does not count */

#endif
