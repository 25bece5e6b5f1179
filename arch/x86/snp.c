/* snp.c - what an SNP guest is asked for by: the config, its files, and what the host takes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/x86/snp_impl.h"
#include "vmm/snp.h"

static u64 policy_of(const struct lkvm_snp *snp)
{
	return snp->policy ? snp->policy : LKVM_SNP_POLICY_DEFAULT;
}

/* ---- the config ------------------------------------------------------------------------ */

static const char *bit_name(unsigned int bit)
{
	const char *name = lkvm_snp_policy_bit(bit);

	if (BIT(bit) & (SNP_POLICY_ABI_MINOR | SNP_POLICY_ABI_MAJOR))
		return BIT(bit) & SNP_POLICY_ABI_MINOR ? "ABI_MINOR" : "ABI_MAJOR";
	return name ? name : "reserved";
}

/* "SMT (16), DEBUG (19)" */
static const char *bit_names(u64 bits, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = 0;
	for (unsigned int bit = 0; bit < 64 && len < size; bit++) {
		if (bits & BIT(bit))
			len += (size_t)snprintf(buf + len, size - len, "%s%s (%u)", len ? ", " : "",
						bit_name(bit), bit);
	}
	return buf;
}

static int check_policy(u64 policy, struct lkvm_error *err)
{
	u64 unknown =
		policy & ~(SNP_POLICY_ABI_MINOR | SNP_POLICY_ABI_MAJOR | SNP_POLICY_RESERVED_1);
	char names[160];

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (lkvm_snp_policy_bit(bit))
			unknown &= ~BIT(bit);
	}
	if (unknown)
		return err_input(err, "--snp policy=0x%llx: must not have bits %s",
				 (unsigned long long)policy,
				 bit_names(unknown, names, sizeof(names)));
	if (!(policy & SNP_POLICY_RESERVED_1))
		return err_input(err, "--snp policy=0x%llx: bit 17 is reserved and must be 1",
				 (unsigned long long)policy);
	return 0;
}

/* A launch measures firmware; what comes beside it would be trusted without being measured. */
static int check_others(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	if (!cfg->firmware[0])
		return err_input(err, "--snp: needs --firmware with SEV metadata, such as OVMF");
	if (cfg->kernel[0])
		return err_input(err, "--snp: --kernel would not be measured; the firmware loads "
				      "kernels from a disk");
	if (cfg->hugetlbfs[0] || cfg->mem_backend == LKVM_MEM_ANON ||
	    cfg->mem_backend == LKVM_MEM_HUGETLBFS)
		return err_input(err, "--snp: --mem-backend must be guest-memfd, which is the "
				      "default with it, or memfd for what the guest shares");
	if (cfg->nested)
		return err_input(err, "--snp: an SNP guest cannot have --nested");
	return 0;
}

int snp_check(const struct lkvm_config *cfg, struct lkvm_error *err)
{
	const struct lkvm_snp *snp = &cfg->x86.snp;
	int ret;

	if (!snp->on)
		return snp->report[0]
			       ? err_input(err, "--snp-report %.300s: needs --snp", snp->report)
			       : 0;
	ret = check_policy(policy_of(snp), err);
	if (!ret)
		ret = check_others(cfg, err);
	if (ret)
		return ret;
	if (!snp->id_block[0] != !snp->id_auth[0])
		return err_input(err, "--snp: id-block= and id-auth= are given together or not");
	if (snp->author_key && !snp->id_auth[0])
		return err_input(err, "--snp: author-key needs id-block= and id-auth=");
	return 0;
}

/* ---- files ----------------------------------------------------------------------------- */

static int read_exactly(const char *option, const struct image *img, void *buf, size_t size,
			struct lkvm_error *err)
{
	if (img->size != size)
		return err_input(err, "--snp: %s%s: has %llu bytes; must have %zu", option,
				 img->path, (unsigned long long)img->size, size);
	return image_read(img, 0, buf, size, err);
}

/* The structs of the firmware ABI, tables 75 and 76. */
#define ID_BLOCK_VERSION 80 /* u32 */
#define ID_BLOCK_POLICY	 88 /* u64 */
#define ID_AUTH_ID_ALGO	 0  /* u32 */
#define ID_AUTH_KEY_ALGO 4  /* u32, with an author key */
#define ALGO_P384_SHA384 1

