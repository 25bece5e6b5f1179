#!/bin/bash
# docs/lkvm.bash-completion offers what the command takes, of this architecture's guests.
#
# Does not prove what readline makes of it: its words, cut at "=" and ":", are written here by hand.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib
# shellcheck source=docs/lkvm.bash-completion
. docs/lkvm.bash-completion
compopt() { :; } # there is no completion going on

# offers WANTED WORD...: behind `lkvm WORD...`, the last of which is to be completed
offers() {
	local want=$1 desc COMP_WORDS COMP_CWORD COMPREPLY
	shift
	COMP_WORDS=("$LKVM" "$@")
	COMP_CWORD=$#
	_lkvm >"$T/out" 2>"$T/err"
	desc="lkvm $* <TAB>: ${want:-nothing}"
	if [ "${COMPREPLY[*]}" != "$want" ] || [ -s "$T/err" ]; then
		verdict "$desc" "offers '${COMPREPLY[*]}'; "
	else
		verdict "$desc" ''
	fi
}

# What the help names: an option is at the begin of a line, or behind its letter.
mapfile -t all < <("$LKVM" run --help | sed -nE 's/^  (    |-., )(--[a-z0-9-]+).*/\2/p')
offers "${all[*]}" run --
offers '--mem --mem-backend --mem-prefault --mem-lock' run --mem
offers '--name' run --rng --na
offers '-k' run --rng -k
echo file >"$T/one-file"
for o in -k --kernel --initrd -f --firmware -F --flash --hugetlbfs -d; do
	offers "$T/one-file" run $o "$T/one"
done
offers "$T/one-file" run --kernel = "$T/one"
offers '' run --mem 51
offers 'auto anon memfd hugetlbfs guest-memfd' run --mem-backend ''
offers 'hugetlbfs' run --mem-backend = hu
offers 'on off' run --thp ''
offers 'tap' run --network mode = t
offers '4,cores=' run --cpus 4,c
offers 'json=' run --report ''
offers "$T/one-file" run --report json = "$T/one"
offers 'error warning info debug' run --loglevel ''
if [ "$ARCH" = arm64 ]; then
	offers 'auto gicv2 gicv2m gicv3 gicv3-its' run --irqchip ''
	offers '--pmu --pmu-partition --pmu-partition-abi' run --pmu
	offers 'counters= filter= host=' run --pmu = ''
	offers '4,counters=' run --pmu = counters = 4,c
	offers '0x1050000' run --debug-exit = ''
	offers '' run --disable-ex
else
	offers 'auto kernel split' run --irqchip ''
	offers 'host conservative' run --cpu ''
	offers 'mwait,hlt' run --disable-exits mwait,h
	offers '--snp --snp-report --snp-report-abi' run --snp
	offers 'policy=' run --snp = p
	offers 'on off' run --snp = smt = ''
	offers 'on,id-block= on,id-auth=' run --snp = smt = on,id
	offers "$T/one-file" run --snp-report "$T/one"
	offers 'auto v4 v7' run --snp-report-abi ''
	offers 'port 0xf4' run --debug-exit = ''
	offers '' run --pmu
fi
offers '--json --require --help -h' caps ''
offers 'KVM_CAP_MAX_VCPUS KVM_CAP_MAX_VCPU_ID' caps --require KVM_CAP_MAX
offers '--decode --verify --json --help -h' snp-report -
offers "$T/one-file" snp-report --verify "$T/one"
offers "$T/one-file" snp-report "$T/one"
offers 'run' r
offers '' version ''

finish
