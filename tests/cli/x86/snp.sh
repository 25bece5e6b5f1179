#!/bin/sh
# --snp and its keys: what is refused, what KVM is asked for, and how a guest ends that gives up.
#
# Does not prove that a guest can be launched: the host is a fake (tests/unit/x86/test_snp.c).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib
export FAKEKVM=amd-snp FAKEKVM_LOG="$T/log"

# at BACK OCTALS: bytes of the firmware, counted from its end
at() {
	# shellcheck disable=SC2059 # octal escapes
	printf "$2" | dd of="$F" bs=1 seek=$((65536 - $1)) conv=notrunc status=none
}

# What OVMF has at the end: a table with one entry, which leads to the pages a launch needs.
F=$T/firmware.fd
truncate -s 65536 "$F"
at 48 '\336\202\265\226\262\037\367\105\272\352\243\146\305\132\010\055' # footer
at 50 '\050\000'
at 66 '\146\145\210\334\112\230\230\107\247\136\125\205\247\277\147\314' # SEV metadata
at 72 '\000\001\000\000\026\000'
at 256 'ASEV\050\000\000\000\001\000\000\000\002\000\000\000'
at 240 '\000\320\200\000\000\020\000\000\002\000\000\000' # secrets
at 228 '\000\340\200\000\000\020\000\000\003\000\000\000' # CPUID

# launched COMMANDS OPTION...: the guest runs, and the log has these
launched() {
	want=$1
	shift
	vm -f "$F" "$@"
	is "launched: $*" 0 'report:"cause": "power-off"'
	grep -qF -- "$want" "$T/log" && why= || why='it is not; '
	verdict "... by $want" "$why"
}

launched 'KVM_MEMORY_ENCRYPT_OP 100 policy 0x30000 = 0' --snp
launched '100 policy 0x30000 = 0' --snp=smt=on
launched '100 policy 0x120000 = 0' --snp=smt=off,single-socket=on
launched '100 policy 0xb0000 = 0' --snp=debug=on
launched '100 policy 0x3ff00 = 0' --snp,policy=0x3ff00
launched 'host-data 0xab = 0' --snp="host-data=ab$(printf '%062d' 0)"
launched 'KVM_CREATE_VM 4 = vm' --snp --mem-backend memfd
launched 'KVM_CREATE_VM 4 = vm' --snp --mem-backend guest-memfd
launched 'KVM_ENABLE_CAP 121 0x18 = 0' --snp
launched 'KVM_CREATE_IRQCHIP' --snp --irqchip kernel
printf cert >"$T/certs"
launched 'KVM_MEMORY_ENCRYPT_OP 103 = 0' --snp="certs=$T/certs"

refused 'bit 17 is reserved and must be 1' run -f "$F" --snp=policy=0x10000
refused 'policy=0x8000000000030000: must not have bits' run -f "$F" --snp=policy=0x8000000000030000
refused '--snp' run -f "$F" --snp=policy=many
refused '--snp' run -f "$F" --snp=smt=maybe
refused '--snp' run -f "$F" --snp=host-data=ab
refused '--snp' run -f "$F" --snp=colour=red
refused 'needs --firmware' run -k "$K" --snp
refused '--mem-backend must be guest-memfd' run -f "$F" --snp --mem-backend anon
refused '--mem-backend must be guest-memfd' run -f "$F" --snp --mem-backend hugetlbfs
refused '--nested' run -f "$F" --snp --nested
refused 'are given together' run -f "$F" --snp="id-block=$F"
refused 'must have 96' run -f "$F" --snp="id-block=$F,id-auth=$F"
refused 'needs --snp' run -f "$F" --snp-report "$T/report"
truncate -s 65537 "$T/large"
refused 'has 65537 bytes; must have 1 to 65536' run -f "$F" --snp="certs=$T/large"
refused 'Unable to open' run -f "$F" --snp="certs=$T/nowhere"
truncate -s 65536 "$T/plain"
refused 'has no SEV metadata' run -f "$T/plain" --snp
refused 'wants SNP_SECRETS at 0x80d000' run -f "$F" -m 8M --snp

for host in amd intel; do
	FAKEKVM=$host vm -f "$F" --snp
	is "$host has no SEV-SNP" 126 'err:kvm_amd loaded with sev_snp=1'
done

FAKEKVM_SCRIPT='exit 13' vm -f "$F" --snp
is 'an exit nobody knows is an internal error' 115
FAKEKVM_SCRIPT='memfault 0xd0000000' vm -f "$F" --snp
is 'memory that is none is an internal error' 115 'err:0xd0000000 as shared memory: there is no RAM'
FAKEKVM_SCRIPT='system-event 6' vm -f "$F" --snp
is 'a guest that asks to be terminated ends with 113' 113 'err:reason 0:0 (no more is said)'
finish
