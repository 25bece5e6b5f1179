#include "vmm/snp.h"

/* Table 9, from bit 16 on: below is the version of the ABI. */
static const char *const policy_bits[64] = {
	[16] = "SMT",		[18] = "MIGRATE_MA",	    [19] = "DEBUG",
	[20] = "SINGLE_SOCKET", [21] = "CXL_ALLOW",	    [22] = "MEM_AES_256_XTS",
	[23] = "RAPL_DIS",	[24] = "CIPHERTEXT_HIDING", [25] = "PAGE_SWAP_DISABLE",
};

const char *lkvm_snp_policy_bit(unsigned int bit)
{
	return bit < ARRAY_SIZE(policy_bits) ? policy_bits[bit] : NULL;
}

/* The firmware's status codes; from 0x30 on those of SEV-TIO. */
static const char *const codes[] = {
	[0x00] = "SUCCESS",
	[0x01] = "INVALID_PLATFORM_STATE",
	[0x02] = "INVALID_GUEST_STATE",
	[0x03] = "INVALID_CONFIG",
	[0x04] = "INVALID_LEN",
	[0x05] = "ALREADY_OWNED",
	[0x06] = "INVALID_CERTIFICATE",
	[0x07] = "POLICY_FAILURE",
	[0x08] = "INACTIVE",
	[0x09] = "INVALID_ADDRESS",
	[0x0a] = "BAD_SIGNATURE",
	[0x0b] = "BAD_MEASUREMENT",
	[0x0c] = "ASID_OWNED",
	[0x0d] = "INVALID_ASID",
	[0x0e] = "WBINVD_REQUIRED",
	[0x0f] = "DFFLUSH_REQUIRED",
	[0x10] = "INVALID_GUEST",
	[0x11] = "INVALID_COMMAND",
	[0x12] = "ACTIVE",
	[0x13] = "HW_PLATFORM",
	[0x14] = "HW_UNSAFE",
	[0x15] = "UNSUPPORTED",
	[0x16] = "INVALID_PARAM",
	[0x17] = "RESOURCE_LIMIT",
	[0x18] = "SECURE_DATA_INVALID",
	[0x19] = "INVALID_PAGE_SIZE",
	[0x1a] = "INVALID_PAGE_STATE",
	[0x1b] = "INVALID_MDATA_ENTRY",
	[0x1c] = "INVALID_PAGE_OWNER",
	[0x1d] = "AEAD_OFLOW",
	[0x1f] = "EXIT_RING_BUFFER",
	[0x20] = "RMP_INIT_REQUIRED",
	[0x21] = "BAD_SVN",
	[0x22] = "BAD_VERSION",
	[0x23] = "SHUTDOWN_REQUIRED",
	[0x24] = "UPDATE_FAILED",
	[0x25] = "RESTORE_REQUIRED",
	[0x26] = "RMP_INITIALIZATION_FAILED",
	[0x27] = "INVALID_KEY",
	[0x28] = "SHUTDOWN_INCOMPLETE",
	[0x30] = "INCORRECT_BUFFER_LENGTH",
	[0x31] = "EXPAND_BUFFER_LENGTH_REQUEST",
	[0x32] = "SPDM_REQUEST",
	[0x33] = "SPDM_ERROR",
	[0x35] = "ERR_IN_DEV_CONN",
	[0x36] = "INVALID_DEV_CTX",
	[0x37] = "INVALID_TDI_CTX",
	[0x38] = "INVALID_TDI",
	[0x39] = "RECLAIM_REQUIRED",
	[0x3a] = "IN_USE",
	[0x3b] = "INVALID_DEV_STATE",
	[0x3c] = "INVALID_TDI_STATE",
	[0x3d] = "DEV_CERT_CHANGED",
	[0x3e] = "RESYNC_REQ",
	[0x3f] = "RESPONSE_TOO_LARGE",
};

const char *snp_firmware_code_name(u32 code)
{
	/* what the kernel says when it did not come so far as to ask the firmware */
	if (code == UINT32_MAX)
		return "NO_FW_CALL";
	return code < ARRAY_SIZE(codes) && codes[code] ? codes[code] : "unknown code";
}
