# devices.awk - figures of bench/devices. Input: "DEVICES NS ANONYMOUS-KB RESIDENT-KB" per line.
#
# Variables: kind, goal_kb, goal_ms, limit (how much more a device may cost in a large machine and
# still be called linear). With stats.awk.

function column(what, n,   a, i) {
	for (i = 1; i <= rounds[n]; i++)
		a[i] = sample[what, n, i]
	sort(a, rounds[n])
	median[what, n] = quantile(a, rounds[n], 0.5)
	printf " %10.2f %9.2f .. %-9.2f", median[what, n], a[1], a[rounds[n]]
}

function added(what, name, goal,   more) {
	more = median[what, last] - median[what, 0]
	printf "  %d devices add %.2f %s; goal: at most %g - %s\n", last, more, name, goal,
		more <= goal ? "met" : "FINDING: missed"
}

# what one more costs between two counts
function slope(what, from, to) {
	return (median[what, to] - median[what, from]) / (to - from)
}

function linear(what, name,   early, late) {
	early = slope(what, first, half)
	late = slope(what, half, last)
	printf "  one more costs %.4f %s from %d to %d and %.4f from %d to %d", early, name, first, half,
		late, half, last
	if (kind == "disks")
		printf "; goal: linear, at most %.1f times - %s", limit,
			late <= limit * early ? "met" : "FINDING: missed"
	printf "\n"
}

!($1 in rounds) { order[++counts] = $1 }
{
	i = ++rounds[$1]
	sample["ms", $1, i] = $2 / 1e6
	sample["anon", $1, i] = $3
	sample["all", $1, i] = $4
}

END {
	printf "idle virtio devices, %s: start, anonymous and all resident memory (%d rounds)\n", kind,
		rounds[order[1]]
	printf "  %-7s %10s %22s %10s %22s %10s %22s\n", "devices", "ms", "extremes     ", "kB",
		"extremes     ", "kB", "extremes     "
	for (c = 1; c <= counts; c++) {
		printf "  %-7d", order[c]
		column("ms", order[c])
		column("anon", order[c])
		column("all", order[c])
		printf "\n"
	}
	first = order[2]
	half = order[counts - 1]
	last = order[counts]
	added("ms", "ms to the start", goal_ms)
	added("anon", "kB of anonymous memory", goal_kb)
	added("all", "kB of resident memory, pages of files included", goal_kb)
	linear("ms", "ms")
	linear("anon", "kB")
}
