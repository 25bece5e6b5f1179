#!/bin/sh
# What is said on the command line of an arm64 machine about its processors and interrupt controller,
# as a guest sees it: EL2, GIC, counters, PMU, SVE, stolen time.
#
# Does not prove that guests can use what they see (check-bed), nor what this host lacks; what lkvm
# says then is looked at.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"

# have FEATURE: this host's KVM has it, as lkvm says
have() {
	"$LKVM" caps --require "$1" >"$T/caps" 2>&1
}

# field NAME: the number after NAME in what the guest said
field() {
	sed -n "s/.*$1 \([0-9]*\).*/\1/p" "$T/out"
}

guest el
is "guests start at EL1" 1 'out:el: EL1, PSCI by HVC, version 0x1000'
guest el --e2h0
is "so they do with --e2h0 alone, which is ignored" 1 'out:el: EL1' 'err:--e2h0'

if have nested; then
	guest el --nested
	is "--nested: they start at EL2" 2 'out:el: EL2, VHE, PSCI by SMC'
	guest hello --nested -p "one two"
	is "... and power off" 0 'out:hello by fdt: one two' 'out:at 0x80000000, EL2'
	guest irq --nested --timeout 60
	is "... interrupts come there" 0 'out:virtual 5 physical 5 rtc 5 alarm 1 tx 1'
	guest smp --nested -c 3 -p "say=1" --timeout 60
	is "... all processors start there" 0 'out:hello from processor 2 at EL2'
	guest reset --nested -p "how=psci"
	is "... and reset" 112
else
	guest el --nested
	is "--nested: this host has no such thing, and lkvm says so" 126 'err:--nested'
fi
if have nested,e2h0; then
	guest el --nested --e2h0
	is "--nested --e2h0: EL2 without VHE" 2 'out:el: EL2, no VHE'
	guest irq --nested --e2h0 --timeout 60
	is "... interrupts come there" 0 'out:virtual 5 physical 5'
fi

for kind in gicv2 gicv2m gicv3 gicv3-its; do
	case $kind in
	gicv3-its) feature=gicv3,its ;;
	gicv2m) feature=gicv2 ;;
	*) feature=$kind ;;
	esac
	if have $feature; then
		guest irq --irqchip $kind -c 2 --timeout 60
		is "--irqchip $kind: interrupts come" 0 'out:virtual 5 physical 5 rtc 5'
	else
		guest irq --irqchip $kind
		is "--irqchip $kind: this host has none, and lkvm says so" 126 "err:--irqchip $kind"
	fi
done

guest counter
is "there are counters" 0 'out:counter: virtual' 'out: frequency'
if have counter-offset; then
	# More than this host can have been up. The physical counter ought to move too, but in the
	# bed does not (QEMU looks at SCR_EL3.ECVEn, and the bed has no EL3): not looked at.
	guest counter --counter-offset 0x4000000000000000
	is "--counter-offset moves the virtual counter" 0
	# 2^64 less the offset, and how long this host has been up, as far as awk can tell
	why=$(awk -v at="$(field virtual)" -v hz="$(field frequency)" 'BEGIN {
		up = at - 13835058055282163712
		if (at == "" || up < -65536 || up > hz * 86400 * 3650)
			print "it is at " at "; " }')
	verdict "... by as much" "$why"
fi

if have pmu; then
	guest pmu
	is "there is no PMU unless asked for" 2 'out:pmu: none'
	guest pmu --pmu
	is "--pmu: it counts cycles" 0 'out:pmu: cycles'
	guest pmu --pmu=counters=3
	is "--pmu=counters=3: there are three" 0 'out:counters 3 events'
	guest pmu --pmu=counters=31
	is "more than there are is refused, and lkvm says how many there are" 120 \
		'err:event counters'
	guest pmu --pmu=filter=deny:0x11-0x11
	is "--pmu=filter=deny: what is denied does not count" 1 'out:pmu: cycles 0'
else
	guest pmu --pmu
	is "--pmu: this host has none, and lkvm says so" 126 'err:--pmu'
fi
guest pmu --pmu-partition 4
if have pmu-partition-ioctl || have pmu-partition-attr; then
	is "--pmu-partition 4: there are four" 0 'out:counters 4 events'
else
	is "--pmu-partition: this host has none, and lkvm says so" 126 'err:--pmu-partition'
fi

guest sve
if have sve; then
	is "SVE is there" 0
	guest sve --sve-max-vl 128
	is "--sve-max-vl 128" 0 'out:sve: 128 bits'
else
	is "without SVE there is none" 0 'out:sve: 0 bits'
	guest sve --sve-max-vl 128
	is "--sve-max-vl: this host has no SVE, and lkvm says so" 126 'err:--sve-max-vl'
fi
if have mte; then
	guest sve
	! grep -q 'mte: 0' "$T/out" && why= || why='mte: 0; '
	verdict "memory tagging is there" "$why"
fi
guest sve --disable-mte
is "--disable-mte: there is none" 0 'out:mte: 0'

if have steal-time; then
	guest pvtime -c 2
	is "the stolen time is told" 0 'out:pvtime: record at 0x1020000'
fi
guest pvtime --no-pvtime
is "--no-pvtime: it is not" 2 'out:pvtime: none'

finish
