# tests/bed/arch/x86.sh - x86-64 as beds and guests need to know it; see load_arch()
# shellcheck shell=bash disable=SC2034,SC2154 # shared with the scripts that source it

deb_arch=amd64                         # Debian's name of the architecture
kernel_package=linux-image-cloud-amd64 # small, and what cloud machines run
console=ttyS0
kvm_modules=(kvm_amd)
qemu=${QEMU:-qemu-system-x86_64}

# qemu_machine: sets the array of that name. The CPU "max" has SVM and nested paging, all that
# kvm_amd asks for. One thread per CPU: sharing one, QEMU 7.2 loses a nested guest's timer
# interrupts, and every other stock kernel hangs. Before QEMU 10 a nested guest's XSETBV does not
# exit to its KVM, which goes on with another XCR0 than the guest's (Linux 7.2 dies of it, 6.1 gives
# up XSAVE); there XSAVE and what needs it is hidden
qemu_machine() {
	local cpu=max
	case $("$qemu" --version) in
	*" version "[0-9].*)
		cpu+=,-xsave,-xsaveopt,-xgetbv1,-avx,-avx2,-f16c,-fma,-pku,-vaes,-vpclmulqdq
		;;
	esac
	qemu_machine=(-M q35 -cpu "$cpu" -accel "tcg,thread=multi")
}

# stage_arch DIR: what a guest of this architecture needs besides busybox
stage_arch() {
	"${CROSS_COMPILE-}gcc" -static -O1 -o "$1/bin/outport" "$bed_dir/guest/x86/outport.c"
}
