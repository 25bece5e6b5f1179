/* caps.h - how an architecture says what lkvm can use of a host (layer 2; caps.c: layer 4). */
#ifndef LKVM_VMM_CAPS_H
#define LKVM_VMM_CAPS_H

#include "vmm/kvm.h"

/* A capability of KVM, by number and name. */
struct caps_kvm_line {
	u32 cap;
	const char *name; /* "KVM_CAP_ARM_SVE" */
};

#define CAPS_KVM(cap)     \
	{                 \
		cap, #cap \
	}

/* Ask @kvm for each of @n; absent ones are listed too, with the reason that KVM says 0. */
void caps_add_kvm(struct lkvm_caps *caps, const struct kvm *kvm, const struct caps_kvm_line *lines,
		  size_t n);

/* A feature of lkvm's. Texts are cut to their room; one more than LKVM_MAX_CAPS is dropped. */
void caps_yes(struct lkvm_caps *caps, const char *name, s64 value);
void caps_no(struct lkvm_caps *caps, const char *name, const char *reason, const char *remedy);

/* A feature that is nothing but a capability: yes with its value where KVM has it. */
void caps_by_kvm(struct lkvm_caps *caps, const struct kvm *kvm, u32 cap, const char *name,
		 const char *reason, const char *remedy);

/* lkvm_caps_probe(), of another KVM than the default one. */
int caps_probe_on(const struct kvm_backend *be, struct lkvm_caps *caps, struct lkvm_error *err);

#endif
