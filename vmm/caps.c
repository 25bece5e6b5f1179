#include "vmm/caps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "linux-uapi/kvm.h"
#include "vmm/arch.h"

static struct lkvm_cap *add(struct lkvm_caps *caps, const char *name, enum lkvm_cap_kind kind)
{
	struct lkvm_cap *cap;

	if (caps->n == LKVM_MAX_CAPS)
		return NULL;
	cap = &caps->caps[caps->n++];
	*cap = (struct lkvm_cap){ .kind = kind };
	snprintf(cap->name, sizeof(cap->name), "%s", name);
	return cap;
}

static void say_yes(struct lkvm_cap *cap, s64 value)
{
	if (!cap)
		return;
	cap->available = true;
	cap->value = value;
}

static void say_no(struct lkvm_cap *cap, const char *reason, const char *remedy)
{
	if (!cap)
		return;
	snprintf(cap->reason, sizeof(cap->reason), "%s", reason);
	snprintf(cap->remedy, sizeof(cap->remedy), "%s", remedy);
}

void caps_yes(struct lkvm_caps *caps, const char *name, s64 value)
{
	say_yes(add(caps, name, LKVM_CAP_FEATURE), value);
}

void caps_no(struct lkvm_caps *caps, const char *name, const char *reason, const char *remedy)
{
	say_no(add(caps, name, LKVM_CAP_FEATURE), reason, remedy);
}

void caps_by_kvm(struct lkvm_caps *caps, const struct kvm *kvm, u32 cap, const char *name,
		 const char *reason, const char *remedy)
{
	int value = kvm_check(kvm, cap);

	if (value)
		caps_yes(caps, name, value);
	else
		caps_no(caps, name, reason, remedy);
}

void caps_add_kvm(struct lkvm_caps *caps, const struct kvm *kvm, const struct caps_kvm_line *lines,
		  size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct lkvm_cap *cap = add(caps, lines[i].name, LKVM_CAP_KVM);
		int value = kvm_check(kvm, lines[i].cap);

		if (value)
			say_yes(cap, value);
		else
			say_no(cap, "KVM says 0", "");
	}
}

/* A VM of the size that machines have by default: some hosts have no larger address space. */
static int create_vm(struct kvm *kvm, const struct kvm_host *host, struct lkvm_error *err)
{
	struct lkvm_config *cfg = malloc(sizeof(*cfg));
	unsigned long type = 0;
	int ret;

	if (!cfg)
		return err_host(err, ENOMEM, "capabilities");
	lkvm_config_init(cfg);
	ret = arch_vm_type(host, cfg, &type, err);
	free(cfg);
	return ret ? ret : kvm_create_vm(kvm, host, type, err);
}

int caps_probe_on(const struct kvm_backend *be, struct lkvm_caps *caps, struct lkvm_error *err)
{
	struct kvm_host host = KVM_HOST_INIT;
	struct kvm kvm = KVM_INIT;
	int ret;

	memset(caps, 0, sizeof(*caps));
	ret = kvm_open(&host, be, err);
	if (ret)
		return ret;
	caps->api_version = KVM_API_VERSION; /* kvm_open() takes no other */
	caps_yes(caps, "api", caps->api_version);
	ret = create_vm(&kvm, &host, err);
	if (!ret) {
		caps_by_kvm(caps, &kvm, KVM_CAP_BINARY_STATS_FD, "statistics",
			    "KVM keeps no statistics that can be read by KVM_GET_STATS_FD",
			    "Linux 5.14 or later on the host");
		ret = arch_probe_caps(&kvm, caps, err);
	}
	kvm_destroy_vm(&kvm);
	kvm_close(&host);
	return ret;
}

int lkvm_caps_probe(struct lkvm_caps *caps, struct lkvm_error *err)
{
	return caps_probe_on(kvm_default_backend(), caps, err);
}
