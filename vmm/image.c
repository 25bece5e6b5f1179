#include "vmm/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFSOCK:
		return "a socket";
	}
	return "not a regular file";
}

int image_open(struct image *img, const char *what, const char *path, struct lkvm_error *err)
{
	struct stat st;
	int ret;

	*img = (struct image)IMAGE_NONE;
	img->what = what;
	img->path = path;
	if (!*path)
		return 0;

	/* NONBLOCK: opening a pipe that nobody writes to must not wait for a writer. */
	img->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (img->fd < 0) {
		/* the host's trouble, not the file's */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			return err_host(err, errno, "Fatal: Unable to open %s %s", what, path);
		return err_input(err, "Fatal: Unable to open %s %s (%s)", what, path,
				 err_text(errno));
	}

	if (fstat(img->fd, &st) < 0)
		ret = err_host(err, errno, "%s %s: fstat", what, path);
	else if (!S_ISREG(st.st_mode))
		ret = err_input(err, "%s %s is %s; a regular file is needed", what, path,
				file_kind(st.st_mode));
	else if (!st.st_size)
		ret = err_input(err, "%s %s is empty", what, path);
	else
		ret = 0;

	if (ret)
		image_close(img);
	else
		img->size = (u64)st.st_size;
	return ret;
}

void image_close(struct image *img)
{
	if (img->fd >= 0)
		close(img->fd);
	img->fd = -1;
	img->size = 0;
}

int image_read(const struct image *img, u64 off, void *buf, size_t len, struct lkvm_error *err)
{
	u8 *p = buf;

	while (len && off <= INT64_MAX) {
		ssize_t n = pread(img->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_host(err, errno, "%s %s: read", img->what, img->path);
		if (!n)
			break;
		p += n;
		off += (u64)n;
		len -= (size_t)n;
	}
	if (len)
		return err_input(err, "%s %s is truncated: it ends before byte %llu", img->what,
				 img->path, (unsigned long long)off + len);
	return 0;
}
