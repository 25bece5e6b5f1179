#include "vmm/kvm.h"

#include <errno.h>

#include "linux-uapi/kvm.h"

int kvm_ioctl_named(const struct kvm *kvm, int fd, unsigned long req, unsigned long arg,
		    const char *name, struct lkvm_error *err)
{
	int ret = kvm->be->ioctl(kvm->be->ctx, fd, req, arg);

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

int kvm_create(struct kvm *kvm, const struct kvm_backend *be, unsigned long type,
	       struct lkvm_error *err)
{
	int ret;

	*kvm = (struct kvm){ .be = be, .sys_fd = -1, .vm_fd = -1 };
	ret = be->open(be->ctx);
	if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
		return err_unsupported(
			err, -ret,
			"%s is missing: load the kvm module of this CPU, or run where "
			"hardware virtualization is on",
			be->path);
	if (ret == -EACCES || ret == -EPERM)
		return err_unsupported(
			err, -ret, "%s may not be opened by this user: join the group that owns it",
			be->path);
	if (ret < 0)
		return err_unsupported(err, -ret, "%s cannot be opened: %s", be->path,
				       err_text(-ret));
	kvm->sys_fd = ret;

	ret = be->ioctl(be->ctx, kvm->sys_fd, KVM_GET_API_VERSION, 0);
	if (ret != KVM_API_VERSION) {
		if (ret < 0)
			ret = err_unsupported(err, -ret,
					      "%s is not KVM: it does not know "
					      "KVM_GET_API_VERSION",
					      be->path);
		else
			ret = err_unsupported(err, EPROTO,
					      "%s has KVM API version %d, lkvm needs %d", be->path,
					      ret, KVM_API_VERSION);
		goto fail;
	}
	ret = kvm_sys_ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, err);
	if (ret < 0)
		goto fail;
	kvm->run_size = (size_t)ret;
	/* A signal during VM creation may end it early; asking again is what the API text advises.
	 */
	do {
		ret = be->ioctl(be->ctx, kvm->sys_fd, KVM_CREATE_VM, type);
	} while (ret == -EINTR);
	if (ret < 0) {
		err_host(err, -ret, "KVM_CREATE_VM failed");
		goto fail;
	}
	kvm->vm_fd = ret;
	return 0;
fail:
	kvm_destroy(kvm);
	return ret;
}

void kvm_destroy(struct kvm *kvm)
{
	if (kvm->vm_fd >= 0)
		kvm->be->close(kvm->be->ctx, kvm->vm_fd);
	if (kvm->sys_fd >= 0)
		kvm->be->close(kvm->be->ctx, kvm->sys_fd);
	kvm->vm_fd = kvm->sys_fd = -1;
}
