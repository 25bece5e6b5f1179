/*
 * snp_certs.c - the certificates that a guest gets with an extended attestation request.
 *
 * Whoever updates the platform's firmware replaces the file under a write lock. A reader keeps its
 * lock until KVM has passed the guest's request on, so that certificates and report are of the same
 * firmware (Documentation/virt/kvm/api.rst, KVM_EXIT_SNP_REQ_CERTS). That is file I/O on the vCPU's
 * thread, for the one thing it has to wait for: 64 KiB at most, and no waiting for the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/x86/snp_impl.h"

static int check_size(u64 size, const char *path, struct lkvm_error *err)
{
	return size && size <= SNP_CERTS_MAX
		       ? 0
		       : err_input(err, "--snp: certs=%.300s: has %llu bytes; must have 1 to %llu",
				   path, (unsigned long long)size,
				   (unsigned long long)SNP_CERTS_MAX);
}

static int open_file(struct image *img, const char *path, struct lkvm_error *err)
{
	*img = (struct image){ .what = "certificates", .path = path };
	/* NONBLOCK: opening a pipe that nobody writes to must not wait for a writer. */
	img->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (img->fd >= 0)
		return 0;
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return err_host(err, errno, "Fatal: Unable to open certificates %s", path);
	return err_input(err, "Fatal: Unable to open certificates %s (%s)", path, err_text(errno));
}

/*
 * The file under a read lock of its own descriptor, which closing gives back. -EAGAIN: not now.
 * Looked at when it is locked and no earlier: meanwhile it may be empty, or half of it there.
 */
static int open_locked(struct image *img, const char *path, struct lkvm_error *err)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct stat st;
	int ret = open_file(img, path, err);

	if (ret)
		return ret;
	if (fcntl(img->fd, F_OFD_SETLK, &lock) < 0)
		return errno == EAGAIN || errno == EACCES
			       ? -EAGAIN
			       : err_host(err, errno, "cannot lock %s", path);
	if (fstat(img->fd, &st) < 0)
		return err_host(err, errno, "certificates %s: fstat", path);
	if (!S_ISREG(st.st_mode))
		return err_input(err, "certificates %s: a regular file is needed", path);
	img->size = (u64)st.st_size;
	return check_size(img->size, path, err);
}

/* One that is being replaced is judged when the guest wants it. */
static int check_file(const char *path, struct lkvm_error *err)
{
	struct image img;
	int ret = open_locked(&img, path, err);

	image_close(&img);
	return ret == -EAGAIN ? 0 : ret;
}

int snp_certs_init(struct machine *m, struct lkvm_error *err)
{
	const char *path = m->cfg->x86.snp.certs;
	struct snp *snp = m->arch->snp;
	u64 unused = 0;
	u32 code = 0;
	int ret = check_file(path, err);

	if (ret)
		return ret;
	/* The number of this command once was another one's: it is given only to kernels that say
	 * so. */
	if (kvm_get_attr(&m->kvm, m->kvm.host->fd, KVM_X86_GRP_SEV, KVM_X86_SEV_SNP_REQ_CERTS,
			 &unused))
		return err_unsupported(err, ENOSYS,
				       "--snp: certs=%.300s: this host's KVM does not ask for "
				       "certificates; Linux 7.0 does",
				       path);
	snp->certs = malloc(SNP_CERTS_MAX);
	if (!snp->certs)
		return err_host(err, ENOMEM, "certificates");
	ret = snp_command(m, KVM_SEV_SNP_ENABLE_REQ_CERTS, NULL, &code);
	return ret ? snp_command_failed("KVM_SEV_SNP_ENABLE_REQ_CERTS", ret, code, err) : 0;
}

/* Into the guest's pages; what kvm_run->snp_req_certs.ret is told. */
static u64 give(struct vcpu *vcpu, struct image *img)
{
	struct machine *m = vcpu->machine;
	struct snp *snp = m->arch->snp;
	struct kvm_run *run = vcpu->run;
	struct lkvm_error err = { 0 };
	int ret = open_locked(img, m->cfg->x86.snp.certs, &err);
	u64 n_pages = align_up(img->size, SNP_PAGE) / SNP_PAGE;

	if (ret == -EAGAIN)
		return EAGAIN;
	if (!ret && n_pages > run->snp_req_certs.npages) {
		run->snp_req_certs.npages = n_pages;
		return ENOSPC;
	}
	if (!ret)
		ret = image_read(img, 0, snp->certs, img->size, &err);
	if (!ret) {
		memset(snp->certs + img->size, 0, n_pages * SNP_PAGE - img->size);
		/* the guest shares these pages, or sees nothing of it */
		if (!gmem_write(&m->gmem, run->snp_req_certs.gpa, snp->certs, n_pages * SNP_PAGE))
			return 0;
	}
	if (ratelimit_ok(&snp->limit))
		log_warn(m->log, "vCPU %u: the guest gets no certificates: %s", vcpu->index,
			 ret ? err.msg : "it wants them where there is no RAM");
	return EIO;
}

/*
 * KVM passes the request on when it is entered again; with immediate_exit that is all it does then.
 * A kick that comes meanwhile must not be lost: it sets vcpu->interrupt first.
 */
static enum vcpu_action pass_on(struct vcpu *vcpu)
{
	const struct kvm_backend *be = vcpu->machine->kvm.be;
	int ret;

	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	ret = be->ioctl(be->ctx, vcpu->fd, KVM_RUN, 0);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (atomic_load(&vcpu->interrupt))
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (ret == -EINTR)
		return VCPU_CONTINUE;
	machine_end(vcpu->machine, LKVM_CAUSE_HOST_ERROR, (u64)(ret < 0 ? -ret : EPROTO),
		    "vCPU %u: KVM_RUN with immediate_exit did not return at once (%s)", vcpu->index,
		    ret < 0 ? err_text(-ret) : "another exit");
	return VCPU_STOP;
}

void snp_certs_exit(struct vcpu *vcpu, enum vcpu_action *action)
{
	struct snp *snp = vcpu->machine->arch->snp;
	struct kvm_run *run = vcpu->run;
	struct image img = IMAGE_NONE;

	vcpu_note_exit(vcpu, KVM_EXIT_SNP_REQ_CERTS, 0, false, run->snp_req_certs.gpa,
		       run->snp_req_certs.npages);
	if (!snp->certs) {
		run->snp_req_certs.ret = EIO;
		return;
	}
	pthread_mutex_lock(&snp->certs_lock);
	run->snp_req_certs.ret = give(vcpu, &img);
	if (!run->snp_req_certs.ret)
		*action = pass_on(vcpu);
	image_close(&img);
	pthread_mutex_unlock(&snp->certs_lock);
}
