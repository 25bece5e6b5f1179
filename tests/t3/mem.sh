#!/bin/sh
# What guest memory is made of, with guests in it: each back end that this host has.
#
# Does not prove anything about private memory, which takes hardware, nor that
# a guest is faster in huge pages.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/lib"

MEM=64 # MiB
huge=/proc/sys/vm/nr_hugepages
n_huge=

restore() {
	grep -q " $T/huge " /proc/mounts && umount "$T/huge"
	[ -z "$n_huge" ] || echo "$n_huge" >$huge
	rm -rf "$T"
}
trap restore EXIT
trap 'exit 1' INT TERM HUP

# run in the background until it says so: then $pid is a machine with such memory
start() {
	: >"$T/out"
	"$LKVM" run -k "$GUESTS/idle.elf" -m $MEM --timeout "$LIMIT" -p say=here "$@" >"$T/out" 2>"$T/err" &
	pid=$!
	wait_for_lines here 1
}

stop() {
	kill $pid 2>/dev/null
	wait $pid
}

# mapping PID TEXT: KiB that are there of what is mapped from there
mapping() {
	awk -v text="$2" '/^[0-9a-f]+-[0-9a-f]+ / { ours = index($0, text) }
		ours && /^(Rss|Shared_Hugetlb|Private_Hugetlb):/ { n += $2 } END { print n + 0 }' \
		"/proc/$1/smaps"
}

# status_kib PID KEY: from /proc/PID/status
status_kib() {
	awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"
}

# at_least DESCRIPTION N MINIMUM
at_least() {
	[ "${2:-0}" -ge "$3" ] && why= || why="'$2' is not $3 or more; "
	verdict "$1" "$why"
}

head -c 5000 /dev/urandom >"$T/initrd"
sum="out:initrd 5000 adler32 $(adler32 "$T/initrd")"

# usable BACKEND OPTION...: its guests find what they should
usable() {
	what=$1
	shift
	guest mem -m $MEM -i "$T/initrd" "$@"
	is "$what: memory is where it is said to be, with the initrd in it" 0 "$sum"
	guest mem -m $MEM -i "$T/initrd" --mem-prefault --mem-lock "$@"
	is "$what: so it is if all is there from the start" 0 "$sum"
}

usable anon
start
at_most=$((MEM << 9))
[ "$(status_kib $pid VmRSS)" -lt $at_most ] && why= || why="$(status_kib $pid VmRSS) kB; "
verdict 'anon: memory is taken as it is touched' "$why"
stop
start --mem-prefault
at_least 'anon: with --mem-prefault it is taken at once' "$(status_kib $pid VmRSS)" $((MEM << 10))
stop
start --mem-lock
at_least 'anon: with --mem-lock all that comes is locked' "$(status_kib $pid VmLck)" $((MEM << 10))
stop

usable memfd --mem-backend memfd
start --mem-backend memfd --mem-prefault
at_least 'memfd: it is one' "$(mapping $pid '/memfd:lkvm-ram')" $((MEM << 10))
stop

# Linux 6.18 and later have it, and then it must work
if [ "$(printf '%s\n' 6.18 "$(uname -r)" | sort -V | head -n 1)" = 6.18 ]; then
	usable guest-memfd --mem-backend guest-memfd
	start --mem-backend guest-memfd --mem-prefault
	at_least 'guest-memfd: it is one' "$(mapping $pid '[kvm-gmem]')" $((MEM << 10))
	stop
else
	guest hello --mem-backend guest-memfd
	is 'guest-memfd: an older kernel is said to be that' 126 'err:Linux 6.18'
	skip 'guest-memfd: memory is where it is said to be' 'the kernel is older than 6.18'
fi

# ---- huge pages: made for this, and given back ----------------------------------------------

# free_kib: of huge pages that nobody has, nor was promised
free_kib() {
	awk '/^HugePages_Free:/ { n = $2 } /^HugePages_Rsvd:/ { n -= $2 }
		/^Hugepagesize:/ { print n * $2 }' /proc/meminfo
}

# enough KIB: there are so many KiB of them
enough() {
	[ "$(free_kib)" -ge "$1" ]
}

page=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
if ! enough $((MEM << 10)) && [ -w $huge ] && [ "${page:-0}" -gt 0 ]; then
	n_huge=$(cat $huge)
	echo $((n_huge + ((MEM << 10) + page - 1) / page)) >$huge
fi
if [ -n "$page" ] && [ $((MEM << 10)) -ge "$page" ] && enough $((MEM << 10)); then
	usable hugetlbfs --mem-backend hugetlbfs
	start --mem-backend hugetlbfs --mem-prefault
	at_least 'hugetlbfs: it is made of huge pages' "$(mapping $pid '/memfd:lkvm-ram')" $((MEM << 10))
	left=$(free_kib)
	guest hello -m $(((left + page + 1023) / 1024 + MEM)) --mem-backend hugetlbfs
	is 'hugetlbfs: a second machine finds too few' 126 'err:huge pages of' \
		"err:free are $((left / page))"
	stop
	enough $((MEM << 10)) && why= || why='they are not; '
	verdict 'hugetlbfs: and then they are free again' "$why"

	mkdir "$T/huge"
	if mount -t hugetlbfs none "$T/huge" 2>"$T/err"; then
		usable 'a mounted hugetlbfs' --hugetlbfs "$T/huge"
		start --hugetlbfs "$T/huge" --mem-prefault
		at_least 'a mounted hugetlbfs: it is from there' "$(mapping $pid "$T/huge/lkvm-")" $((MEM << 10))
		[ -z "$(ls -A "$T/huge")" ] && why= || why='there is a file; '
		verdict 'a mounted hugetlbfs: without a name that could stay behind' "$why"
		stop
		umount "$T/huge"
		mount -t hugetlbfs -o size=$((MEM << 9))K none "$T/huge"
		guest hello -m $MEM --hugetlbfs "$T/huge"
		is 'a mounted hugetlbfs: its own limit counts' 126 "err:--hugetlbfs $T/huge: " 'err: free are'
	else
		skip 'a mounted hugetlbfs: memory is where it is said to be' 'nothing can be mounted here'
	fi
else
	skip 'hugetlbfs: memory is where it is said to be' 'no huge pages can be had here'
fi

# ---- the rules that fakekvm has for them ------------------------------------------------------

"$BUILD/tests/unit/test_gmem_rules" real >"$T/out" 2>"$T/err"
status=$?
is "fakekvm's rules for guest_memfd are this KVM's" 0
finish