/* What LAUNCH_FINISH would refuse with a code that says little. */
static int check_id(const struct snp *snp, const struct lkvm_snp *cfg, struct lkvm_error *err)
{
	u64 policy = get_le64(snp->id_block + ID_BLOCK_POLICY);

	if (get_le32(snp->id_block + ID_BLOCK_VERSION) != 1)
		return err_input(err, "--snp: id-block=%.300s: is of version %u; must be 1",
				 cfg->id_block, get_le32(snp->id_block + ID_BLOCK_VERSION));
	if (policy != snp->policy)
		return err_input(err,
				 "--snp: id-block=%.300s: is for policy 0x%llx, and the guest's is "
				 "0x%llx",
				 cfg->id_block, (unsigned long long)policy,
				 (unsigned long long)snp->policy);
	if (get_le32(snp->id_auth + ID_AUTH_ID_ALGO) != ALGO_P384_SHA384 ||
	    (cfg->author_key && get_le32(snp->id_auth + ID_AUTH_KEY_ALGO) != ALGO_P384_SHA384))
		return err_input(
			err,
			"--snp: id-auth=%.300s: has a key that is not for ECDSA P-384 with "
			"SHA-384",
			cfg->id_auth);
	return 0;
}

/* From the files of the first boot: a restart finds them as they were, whatever has their names. */
static int read_id(const struct machine *m, struct lkvm_error *err)
{
	const struct lkvm_snp *cfg = &m->cfg->x86.snp;
	struct snp *snp = m->arch->snp;
	int ret;

	if (!cfg->id_block[0])
		return 0;
	ret = read_exactly("id-block=", m->env->id_block, snp->id_block, sizeof(snp->id_block),
			   err);
	if (!ret)
		ret = read_exactly("id-auth=", m->env->id_auth, snp->id_auth, sizeof(snp->id_auth),
				   err);
	if (!ret)
		ret = check_id(snp, cfg, err);
	snp->has_id = !ret;
	return ret;
}

static int check_sections(const struct machine *m, struct lkvm_error *err)
{
	const struct ovmf_sev *sev = &m->arch->snp->sev;

	for (unsigned int i = 0; i < sev->n_sections; i++) {
		const struct ovmf_section *s = &sev->sections[i];

		if (!gmem_contains(&m->gmem, s->gpa, s->size) ||
		    ranges_overlap(s->gpa, s->size, 4 * GIB - m->arch->snp->firmware_size,
				   m->arch->snp->firmware_size))
			return err_input(
				err,
				"--firmware %.300s: wants %s at 0x%llx, 0x%llx bytes; --mem "
				"has no RAM there",
				m->cfg->firmware, ovmf_section_name(s->type),
				(unsigned long long)s->gpa, (unsigned long long)s->size);
	}
	return 0;
}

static int read_firmware(const struct machine *m, struct lkvm_error *err)
{
	const struct image *img = m->env->firmware;
	struct snp *snp = m->arch->snp;
	int ret;

	/* whole pages, and no more than fit: x86_firmware_add_memory() has seen to it */
	snp->firmware = aligned_alloc(SNP_PAGE, img->size);
	if (!snp->firmware)
		return err_host(err, ENOMEM, "firmware %s", m->cfg->firmware);
	snp->firmware_size = img->size;
	ret = image_read(img, 0, snp->firmware, img->size, err);
	if (!ret)
		ret = ovmf_read_sev(snp->firmware, snp->firmware_size, m->cfg->firmware, &snp->sev,
				    err);
	return ret ? ret : check_sections(m, err);
}

/* ---- the host -------------------------------------------------------------------------- */

int snp_vm_type(const struct kvm_host *host, unsigned long *type, struct lkvm_error *err)
{
	const struct kvm_backend *be = host->be;
	int types = be->ioctl(be->ctx, host->fd, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES);

	if (types <= 0 || !((unsigned int)types & BIT(KVM_X86_SNP_VM)))
		return err_unsupported(err, ENODEV,
				       "--snp: this host's KVM makes no SEV-SNP guests; that takes "
				       "an AMD CPU with SEV-SNP on in its firmware, Linux 6.11 or "
				       "later, and kvm_amd loaded with sev_snp=1");
	*type = KVM_X86_SNP_VM;
	return 0;
}

