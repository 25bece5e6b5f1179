/*
 * snp_launch.c - the launch of an SNP guest: LAUNCH_START, UPDATE of each range, FINISH.
 *
 * Firmware first, then what its metadata lists, in its order: the measurement depends on it, and
 * tools that compute it from the file go the same way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "arch/x86/snp_cpuid.h"
#include "arch/x86/snp_impl.h"
#include "arch/x86/snp_report.h"
#include "vmm/load.h"
#include "vmm/snp.h"

#define MAX_REPORT 4096 /* bytes; today's are 1216 */

/* How often in a row KVM may ask to be called again, a millisecond later, before it is an error. */
#define MAX_AGAIN 1000

/* sev_ret_code: the only one that is not just told (SNP ABI, table of status codes). */
#define FW_INVALID_PARAM 0x16

int snp_command(const struct machine *m, u32 id, void *data, u32 *code)
{
	const struct kvm_backend *be = m->kvm.be;
	struct kvm_sev_cmd cmd = {
		.id = id,
		.data = (uintptr_t)data,
		.sev_fd = (u32)m->arch->snp->sev_fd,
	};
	int ret = be->ioctl(be->ctx, m->kvm.vm_fd, KVM_MEMORY_ENCRYPT_OP, KVM_ARG(&cmd));

	*code = cmd.error;
	return ret < 0 ? ret : 0;
}

int snp_command_failed(const char *what, int ret, u32 code, struct lkvm_error *err)
{
	if (!code)
		return err_host(err, -ret, "--snp: %s failed", what);
	return err_host(err, -ret, "--snp: %s failed, the SEV firmware's code is %s (0x%x)", what,
			snp_firmware_code_name(code), code);
}

/* ---- LAUNCH_START ---------------------------------------------------------------------- */

static int start(const struct machine *m, struct lkvm_error *err)
{
	struct kvm_sev_snp_launch_start arg = { .policy = m->arch->snp->policy };
	u32 code = 0;
	int ret = snp_command(m, KVM_SEV_SNP_LAUNCH_START, &arg, &code);
	char what[160];

	/* What KVM refuses without asking the firmware; its mask of bits was looked at, if it has
	 * one. */
	if (ret == -EINVAL && !code)
		return err_unsupported(err, EINVAL,
				       "--snp: this host's KVM does not take policy 0x%llx; before "
				       "Linux 6.17, smt=off and single-socket=on are not possible",
				       (unsigned long long)arg.policy);
	if (!ret)
		return 0;
	snprintf(what, sizeof(what), "KVM_SEV_SNP_LAUNCH_START with policy 0x%llx",
		 (unsigned long long)arg.policy);
	return snp_command_failed(what, ret, code, err);
}

/* ---- LAUNCH_UPDATE --------------------------------------------------------------------- */

static void wait_a_moment(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = NSEC_PER_MSEC }, NULL);
}

/*
 * [gpa, gpa + len), from the bytes at @from. KVM may do a part, and says in @arg what is left: it
 * must become less with every call, or this would never end.
 */
static int update(const struct machine *m, u8 type, u64 gpa, const void *from, u64 len, u32 *code)
{
	struct kvm_sev_snp_launch_update arg = {
		.gfn_start = gpa / SNP_PAGE,
		.uaddr = (uintptr_t)from,
		.len = len,
		.type = type,
	};
	unsigned int again = 0;

	while (arg.len) {
		u64 left = arg.len;
		int ret = snp_command(m, KVM_SEV_SNP_LAUNCH_UPDATE, &arg, code);

		if (ret && ret != -EAGAIN && ret != -EINTR)
			return ret;
		if (arg.len > left || arg.len % SNP_PAGE ||
		    arg.gfn_start != (gpa + len - arg.len) / SNP_PAGE)
			return -EPROTO;
		again = arg.len < left ? 0 : again + 1;
		if (again && (!ret || again > MAX_AGAIN))
			return ret ? ret : -EPROTO;
		if (ret)
			wait_a_moment();
	}
	return 0;
}

static int update_failed(const char *name, u64 gpa, int ret, u32 code, struct lkvm_error *err)
{
	char what[160];

	snprintf(what, sizeof(what), "KVM_SEV_SNP_LAUNCH_UPDATE of %s at 0x%llx", name,
		 (unsigned long long)gpa);
	return snp_command_failed(what, ret, code, err);
}

static int add_firmware(const struct machine *m, struct lkvm_error *err)
{
	const struct snp *snp = m->arch->snp;
	u64 gpa = 4 * GIB - snp->firmware_size;
	u32 code = 0;
	int ret = update(m, KVM_SEV_SNP_PAGE_TYPE_NORMAL, gpa, snp->firmware, snp->firmware_size,
			 &code);

	return ret ? update_failed("the firmware", gpa, ret, code, err) : 0;
}

