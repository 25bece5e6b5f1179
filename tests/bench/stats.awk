# stats.awk - for other awk programs: awk -f stats.awk -f PROGRAM

# ascending, a[1] to a[n]
function sort(a, n,   i, j, v) {
	for (i = 2; i <= n; i++) {
		v = a[i]
		for (j = i - 1; j >= 1 && a[j] > v; j--)
			a[j + 1] = a[j]
		a[j + 1] = v
	}
}

# of a sorted array; linear between neighbours
function quantile(a, n, q,   at, low) {
	at = 1 + (n - 1) * q
	low = int(at)
	return low >= n ? a[n] : a[low] + (at - low) * (a[low + 1] - a[low])
}
