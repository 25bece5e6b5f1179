#!/bin/sh
# The split irqchip, and more processors than 8 bits can number, on the KVM at hand: local APICs are
# KVM's, the I/O APIC is not.
#
# Does not prove that a stock kernel gets along without PIC and PIT (check-bed). Where levels come
# again the guest spins: a KVM that emulates whole runs of instructions was seen to exit for an EOI
# only after the halt that followed it, which nothing ended.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"

for cap in split-irqchip x2apic-32bit-ids; do
	"$LKVM" caps --require $cap >"$T/out" 2>&1 || {
		echo "1..0 # SKIP this host's KVM has no $cap"
		exit 0
	}
done

printf Z >"$T/in"
guest irq -p "rx=1 pit=none" --irqchip split --timeout 60 <"$T/in"
is "edges come from the RTC" 0 'out:rtc 5'
is "and from the transmitter and the receiver of the serial port" 0 'out:tx 1 rx 1 Z'
guest irq -p "rx=1 pit=none level=1 spin=1" --irqchip split --timeout 60 <"$T/in"
is "levels that are not served come again after each EOI" 0 'out:again 5 tx 1 rx 1 Z'
guest irq -p "rx=1 level=1" --timeout 60 <"$T/in"
is "as they do with KVM's own I/O APIC" 0 'out:again 5 tx 1 rx 1 Z'

for cpus in 1 2 255; do
	guest smp -c $cpus -p "cpus=$cpus" --irqchip split --timeout 60
	is "$cpus processors start" 0 "out:smp: $cpus processors, highest APIC id $((cpus - 1))"
done
for cpus in 256 300; do
	guest smp -c $cpus -p "cpus=$cpus" --timeout 60
	is "$cpus processors start, by the x2APIC they find" 0 \
		"out:smp: $cpus processors, highest APIC id $((cpus - 1))"
done
guest smp -c 255,sockets=51,cores=5 -p "cpus=255" --timeout 60
is "with gaps between their ids that need more than 8 bits" 0 \
	'out:smp: 255 processors, highest APIC id 404'
guest irq -c 300 -p "pit=none level=1 spin=1" --timeout 60
is "and interrupts come with 32-bit ids" 0 'out:rtc 5 again 5 tx 1'

finish
