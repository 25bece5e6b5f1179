# compare.awk - the statistics of pairs: medians, quartiles, extremes, and the ratio of ours to theirs.
#
# Input: "OURS THEIRS" per line. Variables: title, unit, divisor, goal of the ratio ("" for none; it
# is the most allowed, or with ">" before it the least), us, them (names). With stats.awk.

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
	least = sub(/^>/, "", goal)
	met = least ? (ratio - goal >= 0) : (ratio - goal <= 0)
	if (goal != "")
		printf "; goal: at %s %s - %s", least ? "least" : "most", goal,
			met ? "met" : "FINDING: missed"
	printf "\n"
}
