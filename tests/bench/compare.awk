# compare.awk - the statistics of pairs: medians, quartiles, extremes, and the ratio of ours to theirs.
#
# Input: "OURS THEIRS" per line. Variables: title, unit, divisor, goal (of the ratio; "" for none),
# us, them (names).

function sort(a, n,   i, j, v) {
	for (i = 2; i <= n; i++) {
		v = a[i]
		for (j = i - 1; j >= 1 && a[j] > v; j--)
			a[j + 1] = a[j]
		a[j + 1] = v
	}
}

# linear between neighbours
function quantile(a, n, q,   at, low) {
	at = 1 + (n - 1) * q
	low = int(at)
	return low >= n ? a[n] : a[low] + (at - low) * (a[low + 1] - a[low])
}

function row(name, a, n) {
	printf "  %-16s %10.3f   %9.3f .. %-9.3f  %9.3f .. %-9.3f\n", name, quantile(a, n, 0.5),
		quantile(a, n, 0.25), quantile(a, n, 0.75), a[1], a[n]
}

NF != 2 { print "bench: not a pair: " $0 > "/dev/stderr"; broken = 1; exit 1 }
{
	n++
	ours[n] = $1 / divisor
	theirs[n] = $2 / divisor
	ratios[n] = $1 / $2
}
END {
	if (broken || !n)
		exit 1
	sort(ours, n)
	sort(theirs, n)
	sort(ratios, n)
	printf "%s (%d pairs)\n", title, n
	printf "  %-16s %10s   %22s  %22s\n", unit, "median", "quartiles      ", "extremes       "
	row(us, ours, n)
	row(them, theirs, n)
	ratio = quantile(ours, n, 0.5) / quantile(theirs, n, 0.5)
	printf "  ratio %.3f (of single pairs: median %.3f, quartiles %.3f .. %.3f)", ratio,
		quantile(ratios, n, 0.5), quantile(ratios, n, 0.25), quantile(ratios, n, 0.75)
	if (goal != "")
		printf "; goal: at most %s - %s", goal, ratio <= goal ? "met" : "FINDING: missed"
	printf "\n"
}
