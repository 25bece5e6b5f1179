/*
 * A main() for fuzz targets where there is no libFuzzer: runs each file named, and
 * each file in each folder named, once. Fails when there was none.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long n_inputs;

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data;
	size_t size;

	if (!f || fstat(fileno(f), &st)) {
		perror(path);
		exit(1);
	}
	data = malloc((size_t)st.st_size + 1);
	if (!data) {
		perror("malloc");
		exit(1);
	}
	size = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	n_inputs++;
}

static void replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir) {
		replay_file(path);
		return;
	}
	while ((e = readdir(dir))) {
		char name[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		replay_file(name);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%lu inputs replayed\n", n_inputs);
	return n_inputs ? 0 : 1;
}
