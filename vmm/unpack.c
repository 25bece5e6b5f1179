#include "vmm/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define CHUNK	  (64 * KIB) /* bytes read and written at a time */
#define MAGIC_LEN 4	     /* of the longest */

#define GZIP_WINDOW_BITS (15 + 16) /* any window, gzip's header and checksum (zlib.h) */
/* As much as the levels up to 22 take; a file may ask for more, and all of it is allocated. */
#define ZSTD_WINDOW_LOG	 27

/* zboot-header.S */
#define ZBOOT_MAGIC	  4
#define ZBOOT_OFF	  8
#define ZBOOT_SIZE	  12
#define ZBOOT_COMPRESSION 24
#define ZBOOT_NAME_MAX	  32 /* bytes */
#define ZBOOT_HEADER_LEN  (ZBOOT_COMPRESSION + ZBOOT_NAME_MAX)

enum step { STEP_MORE, STEP_END };

struct unpacker;

/* One compression: streams of it may follow each other, and begin with the magic. */
struct codec {
	const char *name;
	u8 magic[MAGIC_LEN];
	size_t magic_len;
	int (*init)(struct unpacker *u); /* 0 or -ENOMEM */
	/* In from in_buf, out to all of out_buf: a step, or -errno with a message. */
	int (*step)(struct unpacker *u, struct lkvm_error *err);
	void (*fini)(struct unpacker *u);
};

struct unpacker {
	const struct image *in;
	const struct codec *codec;
	u64 off, end; /* of the packed bytes in the file, what has not been read */
	u64 limit;
	int fd;	  /* what is unpacked */
	u64 size; /* bytes in it */

	z_stream gzip;
	ZSTD_DStream *zstd;

	u8 in_buf[CHUNK];
	size_t in_pos, in_len;
	u8 out_buf[CHUNK];
	size_t out_len;
};

static int err_corrupt(const struct unpacker *u, const char *why, struct lkvm_error *err)
{
	return err_input(err, "%s %s is corrupt: its %s-compressed data is damaged (%s)",
			 u->in->what, u->in->path, u->codec->name, why ? why : "bad data");
}

static int err_memory(const struct unpacker *u, struct lkvm_error *err)
{
	return err_host(err, ENOMEM, "%s %s: unpacking", u->in->what, u->in->path);
}

/* ---- gzip ---- */

static int gzip_init(struct unpacker *u)
{
	return inflateInit2(&u->gzip, GZIP_WINDOW_BITS) == Z_OK ? 0 : -ENOMEM;
}

static int gzip_step(struct unpacker *u, struct lkvm_error *err)
{
	z_stream *z = &u->gzip;
	int ret;

	z->next_in = u->in_buf + u->in_pos;
	z->avail_in = (uInt)(u->in_len - u->in_pos);
	z->next_out = u->out_buf;
	z->avail_out = sizeof(u->out_buf);
	ret = inflate(z, Z_NO_FLUSH);
	u->in_pos = u->in_len - z->avail_in;
	u->out_len = sizeof(u->out_buf) - z->avail_out;

	switch (ret) {
	case Z_OK:
	case Z_BUF_ERROR: /* nothing to do: more input is needed */
		return STEP_MORE;
	case Z_STREAM_END:
		inflateReset(z); /* cannot fail: the state is good */
		return STEP_END;
	case Z_MEM_ERROR:
		return err_memory(u, err);
	}
	return err_corrupt(u, z->msg, err);
}

static void gzip_fini(struct unpacker *u)
{
	inflateEnd(&u->gzip);
}

/* Of the methods that the header has room for only 8, deflate, was ever defined (RFC 1952). */
static const struct codec gzip = {
	.name = "gzip",
	.magic = { 0x1f, 0x8b, 8 },
	.magic_len = 3,
	.init = gzip_init,
	.step = gzip_step,
	.fini = gzip_fini,
};

/* ---- zstd ---- */

static int zstd_init(struct unpacker *u)
{
	u->zstd = ZSTD_createDStream();
	if (!u->zstd)
		return -ENOMEM;
	/* cannot fail: the value is within what any build of the library allows */
	ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	return 0;
}

static int zstd_step(struct unpacker *u, struct lkvm_error *err)
{
	ZSTD_inBuffer in = { u->in_buf, u->in_len, u->in_pos };
	ZSTD_outBuffer out = { u->out_buf, sizeof(u->out_buf), 0 };
	size_t ret = ZSTD_decompressStream(u->zstd, &out, &in);

	u->in_pos = in.pos;
	u->out_len = out.pos;
	if (!ZSTD_isError(ret))
		return ret ? STEP_MORE : STEP_END;
	if (ZSTD_getErrorCode(ret) == ZSTD_error_memory_allocation)
		return err_memory(u, err);
	return err_corrupt(u, ZSTD_getErrorName(ret), err);
}

static void zstd_fini(struct unpacker *u)
{
	ZSTD_freeDStream(u->zstd);
}

static const struct codec zstd = {
	.name = "zstd",
	.magic = { 0x28, 0xb5, 0x2f, 0xfd },
	.magic_len = 4,
	.init = zstd_init,
	.step = zstd_step,
	.fini = zstd_fini,
};

/* ---- from file to file ---- */

