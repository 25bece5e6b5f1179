/* exits.h - what the guest of the exit benchmark and the programs under it agree on. */
#ifndef LKVM_TESTS_BENCH_ARM64_EXITS_H
#define LKVM_TESTS_BENCH_ARM64_EXITS_H

#define EXITS_GPA      0x10000000 /* answered by nobody but the benchmark's own device */
#define EXITS_END_GPA  0x01050000 /* a write there is the end: debug-exit */
#define EXITS_PER_LOOP 64	  /* so that the loop itself does not count */

#endif
