#include "vmm/disk.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmm/sysfile.h"

/* How messages begin; a path of any length leaves room for the reason. */
#define DISK		"%s %.380s: "
#define DISK_ARGS(disk) (disk)->option, (disk)->path

static const char flash_option[] = "--flash";

/* What a message adds where ,ro can be said. */
static const char *ro_hint(const struct disk *disk, const char *hint)
{
	return disk->option == flash_option ? "" : hint;
}

/* The largest block of a regular file that guests are told of: what they align to gladly. */
#define FILE_BLOCK_MAX 4096

/* ---- who holds the lock --------------------------------------------------------------- */

/* Entries of /proc looked at in all, so that a host with very many cannot delay a message. */
#define HOLDER_MAX_FILES 100000

#define HOLDER_NAME_MAX 64

/*
 * True when the descriptor @fd of process @pid has an open file description lock on the file of
 * @st. The line has the number of the device as the file system knows it, which is not always
 * stat()'s, so that is asked for apart (and only then: it may wait for a server).
 */
static bool holds_lock(const char *pid, const char *fd, const struct stat *st)
{
	char path[64], info[4096], ino[32];
	const char *line;
	struct stat other;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd);
	sysfile_read(path, info, sizeof(info));
	line = strstr(info, "OFDLCK");
	snprintf(ino, sizeof(ino), ":%llu ", (unsigned long long)st->st_ino);
	if (!line || !strstr(line, ino))
		return false;
	snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, fd);
	return !stat(path, &other) && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

static bool process_holds_lock(const char *pid, const struct stat *st, unsigned int *budget)
{
	char path[64];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && *budget && (e = readdir(dir))) {
		--*budget;
		found = isdigit((unsigned char)e->d_name[0]) && holds_lock(pid, e->d_name, st);
	}
	closedir(dir);
	return found;
}

/* Who holds the lock; the name is "name (pid N)". */
enum holder {
	HOLDER_UNKNOWN,
	HOLDER_OTHER,
	HOLDER_SELF,
};

