# shellcheck shell=bash
# hostkind.sh - sourced: sets HOST_KIND to what this host's KVM can do, for tests/skips.
#
#	nokvm  /dev/kvm cannot be used, or is not for guests of LKVM_ARCH
#	slow   KVM works, but cannot run a stock kernel (its probe guest fails): a KVM in
#	       software that emulates privileged code, for instance
#	full   KVM runs stock kernels
#
# Decided by running the probe guest, never by vendor or module name. Needs a built lkvm.
if [ -z "${HOST_KIND-}" ]; then
	case $(uname -m) in
	x86_64) own_arch=x86 ;;
	aarch64) own_arch=arm64 ;;
	*) own_arch=$(uname -m) ;;
	esac
	probe=${LKVM_BUILD:-build/$own_arch}/tests/guests/probe.elf
	if [ "${LKVM_ARCH:-$own_arch}" != "$own_arch" ] || ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
		HOST_KIND=nokvm
	elif "${LKVM:-./lkvm}" run -k "$probe" --debug-exit --timeout=10 </dev/null >/dev/null 2>&1; then
		HOST_KIND=full
	else
		HOST_KIND=slow
	fi
	export HOST_KIND
fi
