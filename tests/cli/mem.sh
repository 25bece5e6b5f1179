#!/bin/sh
# What guest memory is made of, as options: each back end is taken or refused with one line that
# says why, before anything is started.
#
# Does not prove that a guest can use such memory (tests/t3/mem.sh), nor what a limit on locked
# memory does, which root does not have (tests/unit/test_gmem_backing.c).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib

for b in auto anon memfd; do
	accepted --mem-backend $b
	accepted --mem-backend=$b --mem-prefault --thp off -m 64
	accepted --mem-backend=$b --thp=on --mem-prefault
done
accepted --mem-lock -m 4
vm -k "$K" --mem-prefault -m 4T
is 'more memory at once than the host has left is 126' 126 'err:lkvm: --mem-prefault: ' 'err:MiB left'
accepted --mem-lock --mem-prefault -m 4

host=$FAKEKVM
export FAKEKVM_LOG="$T/log"
FAKEKVM=$host,cap=231:1,cap=234:1,cap=244:3
accepted --mem-backend guest-memfd --mem-prefault
grep -q 'KVM_SET_USER_MEMORY_REGION2 slot 0 flags 0x4' "$T/log" && why= || why='no such slot; '
verdict 'KVM is told of a guest_memfd' "$why"
accepted --mem-backend memfd
grep -q 'GUEST_MEMFD' "$T/log" && why='there is one; ' || why=
verdict 'but only if asked for' "$why"
for old in cap=244:0 cap=244:1 cap=234:0 cap=231:0; do
	FAKEKVM=$host,cap=231:1,cap=234:1,cap=244:3,$old
	vm -k "$K" --mem-backend guest-memfd
	is "guest-memfd without what it takes is 126 ($old)" 126 \
		'err:lkvm: --mem-backend guest-memfd: ' 'err:Linux 6.18' 'report:"cause": "unsupported"'
done
FAKEKVM=$host

value mem-backend bogus 'must be auto, anon, memfd, hugetlbfs or guest-memfd'
value mem-backend '' 'must be auto, anon, memfd, hugetlbfs or guest-memfd'
value thp maybe 'must be on or off'
value hugetlbfs '' 'must be a mounted hugetlbfs'
refused '--mem-prefault=1: takes no value' run -k "$K" --mem-prefault=1
refused '--mem-lock=on: takes no value' run -k "$K" --mem-lock=on
refused '--hugetlbfs: 5000 bytes' run -k "$K" --hugetlbfs "$(printf '%05000d' 0)"
refused "--hugetlbfs $T: is for --mem-backend hugetlbfs" run -k "$K" --hugetlbfs "$T" --mem-backend anon
refused "--hugetlbfs $T/none: No such file or directory" run -k "$K" --hugetlbfs "$T/none"
refused "--hugetlbfs $T: is not a mounted hugetlbfs" run -k "$K" --hugetlbfs "$T"
refused "--hugetlbfs $K: is not a mounted hugetlbfs" run -k "$K" --mem-backend=hugetlbfs --hugetlbfs="$K"
why=
for f in "$T"/lkvm-*; do [ ! -e "$f" ] || why="$f is left; "; done
verdict 'nothing is left in a directory that is none' "$why"

# No host has as many, and it is found out at the start
vm -k "$K" --mem-backend hugetlbfs -m 4T
is 'too few huge pages are 126' 126 'err:lkvm: --mem-backend hugetlbfs: '
if ! grep -q 'has no huge pages' "$T/err"; then
	is '... with numbers' 126 'err: KiB: memory at ' 'err: free are '
	refused '--mem: 5120 KiB of guest memory; of huge pages it is a multiple of' \
		run -k "$K" --mem-backend hugetlbfs -m 5
fi
finish
