#!/bin/sh
# CPUID, the MSRs that go with it, and the CPU models, as a guest finds them.
#
# Does not prove what only some hosts have: VMX, SVM, CET, a PMU; a guest checks them where they are
# shown. A KVM in software fixes some leaves whatever it is told: what lkvm passed is in the dump, and
# only of the leaves it leaves alone is it seen from inside.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"

# A KVM without VMX and SVM shows leaf 1 EDX in part as its host's.
any=
[ "$HOST_KIND" = full ] || any=ht=any

guest cpuid -p "$any" --dump-cpuid "$T/dump"
is "what the processor shows is true" 0 'out:cpuid: fine' 'out:cpuid: vmx no' 'out:cpuid: svm no' \
	'out:cpuid: aperfmperf no' 'out:cpuid: monitor no'

# in_dump FILE: the registers that are not 0 as the dump says KVM shows them, against FILE, a guest's
in_dump() {
	awk -v guest="$1" '
	BEGIN {
		while ((getline line < guest) > 0) {
			sub(/\r$/, "", line)
			n = split(line, f, / +/)
			if (line ~ /^0x/ && n == 3) { seen[f[1], f[2]] = f[3]; total++ }
		}
		if (total < 50) print "the guest printed only " total + 0 " registers; "
	}
	/ kvm=0x/ {
		value = $NF; sub(/.*kvm=/, "", value)
		# what depends on the moment: sizes for XCR0 as it is
		if (!(($1, $2) in seen) ? value !~ /^0x0+$/ : seen[$1, $2] != value)
			print $1 " " $2 ": " value " in the dump, " seen[$1, $2] " in the guest; "
	}' "$T/dump" | head -n 5
}
verdict "and it is what --dump-cpuid says" "$(in_dump "$T/out")"
why=
grep -q '^0x80000001.0  ecx offered=0x' "$T/dump" || why='no line for 0x80000001.0 ecx; '
grep -q '^0x00000001.0  ebx  lkvm .*: APIC id' "$T/dump" || why="${why}no reason for the APIC id; "
verdict "a dump has each register, and reasons" "$why"

guest cpuid -p "print=0 $any sockets=2 cores=3 threads=2" -c 12,sockets=2,cores=3,threads=2
is "the topology is the one asked for" 0 'out:cpuid: fine'

guest cpuid -p "print=0 $any" --cpu conservative
is "a conservative processor is true to itself as well" 0 'out:cpuid: fine'
guest cpuid -p "print=0 $any" --cpu host,-avx,-pku,-amx_tile
is "what is left of XSAVE's state is true to itself" 0 'out:cpuid: fine'
guest cpuid -p "$any" --cpu host,-nonstop_tsc,-arat,-lahf_lm,-kvm-pv-unhalt
is "features can be dropped" 0 'out:cpuid: fine'
# none of these is in a leaf that a KVM in software fixes
why=
for bit in '0x80000007.0  edx 0x.....[13579bdf]..' '0x00000006.0  eax 0x.......[4567cdef]' \
	'0x80000001.0  ecx 0x.......[13579bdf]' '0x40000001.0  eax 0x......[89abcdef].'; do
	grep -q "^$bit" "$T/out" && why="$why$(grep "^$bit" "$T/out" | tr -d '\r'); "
done
verdict "and the guest does not see them" "$why"

guest cpuid --cpu host,+avx3
is "an unknown feature is refused, with the nearest" 120 'err:the nearest is avx2'
guest cpuid --cpu host,+avx2,-avx
is "so is one without what it needs" 120 'err:+avx2 depends on avx'

# What depends on the host: it is there and true, or refused with its reason.
# on_host WORD STATUS REASON OPTION...
on_host() {
	word=$1 reason=$2
	shift 2
	guest cpuid -p "print=0 $any" "$@"
	if [ "$status" = 126 ]; then
		is "$*: refused, with the reason" 126 "err:$reason"
	else
		is "$*: there, and true" 0 'out:cpuid: fine' "out:cpuid: $word yes"
	fi
}
case $(sed -n '/^vendor_id/ { s/.*: //p; q }' /proc/cpuinfo) in
AuthenticAMD | HygonGenuine) nested=svm ;;
*) nested=vmx ;;
esac
on_host $nested "--nested: this host's KVM does not offer" --nested
on_host aperfmperf "--disable-exits aperfmperf: this host's KVM does not allow it" \
	--disable-exits aperfmperf
on_host monitor "--disable-exits mwait: this host's KVM does not allow it" --disable-exits mwait
on_host shstk '--cpu +shstk: ' --cpu host,+shstk
on_host ibt '--cpu +ibt: ' --cpu host,+ibt

finish