/* Have at least MAGIC_LEN bytes at hand, unless there are no more. */
static int fill(struct unpacker *u, struct lkvm_error *err)
{
	size_t left = u->in_len - u->in_pos;
	size_t n = min_u64(sizeof(u->in_buf) - left, u->end - u->off);
	int ret;

	if (left >= MAGIC_LEN || !n)
		return 0;
	memmove(u->in_buf, u->in_buf + u->in_pos, left);
	ret = image_read(u->in, u->off, u->in_buf + left, n, err);
	if (ret)
		return ret;
	u->in_pos = 0;
	u->in_len = left + n;
	u->off += n;
	return 0;
}

static int drain(struct unpacker *u, struct lkvm_error *err)
{
	const u8 *p = u->out_buf;

	if (u->out_len > u->limit - u->size)
		return err_input(err,
				 "%s %s unpacks to more than %llu MiB, of --mem or of any kernel",
				 u->in->what, u->in->path, (unsigned long long)(u->limit / MIB));
	u->size += u->out_len;
	while (u->out_len) {
		ssize_t n = write(u->fd, p, u->out_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_host(err, errno, "%s %s: unpacking", u->in->what, u->in->path);
		p += n;
		u->out_len -= (size_t)n;
	}
	return 0;
}

static bool at_stream(const struct unpacker *u)
{
	const struct codec *c = u->codec;

	return u->in_len - u->in_pos >= c->magic_len &&
	       !memcmp(u->in_buf + u->in_pos, c->magic, c->magic_len);
}

/* Each round takes input or gives output, or is the last. */
static int unpack_streams(struct unpacker *u, struct lkvm_error *err)
{
	int ret = fill(u, err);

	while (!ret) {
		size_t from = u->in_pos;
		int step = u->codec->step(u, err);
		bool stuck = u->in_pos == from && !u->out_len;

		if (step < 0)
			return step;
		ret = drain(u, err);
		if (!ret)
			ret = fill(u, err);
		if (ret)
			return ret;
		if (step == STEP_END && !at_stream(u))
			return 0;
		if (step == STEP_MORE && stuck)
			ret = err_input(err,
					"%s %s is truncated: its %s-compressed data has no end",
					u->in->what, u->in->path, u->codec->name);
	}
	return ret;
}

static int unpack_to(struct unpacker *u, struct image *out, struct lkvm_error *err)
{
	int ret = u->codec->init(u);

	if (ret)
		return err_memory(u, err);
	ret = unpack_streams(u, err);
	u->codec->fini(u);
	if (!ret && !u->size)
		ret = err_input(err, "%s %s is empty when unpacked", u->in->what, u->in->path);
	if (ret)
		return ret;
	*out = (struct image){
		.fd = u->fd,
		.size = u->size,
		.what = u->in->what,
		.path = u->in->path,
	};
	return 1;
}

static int unpack(const struct image *in, const struct codec *codec, u64 off, u64 len, u64 limit,
		  struct image *out, struct lkvm_error *err)
{
	struct unpacker *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return err_host(err, ENOMEM, "%s %s: unpacking", in->what, in->path);
	u->in = in;
	u->codec = codec;
	u->off = off;
	u->end = off + len;
	u->limit = limit;
	u->fd = memfd_create("lkvm-unpacked", MFD_CLOEXEC);
	if (u->fd < 0)
		ret = err_host(err, errno, "%s %s: unpacking", in->what, in->path);
	else
		ret = unpack_to(u, out, err);
	if (ret < 0 && u->fd >= 0)
		close(u->fd);
	free(u);
	return ret;
}

/* ---- zboot ---- */

/* Both by the names that Linux gives its ways to call them, and by the plain ones. */
static const struct codec *codec_by_name(const char *name)
{
	if (!strcmp(name, "gzip"))
		return &gzip;
	if (!strcmp(name, "zstd22") || !strcmp(name, "zstd"))
		return &zstd;
	return NULL;
}

static int unpack_zboot(const struct image *in, u64 limit, struct image *out,
			struct lkvm_error *err)
{
	char name[ZBOOT_NAME_MAX + 1] = "";
	const struct codec *codec;
	u8 head[ZBOOT_HEADER_LEN];
	u64 off, len;
	int ret;

	ret = image_read(in, 0, head, sizeof(head), err);
	if (ret)
		return ret;
	memcpy(name, head + ZBOOT_COMPRESSION, ZBOOT_NAME_MAX);
	/* it comes from a file and goes to terminals */
	for (char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			*p = '?';
	codec = codec_by_name(name);
	if (!codec)
		return err_input(err,
				 "%s %s is an EFI zboot file compressed by '%s'; gzip and zstd can "
				 "be unpacked",
				 in->what, in->path, name);
	off = get_le32(head + ZBOOT_OFF);
	len = get_le32(head + ZBOOT_SIZE);
	if (!range_fits(off, len, in->size))
		return err_input(
			err,
			"%s %s is truncated: it has %llu bytes, its zboot header promises %llu",
			in->what, in->path, (unsigned long long)in->size,
			(unsigned long long)(off + len));
	return unpack(in, codec, off, len, limit, out, err);
}

int unpack_image(const struct image *in, u64 limit, struct image *out, struct lkvm_error *err)
{
	u8 head[ZBOOT_OFF] = { 0 };
	int ret;

	*out = (struct image)IMAGE_NONE;
	ret = image_read(in, 0, head, min_u64(in->size, sizeof(head)), err);
	if (ret)
		return ret;
	if (!memcmp(head, gzip.magic, gzip.magic_len))
		return unpack(in, &gzip, 0, in->size, limit, out, err);
	if (!memcmp(head, "MZ", 2) && !memcmp(head + ZBOOT_MAGIC, "zimg", 4))
		return unpack_zboot(in, limit, out, err);
	return 0;
}