static int open_sev(const struct machine *m, struct lkvm_error *err)
{
	const char *path = m->kvm.be->sev ? m->kvm.be->sev : "/dev/sev";
	int fd = open(path, O_RDWR | O_CLOEXEC);

	m->arch->snp->sev_fd = fd;
	if (fd >= 0)
		return 0;
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return err_host(err, errno, "cannot open %s", path);
	return err_unsupported(err, errno,
			       "--snp: cannot open %s (%s): SEV commands go through it; it takes "
			       "the ccp driver and, mostly, root",
			       path, err_text(errno));
}

static int get_attr(const struct machine *m, u64 attr, u64 *value)
{
	return kvm_get_attr(&m->kvm, m->kvm.host->fd, KVM_X86_GRP_SEV, attr, value);
}

/* Kernels before 6.17 do not say which bits they take; then LAUNCH_START shows it. */
static int check_policy_bits(const struct machine *m, struct lkvm_error *err)
{
	u64 policy = m->arch->snp->policy, taken = 0;
	char names[160];

	if (get_attr(m, KVM_X86_SNP_POLICY_BITS, &taken) || !(policy & ~taken))
		return 0;
	return err_unsupported(err, EINVAL,
			       "--snp: policy 0x%llx: this host's KVM does not take bits %s",
			       (unsigned long long)policy,
			       bit_names(policy & ~taken, names, sizeof(names)));
}

/* Page-state changes come to us as a hypercall: a guest cannot share a page without. */
static int init_hypercall(const struct machine *m, struct lkvm_error *err)
{
	int mask = kvm_check(&m->kvm, KVM_CAP_EXIT_HYPERCALL);
	int ret;

	if (!((unsigned int)mask & BIT(KVM_HC_MAP_GPA_RANGE)))
		return err_unsupported(err, ENOSYS,
				       "--snp: this host's KVM does not pass on page-state changes "
				       "(KVM_HC_MAP_GPA_RANGE)");
	ret = kvm_enable_cap(&m->kvm, KVM_CAP_EXIT_HYPERCALL, BIT(KVM_HC_MAP_GPA_RANGE), err);
	return ret < 0 ? ret : 0;
}

/* No VMSA features and KVM's own GHCB version: what every guest since Linux 5.19 understands. */
static int init_sev(const struct machine *m, struct lkvm_error *err)
{
	struct kvm_sev_init init = { 0 };
	u32 code = 0;
	int ret = snp_command(m, KVM_SEV_INIT2, &init, &code);

	return ret ? snp_command_failed("KVM_SEV_INIT2", ret, code, err) : 0;
}

int snp_init(struct machine *m, struct lkvm_error *err)
{
	const struct lkvm_snp *cfg = &m->cfg->x86.snp;
	struct snp *snp = calloc(1, sizeof(*snp));
	int ret;

	if (!snp)
		return err_host(err, ENOMEM, "SNP guest");
	m->arch->snp = snp;
	snp->sev_fd = -1;
	pthread_mutex_init(&snp->certs_lock, NULL);
	snp->policy = policy_of(cfg);
	snp->faults = calloc(m->cfg->n_vcpus, sizeof(*snp->faults));
	if (!snp->faults)
		return err_host(err, ENOMEM, "SNP guest");
	ret = read_firmware(m, err);
	if (!ret)
		ret = read_id(m, err);
	if (!ret)
		ret = check_policy_bits(m, err);
	if (!ret)
		ret = open_sev(m, err);
	if (!ret)
		ret = init_hypercall(m, err);
	if (!ret)
		ret = init_sev(m, err);
	if (!ret && cfg->certs[0])
		ret = snp_certs_init(m, err);
	return ret;
}

void snp_fini(struct snp *snp)
{
	if (!snp)
		return;
	if (snp->sev_fd >= 0)
		close(snp->sev_fd);
	pthread_mutex_destroy(&snp->certs_lock);
	free(snp->certs);
	free(snp->faults);
	free(snp->firmware);
	free(snp);
}
