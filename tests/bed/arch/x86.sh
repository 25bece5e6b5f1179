# tests/bed/arch/x86.sh - x86-64 as beds and guests need to know it; see load_arch()
# shellcheck shell=bash disable=SC2034,SC2154 # shared with the scripts that source it

deb_arch=amd64                         # Debian's name of the architecture
kernel_package="linux-image-cloud-amd64" # small, and what cloud machines run
console=ttyS0
kvm_modules=(kvm_amd)
qemu="qemu-system-x86_64"
qemu_packages="qemu-system-x86 qemu-system-data qemu-system-common"

# The CPU "max" has SVM and nested paging, all that kvm_amd asks for. One thread per CPU: sharing
# one, QEMU loses a nested guest's timer interrupts
qemu_machine=(-M q35 -cpu max -accel "tcg,thread=multi")

# stage_arch DIR: what a guest of this architecture needs besides busybox
stage_arch() {
	"${CROSS_COMPILE-}gcc" -static -O1 -o "$1/bin/outport" "$bed_dir/guest/x86/outport.c"
}
