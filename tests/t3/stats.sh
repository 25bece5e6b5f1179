#!/bin/sh
# KVM's own statistics, of machines whose exits are known.
#
# Does not prove that every statistic says what its name does: they are KVM's.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/lib"

if ! "$LKVM" caps --require statistics >"$T/out" 2>"$T/err"; then
	echo "1..0 # SKIP this host's KVM has no statistics"
	exit 0
fi

# what NAME: its value, of the machine or the first vCPU that has it
what() {
	sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" "$T/report" | head -n 1
}

guest hello --stats
is "statistics of a guest that powers off" 0 "err:KVM's statistics of the machine:" 'err:of vCPU 0:' \
	'report:"stats": {'
few=$(what exits)
[ "${few:-0}" -gt 10 ] && why= || why="$few exits; "
verdict "its vCPU left the guest" "$why"

# An access to a device that lkvm has is an exit to KVM as well
N=5000
case $ARCH in
x86) guest pio -p "n=$N" --stats ;;
*) guest mmio -p "n=$N" --stats ;;
esac
is "and of one that accesses a device $N times" 0
many=$(what exits)
[ "${many:-0}" -ge $N ] && [ "${many:-0}" -lt $((2 * N)) ] && why= || why="$many exits; "
verdict "each access is one exit" "$why"

guest spin -c 3 --timeout 1 --stats
is "vCPUs that never leave of themselves have them, too" 124 'err:of vCPU 2:'
guest reset -p "how=$([ "$ARCH" = x86 ] && echo acpi || echo psci)" --stats
is "so has a machine that resets itself" 112 'err:of vCPU 0:'

finish
