#include "vmm/kvm.h"

#include <errno.h>

#include "linux-uapi/kvm.h"

int kvm_ioctl_named(const struct kvm_backend *be, int fd, unsigned long req, unsigned long arg,
		    const char *name, struct lkvm_error *err)
{
	int ret = be->ioctl(be->ctx, fd, req, arg);

	return ret < 0 ? err_host(err, -ret, "%s failed", name) : ret;
}

int kvm_check(const struct kvm *kvm, unsigned long cap)
{
	int ret = kvm->be->ioctl(kvm->be->ctx, kvm->vm_fd, KVM_CHECK_EXTENSION, cap);

	return ret < 0 ? 0 : ret;
}

int kvm_require_named(const struct kvm *kvm, unsigned long cap, const char *name,
		      struct lkvm_error *err)
{
	int ret = kvm_check(kvm, cap);

	return ret ? ret : err_unsupported(err, EOPNOTSUPP, "this host's KVM lacks %s", name);
}

/* ---- the device node ---------------------------------------------------------------- */

static int open_failed(const struct kvm_backend *be, int code, struct lkvm_error *err)
{
	switch (code) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return err_unsupported(err, code,
				       "%s is missing: load the kvm module of this CPU, or run "
				       "where hardware virtualization is on",
				       be->path);
	case EACCES:
	case EPERM:
		return err_unsupported(
			err, code,
			"%s may not be opened by this user: see its owner, group and mode",
			be->path);
	}
	return err_unsupported(err, code, "%s cannot be opened: %s", be->path, err_text(code));
}

static int check_api_version(const struct kvm_host *host, struct lkvm_error *err)
{
	const char *path = host->be->path;
	int version = host->be->ioctl(host->be->ctx, host->fd, KVM_GET_API_VERSION, 0);

	if (version == KVM_API_VERSION)
		return 0;
	if (version < 0)
		return err_unsupported(err, -version,
				       "%s is not KVM: it does not know KVM_GET_API_VERSION", path);
	return err_unsupported(err, EPROTO, "%s has KVM API version %d, lkvm needs %d", path,
			       version, KVM_API_VERSION);
}

int kvm_open(struct kvm_host *host, const struct kvm_backend *be, struct lkvm_error *err)
{
	int ret = be->open(be->ctx);

	*host = (struct kvm_host){ .be = be, .fd = ret < 0 ? -1 : ret };
	if (ret < 0)
		return open_failed(be, -ret, err);
	ret = check_api_version(host, err);
	if (!ret)
		ret = kvm_host_ioctl(host, KVM_GET_VCPU_MMAP_SIZE, 0, err);
	if (ret < 0) {
		kvm_close(host);
		return ret;
	}
	host->run_size = (size_t)ret;
	if (host->run_size < sizeof(struct kvm_run)) {
		kvm_close(host);
		return err_host(err, EPROTO, "%s maps %zu bytes for a vCPU, too few", be->path,
				host->run_size);
	}
	return 0;
}

void kvm_close(struct kvm_host *host)
{
	if (host->fd >= 0)
		host->be->close(host->be->ctx, host->fd);
	host->fd = -1;
}

/* ---- a VM --------------------------------------------------------------------------- */

int kvm_create_vm(struct kvm *kvm, const struct kvm_host *host, unsigned long type,
		  struct lkvm_error *err)
{
	const struct kvm_backend *be = host->be;
	int ret;

	/* A signal during VM creation may end it early; asking again is what the API text advises.
	 */
	do {
		ret = be->ioctl(be->ctx, host->fd, KVM_CREATE_VM, type);
	} while (ret == -EINTR);
	*kvm = (struct kvm){ .host = host, .be = be, .vm_fd = ret < 0 ? -1 : ret };
	return ret < 0 ? err_host(err, -ret, "KVM_CREATE_VM failed") : 0;
}

void kvm_destroy_vm(struct kvm *kvm)
{
	kvm_close_fd(kvm, kvm->vm_fd);
	kvm->vm_fd = -1;
}

void kvm_close_fd(const struct kvm *kvm, int fd)
{
	if (fd >= 0)
		kvm->be->close(kvm->be->ctx, fd);
}

/* ---- devices, attributes, registers ------------------------------------------------- */

bool kvm_has_device(const struct kvm *kvm, u32 type)
{
	struct kvm_create_device dev = { .type = type, .flags = KVM_CREATE_DEVICE_TEST };

	return kvm->be->ioctl(kvm->be->ctx, kvm->vm_fd, KVM_CREATE_DEVICE, KVM_ARG(&dev)) >= 0;
}

int kvm_create_device(const struct kvm *kvm, u32 type, struct lkvm_error *err)
{
	struct kvm_create_device dev = { .type = type };
	int ret = kvm->be->ioctl(kvm->be->ctx, kvm->vm_fd, KVM_CREATE_DEVICE, KVM_ARG(&dev));

	if (ret >= 0)
		return (int)dev.fd;
	return ret == -ENODEV ? ret
			      : err_host(err, -ret, "KVM_CREATE_DEVICE of type %u failed", type);
}

static int attr_ioctl(const struct kvm *kvm, int fd, unsigned long req, u32 group, u64 attr,
		      const void *addr)
{
	struct kvm_device_attr arg = { .group = group, .attr = attr, .addr = KVM_ARG(addr) };

	return kvm->be->ioctl(kvm->be->ctx, fd, req, KVM_ARG(&arg));
}

bool kvm_has_attr(const struct kvm *kvm, int fd, u32 group, u64 attr)
{
	return attr_ioctl(kvm, fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL) >= 0;
}

int kvm_get_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, void *addr)
{
	int ret = attr_ioctl(kvm, fd, KVM_GET_DEVICE_ATTR, group, attr, addr);

	return ret < 0 ? ret : 0;
}

int kvm_set_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, const void *addr,
		 const char *what, struct lkvm_error *err)
{
	int ret = attr_ioctl(kvm, fd, KVM_SET_DEVICE_ATTR, group, attr, addr);

	return ret < 0 ? err_host(err, -ret, "KVM_SET_DEVICE_ATTR: %s", what) : 0;
}

int kvm_enable_cap_named(const struct kvm *kvm, u32 cap, u64 arg0, const char *name,
			 struct lkvm_error *err)
{
	struct kvm_enable_cap arg = { .cap = cap, .args = { arg0 } };
	int ret = kvm->be->ioctl(kvm->be->ctx, kvm->vm_fd, KVM_ENABLE_CAP, KVM_ARG(&arg));

	return ret < 0 ? err_host(err, -ret, "KVM_ENABLE_CAP of %s failed", name) : 0;
}

static int one_reg(const struct kvm *kvm, int fd, unsigned long req, u64 id, const void *val)
{
	struct kvm_one_reg reg = { .id = id, .addr = KVM_ARG(val) };
	int ret = kvm->be->ioctl(kvm->be->ctx, fd, req, KVM_ARG(&reg));

	return ret < 0 ? ret : 0;
}

int kvm_get_reg(const struct kvm *kvm, int vcpu_fd, u64 id, void *val)
{
	return one_reg(kvm, vcpu_fd, KVM_GET_ONE_REG, id, val);
}

int kvm_set_reg(const struct kvm *kvm, int vcpu_fd, u64 id, const void *val)
{
	return one_reg(kvm, vcpu_fd, KVM_SET_ONE_REG, id, val);
}
