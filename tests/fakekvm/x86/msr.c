/* msr.c - model specific registers (4.3, 4.18, 4.19): which there are, what they take. */
#include "tests/fakekvm/x86/x86.h"

#include <errno.h>

#define MSR_APIC_BASE	  0x1b
#define MSR_ARCH_CAP	  0x10a
#define MSR_PAT		  0x277
#define MSR_EFER	  0xc0000080
#define MSR_KVM_CLOCK	  0x12
#define MSR_KVM_CLOCK_NEW 0x4b564d01
#define MAX_ENTRIES	  256 /* E2BIG from here on: observed */

enum { PLAIN, FEATURE, READ_ONLY };

/*
 * What KVM knows, as observed on 7.2 and 6.18; a FEATURE is there for a system request too. Reading
 * what may not be written is fine.
 */
static const struct msr_range {
	u32 first, last;
	u32 kind;
} ranges[] = {
	{ 0x10, 0x12, PLAIN },	     /* TSC, kvmclock (old) */
	{ 0x17, 0x17, READ_ONLY },   /* PLATFORM_ID */
	{ 0x1b, 0x1b, PLAIN },	     /* APIC_BASE */
	{ 0x34, 0x34, PLAIN },	     /* SMI_COUNT */
	{ 0x3a, 0x3b, PLAIN },	     /* FEATURE_CONTROL, TSC_ADJUST */
	{ 0x48, 0x48, PLAIN },	     /* SPEC_CTRL */
	{ 0x8b, 0x8b, FEATURE },     /* microcode revision */
	{ 0xce, 0xce, FEATURE },     /* PLATFORM_INFO */
	{ 0xfe, 0xfe, READ_ONLY },   /* MTRRcap */
	{ 0x10a, 0x10a, FEATURE },   /* ARCH_CAPABILITIES */
	{ 0x140, 0x140, PLAIN },     /* MISC_FEATURES_ENABLES */
	{ 0x174, 0x176, PLAIN },     /* SYSENTER */
	{ 0x179, 0x179, READ_ONLY }, /* MCG_CAP */
	{ 0x17a, 0x17b, PLAIN },     /* MCG_STATUS, MCG_CTL */
	{ 0x186, 0x187, PLAIN },     /* PERFEVTSEL */
	{ 0x198, 0x199, READ_ONLY }, /* PERF_STATUS, PERF_CTL */
	{ 0x1a0, 0x1a0, PLAIN },     /* MISC_ENABLE */
	{ 0x1d9, 0x1d9, PLAIN },     /* DEBUGCTL */
	{ 0x1fc, 0x1fc, PLAIN },     /* POWER_CTL */
	{ 0x200, 0x20f, PLAIN },     /* MTRR, variable */
	{ 0x250, 0x250, PLAIN },     /* MTRR, fixed */
	{ 0x258, 0x259, PLAIN },
	{ 0x268, 0x26f, PLAIN },
	{ 0x277, 0x277, PLAIN },	   /* PAT */
	{ 0x2ff, 0x2ff, PLAIN },	   /* MTRR default type */
	{ 0x345, 0x345, FEATURE },	   /* PERF_CAPABILITIES */
	{ 0x400, 0x47f, PLAIN },	   /* machine check banks */
	{ 0x6e0, 0x6e0, PLAIN },	   /* TSC_DEADLINE */
	{ 0xc0000080, 0xc0000084, PLAIN }, /* EFER, STAR, LSTAR, CSTAR, FMASK */
	{ 0xc0000100, 0xc0000104, PLAIN }, /* FS, GS, KERNEL_GS, TSC_AUX, TSC ratio */
	{ 0xc0010015, 0xc0010015, PLAIN }, /* HWCR */
	{ 0xc0010117, 0xc0010117, PLAIN }, /* VM_HSAVE_PA */
	{ 0xc001011f, 0xc001011f, PLAIN }, /* VIRT_SSBD */
	{ 0x4b564d00, 0x4b564d07, PLAIN }, /* KVM's own */
};

static const struct msr_range *find_range(u32 index, int *slot)
{
	*slot = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (index >= ranges[i].first && index <= ranges[i].last) {
			*slot += (int)(index - ranges[i].first);
			return &ranges[i];
		}
		*slot += (int)(ranges[i].last - ranges[i].first + 1);
	}
	return NULL;
}

int x86_msr_slot(u32 index)
{
	int slot;

	return find_range(index, &slot) ? slot : -1;
}

static bool refused(const struct fakekvm *fk, u32 index)
{
	for (unsigned int i = 0; i < fk->n_refused; i++)
		if (fk->refused[i] == index)
			return true;
	return false;
}