/* "name (pid N)". The name is whatever that process calls itself. */
static void name_process(const char *pid, char *name)
{
	char path[64], comm[32];

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	sysfile_read(path, comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	for (char *p = comm; *p; p++) {
		if (!isprint((unsigned char)*p))
			*p = '?';
	}
	snprintf(name, HOLDER_NAME_MAX, "%s (pid %.16s)", *comm ? comm : "a process", pid);
}

/* Processes of others are seen by root only, and none where /proc is not mounted. */
static enum holder find_holder(const struct stat *st, char *name)
{
	unsigned int budget = HOLDER_MAX_FILES;
	DIR *proc = opendir("/proc");
	enum holder holder = HOLDER_UNKNOWN;
	bool found = false;
	struct dirent *e;

	while (proc && !found && budget && (e = readdir(proc))) {
		budget--;
		found = isdigit((unsigned char)e->d_name[0]) &&
			process_holds_lock(e->d_name, st, &budget);
		if (found)
			name_process(e->d_name, name);
	}
	if (found && strtol(e->d_name, NULL, 10) == getpid())
		holder = HOLDER_SELF;
	else if (found)
		holder = HOLDER_OTHER;
	if (proc)
		closedir(proc);
	return holder;
}

/* @role: who has it in the way; @unnamed: what is said if no process is seen to. */
static int refuse_held(const struct disk *disk, const struct stat *st, const char *role,
		       const char *unnamed, struct lkvm_error *err)
{
	char name[HOLDER_NAME_MAX];

	switch (find_holder(st, name)) {
	case HOLDER_SELF:
		return err_input(err, DISK "is given twice, or to two machines of %s%s",
				 DISK_ARGS(disk), name, ro_hint(disk, "; only with ,ro each time"));
	case HOLDER_OTHER:
		return err_input(err, DISK "is in use by %s: %s", DISK_ARGS(disk), role, name);
	case HOLDER_UNKNOWN:
		break;
	}
	return err_input(err, DISK "is in use by %s", DISK_ARGS(disk), unnamed);
}

static int lock(const struct disk *disk, const struct stat *st, struct lkvm_error *err)
{
	struct flock fl = {
		.l_type = disk->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	const char *role;
	int code;

	if (!fcntl(disk->fd, F_OFD_SETLK, &fl))
		return 0;
	code = errno;
	if (code != EAGAIN && code != EACCES)
		return err_host(err, code, DISK "cannot be locked", DISK_ARGS(disk));
	fcntl(disk->fd, F_OFD_GETLK, &fl);
	role = fl.l_type == F_RDLCK ? "a reader" : "another writer";
	return refuse_held(disk, st, role, role, err);
}

/* ---- opening -------------------------------------------------------------------------- */

static int check_kind(const struct disk *disk, const struct stat *st, struct lkvm_error *err)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return err_input(err, DISK "is neither a regular file nor a block device", DISK_ARGS(disk));
}

static int refuse_open(const struct disk *disk, const struct lkvm_disk *cfg, const struct stat *st,
		       int code, struct lkvm_error *err)
{
	switch (code) {
	case EMFILE:
	case ENFILE:
	case ENOMEM: /* the host's trouble, not the file's */
		return err_host(err, code, DISK "cannot be opened", DISK_ARGS(disk));
	case EBUSY:
		return refuse_held(disk, st, "another writer",
				   "this host: mounted, or part of another device", err);
	case EINVAL:
		if (!cfg->direct)
			break;
		return err_input(err, DISK "direct: its file system has no O_DIRECT",
				 DISK_ARGS(disk));
	case EACCES:
	case EPERM:
	case EROFS:
	case ETXTBSY:
		if (disk->readonly || access(disk->path, R_OK))
			break;
		return err_input(err, DISK "cannot be written (%s)%s", DISK_ARGS(disk),
				 err_text(code), ro_hint(disk, "; add ,ro to only read it"));
	}
	return err_input(err, DISK "cannot be opened (%s)", DISK_ARGS(disk), err_text(code));
}

static int open_file(struct disk *disk, const struct lkvm_disk *cfg, struct stat *st,
		     struct lkvm_error *err)
{
	int flags = cfg->readonly ? O_RDONLY : O_RDWR;
	int ret;

	/* Asked before opening, which for some devices is an act. */
	if (stat(disk->path, st))
		return err_input(err, DISK "cannot be opened (%s)", DISK_ARGS(disk),
				 err_text(errno));
	ret = check_kind(disk, st, err);
	if (ret)
		return ret;

	/* Block devices: not what the host has mounted. NONBLOCK: should it be a pipe by now. */
	if (S_ISBLK(st->st_mode) && !cfg->readonly)
		flags |= O_EXCL;
	if (cfg->direct)
		flags |= O_DIRECT;
	disk->fd = open(disk->path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (disk->fd < 0)
		return refuse_open(disk, cfg, st, errno, err);
	if (fstat(disk->fd, st))
		return err_host(err, errno, DISK "fstat", DISK_ARGS(disk));
	ret = check_kind(disk, st, err);
	if (ret)
		return ret;
	/* Requests are to wait for the device where they have to. */
	if (fcntl(disk->fd, F_SETFL, flags & O_DIRECT))
		return err_host(err, errno, DISK "F_SETFL", DISK_ARGS(disk));
	return 0;
}

/* ---- what it is like ------------------------------------------------------------------ */

static bool is_power_of_2(u64 v)
{
	return v && !(v & (v - 1));
}

/* A number that the kernel tells of the block device of @st, or of the disk it is a partition of.
 */
static u64 queue_limit(const struct stat *st, const char *name, u64 otherwise)
{
	static const char *const where[] = { "", "/.." };
	char path[128], text[32];

	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s/queue/%s", major(st->st_rdev),
			 minor(st->st_rdev), where[i], name);
		sysfile_read(path, text, sizeof(text));
		if (*text)
			return strtoull(text, NULL, 10);
	}
	return otherwise;
}

static int measure_device(struct disk *disk, const struct stat *st, struct lkvm_error *err)
{
	unsigned int physical;
	int logical;

	if (ioctl(disk->fd, BLKGETSIZE64, &disk->size) || ioctl(disk->fd, BLKSSZGET, &logical) ||
	    ioctl(disk->fd, BLKPBSZGET, &physical))
		return err_host(err, errno, DISK "its size", DISK_ARGS(disk));
	disk->block_size = (u32)logical;
	disk->physical_size = physical;
	disk->discard_align = (u32)min_u64(queue_limit(st, "discard_granularity", 0), GIB);
	return 0;
}

/*
 * What O_DIRECT on a regular file wants offsets, lengths and memory to be multiples of. 0: it
 * cannot be. A kernel or file system that does not tell is tried with a read.
 */
