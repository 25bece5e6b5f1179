/*
 * state_cpuid.c - the CPUID table as a part of a vCPU's state: what does not count in a comparison,
 * and what a host must have to show it.
 */
#include "arch/x86/machine.h"
#include "arch/x86/state_impl.h"

#include <errno.h>

/* Words of features: what a guest was promised there it may use at any time. */
static const struct {
	u32 function, index;
	enum cpuid_reg reg;
} features[] = {
	{ 1, 0, CPUID_ECX },	      { 1, 0, CPUID_EDX },	    { 7, 0, CPUID_EBX },
	{ 7, 0, CPUID_ECX },	      { 7, 0, CPUID_EDX },	    { 7, 1, CPUID_EAX },
	{ 7, 1, CPUID_EDX },	      { 7, 2, CPUID_EDX },	    { 0xd, 0, CPUID_EAX },
	{ 0xd, 0, CPUID_EDX },	      { 0xd, 1, CPUID_EAX },	    { 0xd, 1, CPUID_ECX },
	{ 0x40000001, 0, CPUID_EAX }, { 0x80000001, 0, CPUID_ECX }, { 0x80000001, 0, CPUID_EDX },
	{ 0x80000008, 0, CPUID_EBX }, { 0x8000000a, 0, CPUID_EDX },
};

/* KVM makes these from other registers, whatever it is given (SDM 2A, CPUID). */
static struct kvm_cpuid_entry2 without_copies(const struct kvm_cpuid_entry2 *entry)
{
	struct kvm_cpuid_entry2 e = *entry;

	if (e.function == 1) {
		e.ecx &= ~(u32)(BIT(27) | BIT(3)); /* OSXSAVE of CR4, MONITOR of MISC_ENABLE */
		e.edx &= ~(u32)BIT(9);		   /* APIC of its base register */
	}
	if (e.function == 7 && e.index == 0)
		e.ecx &= ~(u32)BIT(4); /* OSPKE of CR4 */
	if (e.function == 0xd && e.index <= 1)
		e.ebx = 0; /* size of what XCR0 and XSS have on */
	memset(e.padding, 0, sizeof(e.padding));
	return e;
}

bool state_cpuid_same(const struct kvm_cpuid2 *a, const struct kvm_cpuid2 *b)
{
	if (a->nent != b->nent)
		return false;
	for (u32 i = 0; i < a->nent; i++) {
		struct kvm_cpuid_entry2 ea = without_copies(&a->entries[i]);
		struct kvm_cpuid_entry2 eb = without_copies(&b->entries[i]);

		if (memcmp(&ea, &eb, sizeof(ea)))
			return false;
	}
	return true;
}

static u32 word(const struct kvm_cpuid2 *cpuid, u32 function, u32 index, enum cpuid_reg reg)
{
	const struct kvm_cpuid_entry2 *found = cpuid_find(cpuid, function, index);
	struct kvm_cpuid_entry2 e;

	if (!found)
		return 0;
	e = without_copies(found);
	return *cpuid_reg(&e, reg);
}

int state_cpuid_check(const struct vcpu *vcpu, const struct kvm_cpuid2 *want,
		      const struct kvm_cpuid2 *have, struct lkvm_error *err)
{
	static const char names[][4] = { "EAX", "EBX", "ECX", "EDX" };
	const struct kvm_cpuid2 *offered = vcpu->machine->arch->supported;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		u32 function = features[i].function, index = features[i].index;
		enum cpuid_reg reg = features[i].reg;
		u32 extra =
			word(want, function, index, reg) &
			~(word(have, function, index, reg) | word(offered, function, index, reg));

		if (extra)
			return err_unsupported(err, EINVAL,
					       "vCPU %u: this host does not have what bits 0x%x of "
					       "CPUID 0x%x.%u:%s stand for",
					       vcpu->index, extra, function, index, names[reg]);
	}
	return 0;
}

bool state_has_shstk(const struct x86_vcpu_state *s)
{
	return cpu_feature_shown(s->cpuid, CPU_F_shstk);
}

bool state_has_ibt(const struct x86_vcpu_state *s)
{
	return cpu_feature_shown(s->cpuid, CPU_F_ibt);
}
