#!/bin/sh
# --cpu, --nested and --dump-cpuid: what is refused with which status and sentence, on several hosts.
#
# Does not prove what a guest sees: tests/t3/x86/cpu.sh does. Every sentence there is is in
# tests/unit/x86/test_cpu_model.c.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

export FAKEKVM=intel-next
refused '--cpu x86-64-v2: must be host or conservative' run -k "$K" --cpu x86-64-v2
refused 'there is no feature of that name; the nearest is shstk' run -k "$K" --cpu host,+shtk
refused '+avx2 depends on avx, which -avx takes away' run -k "$K" --cpu host,+avx2,-avx
refused '--cpu +vmx: it comes with --nested only' run -k "$K" --cpu host,+vmx
refused '--cpu -vmx: --nested asks for it' run -k "$K" --cpu=host,-vmx --nested
accepted --cpu host
accepted --cpu conservative,+aes,-x2apic
accepted --cpu host,+shstk,+ibt,+lkgs,+fred,+arch_perfmon --nested

# unsupported WORDS OPTION...: status 126, one line with WORDS
unsupported() {
	words=$1
	shift
	vm -k "$K" "$@"
	is "not on $FAKEKVM: $* ($words)" 126 "err:$words" 'report:"cause": "unsupported"'
}
unsupported "--cpu +apx: this host's KVM does not offer apx to guests" --cpu host,+apx
FAKEKVM=amd-next
accepted --nested --cpu host,+shstk,+npt
unsupported "--cpu +ibt: only Intel's processors have it" --cpu host,+ibt
unsupported "--cpu +arch_capabilities: not on this host: AMD's" --cpu host,+arch_capabilities
FAKEKVM=intel-software
unsupported "--nested: this host's KVM does not offer VMX to guests" --nested

# ---- dumps ----------------------------------------------------------------------------------

FAKEKVM=amd-next
vm -k "$K" --cpu host,-avx --dump-cpuid "$T/dump"
is 'a dump does not keep the guest from running' 0 'report:"cause": "power-off"'
cp "$T/dump" "$T/out"
is 'it says what became of a feature, and why' 0 'out:[arch_capabilities]: AMD' \
	'out:[avx]: --cpu -avx' 'out:[avx2]: avx2 depends on avx'
vm -k "$K" --cpu host,-avx --dump-cpuid "$T/again"
same 'it is the same in each run' "$T/dump" "$T/again"
cp "$K" "$T/kernel"
kept "$T/kernel" 'is also the --kernel' -k "$T/kernel" --dump-cpuid "$T/kernel"
refused "--dump-cpuid $T: cannot be written" run -k "$K" --dump-cpuid "$T"

finish
