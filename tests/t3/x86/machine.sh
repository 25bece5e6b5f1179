#!/bin/sh
# The machine as a guest finds it: boot protocols, memory, initrd, processors, interrupts, exits.
#
# Does not prove that its tables suit a stock kernel (check-bed). What the guests find is not taken
# from ACPI: they know where things are.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"

guest probe
case $HOST_KIND in
full) is "KVM can run a stock kernel" 0 'out:probe: fine' ;;
*) skip "KVM can run a stock kernel" "$(sed -n 's/^probe: //p' "$T/out" | tail -n 1)" ;;
esac

guest hello -p "one  two=2 three"
is "an ELF file is entered by the 64-bit protocol, with its command line" 0 \
	'out:hello by linux64: one  two=2 three'
guest hello.pvh -p "one two"
is "one with the note is entered by PVH, with its command line" 0 'out:hello by pvh: one two'
guest hello.pvh --boot linux64 -p "one"
is "unless --boot says otherwise" 0 'out:hello by linux64: one'
guest hello --boot pvh
is "--boot pvh without the note is refused" 120
guest hello
is "no command line is an empty one" 0 'out:hello by linux64: '

head -c 5000 /dev/urandom >"$T/initrd"
sum="out:initrd 5000 adler32 $(adler32 "$T/initrd")"
for kind in mem mem.pvh; do
	guest $kind -m 64 -i "$T/initrd"
	is "$kind: 64 MiB, and the initrd is what the file is" 0 "$sum" 'out:ram 0x100000 + 0x3f00000'
	guest $kind -m 4M
	is "$kind: the least memory is there" 0 'out:ram 0x100000 + 0x300000'
	guest $kind -m 3G
	is "$kind: 3 GiB reach up to the hole" 0 'out:ram 0x100000 + 0xbff00000'
	guest $kind -m 6G -i "$T/initrd"
	is "$kind: 6 GiB go on above it" 0 "$sum" 'out:ram 0x100000 + 0xbff00000' \
		'out:ram 0x100000000 + 0xc0000000'
done

for cpus in 1 2 8 255; do
	guest smp -c $cpus -p "cpus=$cpus" --timeout 60
	is "$cpus processors start" 0 "out:smp: $cpus processors, highest APIC id $((cpus - 1))"
done
guest smp -c 6,sockets=2,cores=3 -p "cpus=6" --timeout 60
is "with gaps between their APIC ids" 0 'out:smp: 6 processors, highest APIC id 6'
guest nmi -c 2 -p "n=3" --timeout 60
is "an NMI to a processor that was not started does no harm" 0 'out:nmi: still here'
guest nmi -c 2 -p "sipi=1 n=100" --timeout 60
is "nor do start-up IPIs without INIT" 0 'out:nmi: still here'
guest smp.pvh -c 2 -p "cpus=2" --timeout 60
is "and so they do after PVH" 0 'out:smp: 2 processors'
guest smp -c 2 -p "cpus=2 x2apic=1" --timeout 60
is "and by x2APIC" 0 'out:smp: 2 processors'

printf Z >"$T/in"
guest irq -p "rx=1" --timeout 60 <"$T/in"
is "interrupts come from the PIT" 0 'out:pit 5'
is "interrupts come from the RTC" 0 'out:rtc 5'
is "interrupts come from the transmitter of the serial port" 0 'out:tx 1'
is "interrupts come from the receiver of the serial port" 0 'out:rx 1 Z'

for dir in in out; do
	guest pio -p "port=0x5f8 n=1000 dir=$dir"
	is "an access to no port goes nowhere ($dir)" 0 'report:"unclaimed_accesses": 1000,'
	guest mmio -p "n=1000 dir=$dir"
	is "an access to no memory goes nowhere ($dir)" 0 'report:"unclaimed_accesses": 1000,'
done

finish
