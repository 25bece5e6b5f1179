/* kvm_linux.c - the KVM seam's real side: the system calls, on /dev/kvm. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/kvm.h"

static int linux_open(void *ctx)
{
	int fd = open(kvm_linux.path, O_RDWR | O_CLOEXEC);

	(void)ctx;
	return fd < 0 ? -errno : fd;
}

static int linux_ioctl(void *ctx, int fd, unsigned long req, unsigned long arg)
{
	int ret = ioctl(fd, req, arg);

	(void)ctx;
	return ret < 0 ? -errno : ret;
}

static void *linux_mmap(void *ctx, int fd, size_t len, int *err_out)
{
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)ctx;
	if (addr == MAP_FAILED) {
		*err_out = errno;
		return NULL;
	}
	return addr;
}

static void linux_munmap(void *ctx, void *addr, size_t len)
{
	(void)ctx;
	munmap(addr, len);
}

static ssize_t linux_pread(void *ctx, int fd, void *buf, size_t len, u64 off)
{
	ssize_t ret = pread(fd, buf, len, (off_t)off);

	(void)ctx;
	return ret < 0 ? -errno : ret;
}

static void linux_close(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

const struct kvm_backend kvm_linux = {
	.open = linux_open,
	.ioctl = linux_ioctl,
	.mmap = linux_mmap,
	.munmap = linux_munmap,
	.pread = linux_pread,
	.close = linux_close,
	.path = "/dev/kvm",
	.sysfs = "/sys",
	.sev = "/dev/sev",
};

const struct kvm_backend *kvm_default_backend(void)
{
	return &kvm_linux;
}
