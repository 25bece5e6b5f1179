# compare.awk - TAP of one comparison: since.txt, the values the kernel's headers gave, and ours.
# Variables: what = whose headers, version = their LINUX_VERSION_CODE, n = number of the last test.

function ver(code)
{
	return int(code / 65536) "." int(code / 256) % 256
}

# LINUX_VERSION_CODE from which headers must have the name, 0 if all must
function since(name,    i)
{
	for (i = 1; i <= n_rules; i++)
		if (name ~ rule[i])
			return need[i]
	return 0
}

BEGIN { FS = "\t" }
FILENAME == ARGV[1] {
	if ($0 ~ /^#/ || $0 ~ /^[ \t]*$/)
		next
	split($1, v, ".")
	need[++n_rules] = v[1] * 65536 + v[2] * 256
	rule[n_rules] = "^(" $2 ")$"
	next
}
FILENAME == ARGV[2] { theirs[$1] = $2 " " $3; next }
{
	n++
	head = n " - " what ": " $1
	ours = $2 " " $3
	if ($1 in theirs) {
		if (theirs[$1] == ours) {
			print "ok " head
			same++
		} else {
			print "not ok " head
			print "# ours " ours ", " what " " ver(version) " " theirs[$1]
			bad++
		}
	} else if (version < since($1)) {
		print "ok " head " # SKIP the headers are of " ver(version)
		skipped++
	} else {
		print "not ok " head
		print "# " what " " ver(version) " does not have it"
		bad++
	}
}
END {
	print "# " what " (" ver(version) "): " same + 0 " equal, " skipped + 0 " skipped, " \
		bad + 0 " wrong"
	if (!same) {
		print "not ok " n + 1 " - " what ": nothing could be compared"
		bad++
	}
	exit bad ? 1 : 0
}
