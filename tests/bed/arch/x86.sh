# tests/bed/arch/x86.sh - x86-64 as beds and guests need to know it; see load_arch()
# shellcheck shell=bash disable=SC2034,SC2154 # shared with the scripts that source it

deb_arch=amd64                         # Debian's name of the architecture
triplet=x86_64-linux-gnu                 # and its compiler's; "$triplet-gcc" is the native one, too
kernel_package="linux-image-cloud-amd64" # small, and what cloud machines run
kernel_suite=                            # that it is taken from by default: this machine's own
firmware_package=ovmf                    # for guests
console=ttyS0                            # of the bed
kvm_modules=(kvm_amd)

# One CPU, whose timer ticks whatever it does, for QEMU's emulation of SVM goes wrong now and then:
# - An interrupt is lost that comes while a machine with one of its own waiting is entered (7.2: the
#   CPU's thread writes interrupt_request without the lock that all others hold for it). A CPU was
#   found halted for ever with the vector of its timer in IRR. The next tick brings a lost one back.
# - With two CPUs, one finds pages absent that its page tables have, and dies of a triple fault: a
#   guest's in 7 of 300 starts with 256 processors, the bed's own in 2 of 130 with 8. Or it goes on
#   with an instruction that the other has patched away. 7.2 and 11.1 alike, and never with one CPU.
# Who needs two says so, for a short while.
bed_cpus=1
kernel_args='nohz=off highres=off'
qemu="qemu-system-x86_64"
qemu_packages="qemu-system-x86 qemu-system-data qemu-system-common"

# The CPU "max" has SVM and nested paging, all that kvm_amd asks for. One thread per CPU: sharing
# one, QEMU loses a nested guest's timer interrupts
qemu_machine=(-M q35 -cpu max -accel "tcg,thread=multi")

# arch_option NAME: there is one machine only
arch_option() {
	return 1
}

# stage_arch DIR: what a guest of this architecture needs besides busybox
stage_arch() {
	"$triplet-gcc" -static -O1 -o "$1/bin/outport" "$bed_dir/guest/x86/outport.c"
}
