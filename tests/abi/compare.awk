# compare.awk - TAP of one comparison: since.txt, the values the kernel's headers gave, and ours.
# Variables: what = whose headers, arch = which of their architectures, version = their
# LINUX_VERSION_CODE, n = number of the last test.

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

# the headers of another architecture alone have the name
function elsewhere(name,    i)
{
	for (i = 1; i <= n_only; i++)
		if (name ~ only[i] && whose[i] != arch)
			return 1
	return 0
}

BEGIN { FS = "\t" }
FILENAME == ARGV[1] {
	if ($0 ~ /^#/ || $0 ~ /^[ \t]*$/)
		next
	if ($1 !~ /^[0-9]/) {
		whose[++n_only] = $1
		only[n_only] = "^(" $2 ")$"
		next
	}
	split($1, v, ".")
	need[++n_rules] = v[1] * 65536 + v[2] * 256
	rule[n_rules] = "^(" $2 ")$"
	next
}
FILENAME == ARGV[2] { theirs[$1] = $2 " " $3; next }
function report(ok, text)
{
	print (ok ? "ok " : "not ok ") ++n " - " what " (" ver(version) "): " text
}

{
	ours = $2 " " $3
	if ($1 in theirs && theirs[$1] == ours) {
		same++
	} else if ($1 in theirs) {
		report(0, $1)
		print "# ours " ours ", theirs " theirs[$1]
		bad++
	} else if (elsewhere($1)) {
		next
	} else if (version < since($1)) {
		missing = missing " " $1
		skipped++
	} else {
		report(0, $1)
		print "# they do not have it"
		bad++
	}
}
END {
	report(same > 0, same + 0 " names have the same value")
	if (skipped)
		report(1, "# SKIP " skipped " names are not in the headers of " ver(version) ":" missing)
	exit bad || !same ? 1 : 0
}
