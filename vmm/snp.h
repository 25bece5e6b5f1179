/*
 * snp.h - words of AMD's SEV-SNP that are the same on every host: policies, firmware codes, reports
 * (layer 2). Pure functions; "SEV Secure Nested Paging Firmware ABI Specification" (AMD 56860).
 */
#ifndef LKVM_VMM_SNP_H
#define LKVM_VMM_SNP_H

#include "vmm/base.h"
#include "vmm/err.h"

/* Bits of a guest policy (table 9). */
#define SNP_POLICY_ABI_MINOR  0xffull
#define SNP_POLICY_ABI_MAJOR  0xff00ull
#define SNP_POLICY_RESERVED_1 BIT(17) /* must be 1 */

/* "POLICY_FAILURE" for 7, "NO_FW_CALL" for -1; "unknown code" else. Table of SEV_STATUS codes. */
const char *snp_firmware_code_name(u32 code);

/* ---- Attestation reports (table 23) ---- */

/* What MSG_REPORT_RSP has before the report (table 24): status, bytes of the report, reserved. */
#define SNP_REPORT_HEADER_LEN  32
#define SNP_REPORT_STATUS      0 /* u32: a status code */
#define SNP_REPORT_SIZE	       4 /* u32 */
#define SNP_REPORT_MAX_VERSION 5 /* that is known here; later ones add to it */

#define SNP_REPORT_SIGNED    0x2a0 /* bytes from the start that the signature is of; it follows */
#define SNP_SIGNATURE_P384   1	   /* SIGNATURE_ALGO: ECDSA P-384 with SHA-384 */
#define SNP_SIGNING_KEY_NONE 7

/*
 * Where in @len bytes the LKVM_SNP_REPORT_LEN bytes of a report begin: raw, or behind a header.
 * NULL with an LKVM_ERR_INPUT for what is none.
 */
const u8 *snp_report_find(const void *data, size_t len, struct lkvm_error *err);

#endif
