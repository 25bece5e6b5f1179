/*
 * kvm.h - the KVM seam (layer 1).
 *
 * Everything lkvm asks of KVM goes through a struct kvm_backend, which has the
 * shape of the system calls themselves, so the real one has nothing to drift from
 * and the one in tests/fakekvm can refuse, record and fail what it likes.
 * Contracts, orders and errors are those of Documentation/virt/kvm/api.rst.
 */
#ifndef LKVM_VMM_KVM_H
#define LKVM_VMM_KVM_H

#include <sys/types.h>

#include "vmm/base.h"
#include "vmm/err.h"

struct kvm_run;

/*
 * Each returns >= 0 or -errno; mmap returns NULL and sets *err_out to a positive
 * errno. May be called from any thread; @ctx is the backend's own.
 */
struct kvm_backend {
	int (*open)(void *ctx); /* of the KVM device node */
	int (*ioctl)(void *ctx, int fd, unsigned long req, unsigned long arg);
	void *(*mmap)(void *ctx, int fd, size_t len,
		      int *err_out); /* shared, read and write, offset 0 */
	void (*munmap)(void *ctx, void *addr, size_t len);
	ssize_t (*pread)(void *ctx, int fd, void *buf, size_t len,
			 u64 off); /* of a statistics descriptor */
	void (*close)(void *ctx, int fd);
	void *ctx;
	const char *path;  /* the device node, for messages */
	const char *sysfs; /* where the host describes its hardware: "/sys" */
	const char *sev;   /* the device node of AMD's secure processor: "/dev/sev" */
};

/* The kernel's, on /dev/kvm. */
extern const struct kvm_backend kvm_linux;

/* What a program gets that did not ask for a backend: kvm_linux, unless a test links another. */
const struct kvm_backend *kvm_default_backend(void);

/* The opened device node: what can be asked before there is a VM. */
struct kvm_host {
	const struct kvm_backend *be;
	int fd;		 /* -1: closed */
	size_t run_size; /* bytes of the kvm_run mapping of a vCPU */
};

#define KVM_HOST_INIT    \
	{                \
		.fd = -1 \
	}

/*
 * Open the device node and check its API version (12). Missing, unreadable or of
 * another version: LKVM_ERR_UNSUPPORTED.
 */
int kvm_open(struct kvm_host *host, const struct kvm_backend *be, struct lkvm_error *err);
void kvm_close(struct kvm_host *host); /* accepts KVM_HOST_INIT */

/* One virtual machine as KVM knows it. */
struct kvm {
	const struct kvm_host *host;  /* outlives it */
	const struct kvm_backend *be; /* the host's */
	int vm_fd;		      /* -1: closed */
};

#define KVM_INIT            \
	{                   \
		.vm_fd = -1 \
	}

/* Create an (empty) VM of @type, 0 = the architecture's default one. */
int kvm_create_vm(struct kvm *kvm, const struct kvm_host *host, unsigned long type,
		  struct lkvm_error *err);

/* Accepts a KVM_INIT struct; vCPUs must be closed before. */
void kvm_destroy_vm(struct kvm *kvm);

/*
 * The value of a capability on this VM, 0 when absent or when asking fails:
 * what cannot be asked for cannot be used.
 */
int kvm_check(const struct kvm *kvm, unsigned long cap);

/* Like kvm_check(), but 0 is an LKVM_ERR_UNSUPPORTED that names the capability. */
#define kvm_require(kvm, cap, err) kvm_require_named(kvm, cap, #cap, err)
int kvm_require_named(const struct kvm *kvm, unsigned long cap, const char *name,
		      struct lkvm_error *err);

/*
 * ioctl on the system, VM or a vCPU descriptor. >= 0, or -errno with a message that
 * names the request. @arg is a pointer or an integer, as the request wants.
 */
#define KVM_ARG(arg) ((unsigned long)(arg))
#define kvm_host_ioctl(host, req, arg, err) \
	kvm_ioctl_named((host)->be, (host)->fd, req, KVM_ARG(arg), #req, err)
#define kvm_vm_ioctl(kvm, req, arg, err) \
	kvm_ioctl_named((kvm)->be, (kvm)->vm_fd, req, KVM_ARG(arg), #req, err)
#define kvm_fd_ioctl(kvm, fd, req, arg, err) \
	kvm_ioctl_named((kvm)->be, fd, req, KVM_ARG(arg), #req, err)
int kvm_ioctl_named(const struct kvm_backend *be, int fd, unsigned long req, unsigned long arg,
		    const char *name, struct lkvm_error *err);

/* A descriptor that an ioctl made; @fd < 0: there is none. */
void kvm_close_fd(const struct kvm *kvm, int fd);

/*
 * A device that KVM emulates (KVM_DEV_TYPE_*), to be closed by kvm_close_fd(). The
 * descriptor, or -errno; without a message for -ENODEV, a type that this KVM does not have.
 */
int kvm_create_device(const struct kvm *kvm, u32 type, struct lkvm_error *err);

/* KVM has that type of device: asked without making one. */
bool kvm_has_device(const struct kvm *kvm, u32 type);

/*
 * Attributes of a device, a vCPU or a VM, by its descriptor. @addr points to the value, whose type
 * is the attribute's. 0 or -errno; kvm_set_attr() with a message that names @what.
 */
bool kvm_has_attr(const struct kvm *kvm, int fd, u32 group, u64 attr);
int kvm_get_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, void *addr);
int kvm_set_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, const void *addr,
		 const char *what, struct lkvm_error *err);

/* A capability that takes effect on the VM by being switched on, with its first argument. */
#define kvm_enable_cap(kvm, cap, arg0, err) kvm_enable_cap_named(kvm, cap, arg0, #cap, err)
int kvm_enable_cap_named(const struct kvm *kvm, u32 cap, u64 arg0, const char *name,
			 struct lkvm_error *err);

/* One register of a vCPU; @val has the size that @id says. 0 or -errno. */
int kvm_get_reg(const struct kvm *kvm, int vcpu_fd, u64 id, void *val);
int kvm_set_reg(const struct kvm *kvm, int vcpu_fd, u64 id, const void *val);

#endif
