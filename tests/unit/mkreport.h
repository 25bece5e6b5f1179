/* mkreport.h - a made-up SNP attestation report, no two fields of which are alike. */
#ifndef LKVM_TESTS_MKREPORT_H
#define LKVM_TESTS_MKREPORT_H

#include <lkvm.h>

#include "vmm/base.h"

#define MKREPORT_HEADER 32 /* MSG_REPORT_RSP before the report */

/* Of version 3, asked for by the hypervisor, without a signature; a CPU of family 0x19. */
static inline void mkreport(u8 *r)
{
	for (size_t i = 0; i < LKVM_SNP_REPORT_LEN; i++)
		r[i] = 0;
	for (size_t i = 0x50; i < 0x180; i++)
		r[i] = (u8)(i * 7 + (i >> 8));
	for (size_t i = 0; i < 16; i++) {
		r[0x10 + i] = (u8)(0xa0 + i);
		r[0x20 + i] = (u8)(0xb0 + i);
	}
	for (size_t i = 0; i < 64; i++)
		r[0x1a0 + i] = (u8)(0x40 + i);
	put_le32(r, 3);
	put_le32(r + 0x04, 9);
	put_le64(r + 0x08, 0x1f0000 | 1 << 8 | 51); /* all of bits 16 to 20, ABI 1.51 */
	put_le32(r + 0x30, UINT32_MAX);
	put_le32(r + 0x34, 1);
	put_le64(r + 0x38, 0x4815000000000401);	 /* current */
	put_le64(r + 0x40, 0x25);		 /* SMT_EN, ECC_EN, ALIAS_CHECK_COMPLETE */
	put_le32(r + 0x48, 1);			 /* an author key; signed by the VCEK */
	put_le64(r + 0x180, 0x4714000000000302); /* reported */
	r[0x188] = 0x19;
	r[0x189] = 0x11;
	r[0x18a] = 2;
	put_le64(r + 0x1e0, 0x4613000000000203); /* committed */
	put_le32(r + 0x1e8, 0x01371f);		 /* current firmware: build, minor, major */
	put_le32(r + 0x1ec, 0x01361e);
	put_le64(r + 0x1f0, 0x4512000000000104); /* launch */
}

/* The same behind its header: LKVM_SNP_REPORT_LEN + MKREPORT_HEADER bytes. */
static inline void mkreport_framed(u8 *buf)
{
	memset(buf, 0, MKREPORT_HEADER);
	put_le32(buf + 4, LKVM_SNP_REPORT_LEN);
	mkreport(buf + MKREPORT_HEADER);
}

#endif