static u32 direct_align(const struct disk *disk)
{
	struct statx stx;
	u32 align = 4096;
	u8 *buf;

	if (!statx(disk->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) &&
	    (stx.stx_mask & STATX_DIOALIGN)) {
		if (!stx.stx_dio_offset_align)
			return 0;
		return (u32)max_u64(stx.stx_dio_offset_align, stx.stx_dio_mem_align);
	}
	buf = aligned_alloc(4096, 4096);
	/* Not at the start of a page: memory is as aligned as guests have theirs. */
	if (buf && pread(disk->fd, buf + DISK_SECTOR, DISK_SECTOR, 0) >= 0)
		align = DISK_SECTOR;
	free(buf);
	return align;
}

static int measure_file(struct disk *disk, const struct lkvm_disk *cfg, const struct stat *st,
			struct lkvm_error *err)
{
	u32 align = cfg->direct ? direct_align(disk) : DISK_SECTOR;

	if (!align)
		return err_input(err, DISK "direct: its file system has no O_DIRECT for it",
				 DISK_ARGS(disk));
	disk->size = (u64)st->st_size;
	disk->block_size = (u32)max_u64(align, DISK_SECTOR);
	disk->physical_size = (u32)min_u64((u64)st->st_blksize, FILE_BLOCK_MAX);
	disk->discard_align = disk->physical_size;
	return 0;
}

static int measure(struct disk *disk, const struct lkvm_disk *cfg, u32 unit, const struct stat *st,
		   struct lkvm_error *err)
{
	u32 multiple;
	int ret = S_ISBLK(st->st_mode) ? measure_device(disk, st, err)
				       : measure_file(disk, cfg, st, err);

	if (ret)
		return ret;
	if (!disk->size)
		return err_input(err, DISK "is empty", DISK_ARGS(disk));
	multiple = (u32)max_u64(disk->block_size, unit);
	if (disk->size % multiple)
		return err_input(err, DISK "size %llu is not a multiple of %u", DISK_ARGS(disk),
				 (unsigned long long)disk->size, multiple);
	if (!is_power_of_2(disk->physical_size) || disk->physical_size < disk->block_size)
		disk->physical_size = disk->block_size;
	if (disk->discard_align % disk->block_size || !disk->discard_align)
		disk->discard_align = disk->block_size;
	return 0;
}

/*
 * Giving space back is punching holes, which read as zeroes, into a file and a block device alike.
 * Behind the end of a file that changes nothing, but tells whether its file system can. A
 * device that cannot zero by unmapping would have to be written to.
 */
static int check_discard(struct disk *disk, const struct lkvm_disk *cfg, const struct stat *st,
			 struct lkvm_error *err)
{
	bool device = S_ISBLK(st->st_mode);
	int code = 0;

	if (!cfg->discard || cfg->readonly)
		return 0;
	if (device)
		code = queue_limit(st, "write_zeroes_max_bytes", 1) ? 0 : EOPNOTSUPP;
	else if (fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)disk->size,
			   DISK_SECTOR))
		code = errno;
	if (code == EOPNOTSUPP)
		return err_unsupported(err, code, DISK "discard=on: %s cannot give space back",
				       DISK_ARGS(disk), device ? "the device" : "its file system");
	if (code)
		return err_host(err, code, DISK "discard=on", DISK_ARGS(disk));
	disk->discard = true;
	return 0;
}

/* @cfg says how, not what; sizes are multiples of @unit. */
static int open_as(struct disk *disk, const char *option, const char *path,
		   const struct lkvm_disk *cfg, u32 unit, struct lkvm_error *err)
{
	struct stat st;
	int ret;

	*disk = (struct disk)DISK_CLOSED;
	disk->option = option;
	disk->path = path;
	disk->readonly = cfg->readonly;
	ret = open_file(disk, cfg, &st, err);
	if (!ret)
		ret = lock(disk, &st, err);
	if (!ret)
		ret = measure(disk, cfg, unit, &st, err);
	if (!ret)
		ret = check_discard(disk, cfg, &st, err);
	if (ret)
		disk_close(disk);
	return ret;
}

int disk_open(struct disk *disk, const struct lkvm_disk *cfg, struct lkvm_error *err)
{
	return open_as(disk, "--disk", cfg->path, cfg, DISK_SECTOR, err);
}

int disk_open_flash(struct disk *disk, const char *path, u32 unit, struct lkvm_error *err)
{
	static const struct lkvm_disk plain;

	return open_as(disk, flash_option, path, &plain, unit, err);
}

void disk_close(struct disk *disk)
{
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = -1;
}