/* What the bootstrap processor shows; guests ask for what differs between CPUs elsewhere. */
static int make_cpuid_page(const struct machine *m, struct snp_cpuid_page *page,
			   struct lkvm_error *err)
{
	struct kvm_cpuid2 *table = m->arch->table;
	int ret;

	table->nent = CPUID_MAX_ENTRIES;
	ret = kvm_fd_ioctl(&m->kvm, m->vcpus[0].fd, KVM_GET_CPUID2, table, err);
	return ret < 0 ? ret : snp_cpuid_fill(table, page, err);
}

/*
 * The firmware refuses a page with more than the CPU has or is safe to have, and KVM copies back
 * what it would take: that is tried, once.
 */
static int add_cpuid(const struct machine *m, u64 gpa, void *page, struct lkvm_error *err)
{
	struct snp_cpuid_page asked;
	u32 code = 0;
	int ret = make_cpuid_page(m, page, err);

	if (ret)
		return ret;
	asked = *(struct snp_cpuid_page *)page;
	ret = update(m, KVM_SEV_SNP_PAGE_TYPE_CPUID, gpa, page, SNP_PAGE, &code);
	if (ret && code == FW_INVALID_PARAM && snp_cpuid_log_diff(m->log, &asked, page)) {
		code = 0;
		ret = update(m, KVM_SEV_SNP_PAGE_TYPE_CPUID, gpa, page, SNP_PAGE, &code);
	}
	return ret ? update_failed("the CPUID page", gpa, ret, code, err) : 0;
}

/* @page is zeroed. Without --kernel there is nothing to hash, and such a page is empty. */
static int add_section(const struct machine *m, const struct ovmf_section *s, void *page,
		       struct lkvm_error *err)
{
	u32 code = 0;
	int ret;

	if (s->type == OVMF_SNP_CPUID)
		return add_cpuid(m, s->gpa, page, err);
	if (s->type == OVMF_SNP_SECRETS)
		ret = update(m, KVM_SEV_SNP_PAGE_TYPE_SECRETS, s->gpa, page, s->size, &code);
	else
		ret = update(m, KVM_SEV_SNP_PAGE_TYPE_ZERO, s->gpa, NULL, s->size, &code);
	return ret ? update_failed(ovmf_section_name(s->type), s->gpa, ret, code, err) : 0;
}

static int add_sections(const struct machine *m, struct lkvm_error *err)
{
	const struct ovmf_sev *sev = &m->arch->snp->sev;
	void *page = aligned_alloc(SNP_PAGE, SNP_PAGE);
	int ret = 0;

	if (!page)
		return err_host(err, ENOMEM, "SNP guest");
	for (unsigned int i = 0; !ret && i < sev->n_sections; i++) {
		memset(page, 0, SNP_PAGE);
		ret = add_section(m, &sev->sections[i], page, err);
	}
	free(page);
	return ret;
}

/* ---- LAUNCH_FINISH --------------------------------------------------------------------- */

static int finish(const struct machine *m, struct lkvm_error *err)
{
	const struct lkvm_snp *cfg = &m->cfg->x86.snp;
	const struct snp *snp = m->arch->snp;
	struct kvm_sev_snp_launch_finish arg = { 0 };
	u32 code = 0;
	int ret;

	_Static_assert(sizeof(arg.host_data) == sizeof(cfg->host_data), "both are the report's");
	memcpy(arg.host_data, cfg->host_data, sizeof(arg.host_data));
	if (snp->has_id) {
		arg.id_block_en = 1;
		arg.auth_key_en = cfg->author_key;
		arg.id_block_uaddr = (uintptr_t)snp->id_block;
		arg.id_auth_uaddr = (uintptr_t)snp->id_auth;
	}
	ret = snp_command(m, KVM_SEV_SNP_LAUNCH_FINISH, &arg, &code);
	return ret ? snp_command_failed(snp->has_id ? "KVM_SEV_SNP_LAUNCH_FINISH with an ID block"
						    : "KVM_SEV_SNP_LAUNCH_FINISH",
					ret, code, err)
		   : 0;
}

static int write_report(const struct machine *m, struct lkvm_error *err)
{
	const struct lkvm_snp *cfg = &m->cfg->x86.snp;
	u8 report[MAX_REPORT];
	size_t len = 0;
	int ret = snp_report_request(&m->kvm, m->arch->snp->sev_fd, cfg->report_abi, report,
				     sizeof(report), &len, err);

	return ret ? ret : load_dump(m->cfg, "--snp-report", cfg->report, report, len, err);
}

int snp_launch(struct machine *m, struct lkvm_error *err)
{
	struct snp *snp = m->arch->snp;
	int ret = start(m, err);

	if (!ret)
		ret = add_firmware(m, err);
	if (!ret)
		ret = add_sections(m, err);
	if (!ret)
		ret = finish(m, err);
	free(snp->firmware);
	snp->firmware = NULL;
	if (!ret && m->cfg->x86.snp.report[0])
		ret = write_report(m, err);
	return ret;
}
