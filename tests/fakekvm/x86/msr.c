/* msr.c - model specific registers (4.3, 4.18, 4.19): which there are, what they take. */
#include "tests/fakekvm/x86/x86.h"

#include <errno.h>

#define MSR_APIC_BASE	  0x1b
#define MSR_ARCH_CAP	  0x10a
#define MSR_SYSENTER_ESP  0x175
#define MSR_SYSENTER_EIP  0x176
#define MSR_PAT		  0x277
#define MSR_EFER	  0xc0000080
#define MSR_U_CET	  0x6a0
#define MSR_S_CET	  0x6a2
#define MSR_PL0_SSP	  0x6a4
#define MSR_PL3_SSP	  0x6a7
#define MSR_INT_SSP_TAB	  0x6a8
#define MSR_TSC_DEADLINE  0x6e0
#define MSR_XSS		  0xda0
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
	{ 0x6a0, 0x6a0, PLAIN },	   /* U_CET */
	{ 0x6a2, 0x6a2, PLAIN },	   /* S_CET */
	{ 0x6a4, 0x6a8, PLAIN },	   /* PL0_SSP to PL3_SSP, INTERRUPT_SSP_TABLE */
	{ 0x6e0, 0x6e0, PLAIN },	   /* TSC_DEADLINE */
	{ 0xda0, 0xda0, PLAIN },	   /* XSS */
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

/* ---- Shadow stacks and indirect branch tracking (SDM 1, "Control-flow Enforcement Technology") */

static u32 features(const struct x86_vcpu *v, bool edx)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid(v, 7, 0);

	return !e ? 0 : edx ? e->edx : e->ecx;
}

bool x86_has_shstk(const struct x86_vcpu *v)
{
	return features(v, false) >> 7 & 1;
}

static bool has_ibt(const struct x86_vcpu *v)
{
	return features(v, true) >> 20 & 1;
}

static bool canonical(u64 val)
{
	return (u64)((s64)(val << 16) >> 16) == val;
}

bool x86_is_ssp(u64 val)
{
	return canonical(val) && !(val & 3);
}

static bool is_cet(u32 index)
{
	return index >= MSR_U_CET && index <= MSR_INT_SSP_TAB;
}

/* KVM refuses them where CPUID does not have the feature. */
static bool has_cet_msr(const struct x86_vcpu *v, u32 index)
{
	if (index == MSR_U_CET || index == MSR_S_CET)
		return x86_has_shstk(v) || has_ibt(v);
	return x86_has_shstk(v);
}

static bool cet_valid(const struct x86_vcpu *v, u32 index, u64 val)
{
	const u64 shstk = 0x3, ibt = ~0x3c3ull;

	if (index >= MSR_PL0_SSP && index <= MSR_PL3_SSP)
		return x86_is_ssp(val);
	if (index == MSR_INT_SSP_TAB)
		return canonical(val);
	return canonical(val & ~0xfffull) &&
	       !(val & ~((x86_has_shstk(v) ? shstk : 0) | (has_ibt(v) ? ibt : 0)));
}

/* Bits are those of CPUID 0xD.1 ECX and EDX; what is not there is zero. */
static bool xss_valid(const struct x86_vcpu *v, u64 val)
{
	const struct kvm_cpuid_entry2 *e = x86_cpuid(v, 0xd, 1);
	u64 bits = e && e->eax & 8 ? (u64)e->edx << 32 | e->ecx : 0;

	return !(val & ~bits);
}

/* ---- one of them ---- */

bool x86_get_msr(const struct fake_call *c, u32 index, u64 *val)
{
	const struct x86_vcpu *v = x86_vcpu(c->vcpu);
	int slot = x86_msr_slot(index);

	if (slot < 0 || refused(c->fk, index) || (is_cet(index) && !has_cet_msr(v, index)))
		return false;
	*val = index == MSR_APIC_BASE ? v->sregs.apic_base
	       : index == MSR_EFER    ? v->sregs.efer
				      : v->msrs[slot];
	return true;
}

static bool valid(const struct x86_vcpu *v, u32 index, u64 val)
{
	if (is_cet(index))
		return has_cet_msr(v, index) && cet_valid(v, index, val);
	switch (index) {
	case MSR_PAT:
		return pat_valid(val);
	case MSR_XSS:
		return xss_valid(v, val);
	case MSR_APIC_BASE:
		return !x86_check_apic_base(v, val);
	}
	return true;
}

bool x86_set_msr(const struct fake_call *c, u32 index, u64 val)
{
	struct x86_vcpu *v = x86_vcpu(c->vcpu);
	const struct msr_range *r;
	int slot;

	r = find_range(index, &slot);
	if (!r || r->kind == READ_ONLY || refused(c->fk, index) || !valid(v, index, val))
		return false;
	/* SDM 3A, "TSC-Deadline Mode": in other modes writes are ignored */
	if (index == MSR_TSC_DEADLINE && (get_le32(v->lapic.regs + 0x320) & 0x60000) != 0x40000)
		return true;
	if (index == MSR_XSS && v->cet_set && val != v->msrs[slot])
		fake_complain(c->fk, "XSS is set after the state of CET, which it enables");
	if (is_cet(index) && val)
		v->cet_set = true;
	if (index == MSR_APIC_BASE)
		v->sregs.apic_base = val;
	if (index == MSR_EFER)
		v->sregs.efer = val;
	if ((index == MSR_SYSENTER_ESP || index == MSR_SYSENTER_EIP) && x86_is_amd(v))
		val = (u32)val; /* observed */
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
		if (!x86_get_msr(c, m->entries[i].index, &m->entries[i].data))
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
		if (!x86_set_msr(c, m->entries[i].index, m->entries[i].data))
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

/* What KVM has no use for without a feature of the host it does not list. */
static bool host_has(const struct fakekvm *fk, u32 index)
{
	for (u32 i = 0; is_cet(index) && i < fk->cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &fk->cpuid->entries[i];

		if (e->function == 7 && e->index == 0)
			return e->ecx >> 7 & 1 || e->edx >> 20 & 1;
	}
	return !is_cet(index);
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
		if ((feature && ranges[i].kind != FEATURE) || ranges[i].first == 0x400 ||
		    !host_has(c->fk, ranges[i].first))
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
