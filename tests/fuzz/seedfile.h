/* seedfile.h - how a seed_NAME program writes its seeds. */
#ifndef LKVM_TESTS_FUZZ_SEEDFILE_H
#define LKVM_TESTS_FUZZ_SEEDFILE_H

#include <stdio.h>

#include "vmm/base.h"

struct seed {
	const char *name;
	const u8 *bytes;
	size_t len;
};

/* clang-format off */
#define SEED(name, ...) \
	{ name, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }) }
/* clang-format on */

/* Write @n seeds into the folder argv[1]. What main() returns. */
static inline int seedfile_write_all(int argc, char **argv, const struct seed *seeds, size_t n)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s DIR\n", argv[0]);
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct seed *s = &seeds[i];
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", argv[1], s->name);
		f = fopen(path, "wb");
		if (!f || fwrite(s->bytes, 1, s->len, f) != s->len || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

#endif