void x86_msr_reset(struct x86_vcpu *v)
{
	v->msrs[x86_msr_slot(MSR_PAT)] = 0x0007040600070406; /* SDM 3A, PAT at reset */
	v->msrs[x86_msr_slot(0xfe)] = 0x508;
	v->msrs[x86_msr_slot(0x1a0)] = 1; /* fast strings */
}

static u64 clock_msr(const struct x86_vcpu *v, u32 index)
{
	return v->msrs[x86_msr_slot(index)];
}

bool x86_kvmclock_on(const struct x86_vcpu *v)
{
	return (clock_msr(v, MSR_KVM_CLOCK) | clock_msr(v, MSR_KVM_CLOCK_NEW)) & 1;
}

/* SDM 3A "IA32_PAT MSR": each byte is a memory type; 2 and 3 are none. */
static bool pat_valid(u64 val)
{
	for (int i = 0; i < 64; i += 8) {
		u8 type = (u8)(val >> i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

static bool get_msr(const struct fake_call *c, u32 index, u64 *val)
{
	const struct x86_vcpu *v = x86_vcpu(c->vcpu);
	int slot = x86_msr_slot(index);

	if (slot < 0 || refused(c->fk, index))
		return false;
	*val = index == MSR_APIC_BASE ? v->sregs.apic_base
	       : index == MSR_EFER    ? v->sregs.efer
				      : v->msrs[slot];
	return true;
}

static bool set_msr(const struct fake_call *c, u32 index, u64 val)
{
	struct x86_vcpu *v = x86_vcpu(c->vcpu);
	const struct msr_range *r;
	int slot;

	r = find_range(index, &slot);
	if (!r || r->kind == READ_ONLY || refused(c->fk, index) ||
	    (index == MSR_PAT && !pat_valid(val)))
		return false;
	if (index == MSR_APIC_BASE) {
		if (x86_check_apic_base(v, val))
			return false;
		v->sregs.apic_base = val;
	}
	if (index == MSR_EFER)
		v->sregs.efer = val;
	v->msrs[slot] = val;
	return true;
}

/* 4.18: the number that was read, up to the first that could not be. */
int x86_get_msrs(struct fake_call *c)
{
	struct kvm_msrs *m = fake_user(c);
	u32 i;

	if (!m)
		return -EFAULT;
	fake_note(c, " nmsrs %u", m->nmsrs);
	if (m->nmsrs >= MAX_ENTRIES)
		return -E2BIG;
	for (i = 0; i < m->nmsrs; i++)
		if (!get_msr(c, m->entries[i].index, &m->entries[i].data))
			break;
	return (int)i;
}

/* 4.19: the same for writing. */
int x86_set_msrs(struct fake_call *c)
{
	const struct kvm_msrs *m = fake_user(c);
	u32 i;

	if (!m)
		return -EFAULT;
	if (m->nmsrs >= MAX_ENTRIES) {
		fake_note(c, " nmsrs %u", m->nmsrs);
		return -E2BIG;
	}
	for (i = 0; i < m->nmsrs; i++) {
		fake_note(c, " 0x%x=0x%llx", m->entries[i].index,
			  (unsigned long long)m->entries[i].data);
		if (!set_msr(c, m->entries[i].index, m->entries[i].data))
			break;
	}
	return (int)i;
}

/* As a system request: feature registers only (4.18). */
int x86_get_feature_msrs(struct fake_call *c)
{
	struct kvm_msrs *m = fake_user(c);
	u32 i;

	if (!m)
		return -EFAULT;
	fake_note(c, " nmsrs %u", m->nmsrs);
	if (m->nmsrs >= MAX_ENTRIES)
		return -E2BIG;
	for (i = 0; i < m->nmsrs; i++) {
		const struct msr_range *r;
		int slot;

		r = find_range(m->entries[i].index, &slot);
		if (!r || r->kind != FEATURE || refused(c->fk, m->entries[i].index))
			break;
		m->entries[i].data = 0;
	}
	return (int)i;
}

/* 4.3: E2BIG writes the needed number. Refused ones are listed all the same. */
static int put_list(struct fake_call *c, bool feature)
{
	struct kvm_msr_list *out = fake_user(c);
	u32 n = 0, room;

	if (!out)
		return -EFAULT;
	room = out->nmsrs;
	fake_note(c, " nmsrs %u", room);
	for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++) {
		/* machine check banks are not listed (4.3) */
		if ((feature && ranges[i].kind != FEATURE) || ranges[i].first == 0x400)
			continue;
		for (u32 index = ranges[i].first; index <= ranges[i].last; index++, n++)
			if (n < room)
				out->indices[n] = index;
	}
	out->nmsrs = n;
	return n > room ? -E2BIG : 0;
}

int x86_get_msr_list(struct fake_call *c)
{
	return put_list(c, false);
}

int x86_get_msr_feature_list(struct fake_call *c)
{
	return put_list(c, true);
}
