# tests/bed/arch/arm64.sh - arm64 as beds and guests need to know it; see load_arch()
# shellcheck shell=bash disable=SC2034,SC2154 # shared with the scripts that source it

deb_arch=arm64
triplet=aarch64-linux-gnu
kernel_package="linux-image-cloud-arm64"
kernel_suite=trixie-backports # KVM offers EL2 to guests since Linux 6.16
firmware_package=             # for guests
console=ttyAMA0               # the bed's; a guest of lkvm has ttyS0
kvm_modules=()                # Debian builds it in
kernel_args="kvm-arm.mode=nested"
qemu="qemu-system-aarch64"
qemu_packages="qemu-system-arm qemu-system-data qemu-system-common"
bed_cpus=2

# The CPU "max" has EL2, VHE and nested virtualization. Pointer authentication is by QEMU's own
# quick algorithm; SVE, SME and 52-bit addresses are left out, for they make emulation slow
qemu_machine=(-M "virt,virtualization=on,gic-version=3"
	-cpu "max,pauth-impdef=on,sve=off,sme=off,lpa2=off" -accel "tcg,thread=multi")

# arch_option NAME: another machine than the usual one
#   gicv2      it has a GICv2, and so have its guests
#   no-nested  its KVM has no nested virtualization to offer
arch_option() {
	case $1 in
	gicv2) qemu_machine+=(-M gic-version=2) ;;
	no-nested) kernel_args='' ;;
	*) return 1 ;;
	esac
}

# stage_arch DIR: what a guest of this architecture needs besides busybox
stage_arch() {
	"$triplet-gcc" -static -O1 -o "$1/bin/outreg" "$bed_dir/guest/arm64/outreg.c"
}
