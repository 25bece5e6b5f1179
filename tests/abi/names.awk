# names.awk - every name a header of include/linux-uapi states, one a line:
#
#	C KVM_CAP_IRQCHIP	constant (object-like macro)
#	S kvm_run		struct
#	M kvm_run io.port	member, by its path
#	F kvm_msrs entries	member of no size of its own (flexible array)
#
# Input is the output of "cc -E -dD": comments are gone, macros are still listed, and line
# markers say what comes from where. What is not understood is an error, so that no declaration
# can slip past the comparison.

function fail(what)
{
	print "names.awk: not understood: " what > "/dev/stderr"
	failed = 1
	exit 1
}

# "a, b[4]" of the struct or union being read
function members(list,    n, i, m, name)
{
	n = split(list, m, / *, */)
	for (i = 1; i <= n; i++) {
		name = m[i]
		if (name !~ /^[a-z_][a-z0-9_]*(\[[^]]*\])*$/)
			fail("member " name)
		sub(/\[.*\]$/, "", name)
		kind[++n_members] = m[i] ~ /\[\]$/ ? "F" : "M"
		path[n_members] = name
	}
}

# a nested struct or union ends: what was in it belongs to the name that follows, if any
function nested(name, first,    i, prefix)
{
	if (name == "")
		return
	prefix = name
	sub(/\[.*\]$/, "[0]", prefix)
	for (i = first; i <= n_members; i++)
		path[i] = prefix "." path[i]
	members(name)
}

function statement(s)
{
	gsub(/[ \t]+/, " ", s)
	gsub(/^ | $/, "", s)

	if (closing) { # what stands between a closing brace and its semicolon
		closing = 0
		if (depth) {
			nested(s, start[depth + 1])
			return
		}
		if (s != "")
			fail("variable " s)
		print "S", tag
		for (i = 1; i <= n_members; i++)
			print kind[i], tag, path[i]
		return
	}
	if (!depth) {
		if (s !~ /^_Static_assert ?\(/)
			fail(s)
		return
	}
	if (!sub(/^(struct |unsigned )?[a-z_][a-z0-9_]* /, "", s))
		fail(s)
	members(s)
}

/^# [0-9]+ "/ { ours = index($3, "linux-uapi/") > 0; next }
!ours { next }
/^#define (KVM|VHOST|VGIC|GUEST_MEMFD)_/ {
	if ($2 !~ /\(/ && NF > 2)
		print "C", $2
	next
}
/^#/ { next }
{ text = text " " $0 }

END {
	if (failed)
		exit 1
	while (match(text, /[{};]/)) {
		s = substr(text, 1, RSTART - 1)
		mark = substr(text, RSTART, 1)
		text = substr(text, RSTART + 1)
		if (mark == "{") {
			if (s !~ /^ *(struct|union)( [a-z_][a-z0-9_]*)? *$/)
				fail(s " {")
			if (!depth) {
				tag = s
				gsub(/^ *struct +| *$/, "", tag)
				if (tag ~ / / || tag == "")
					fail(s)
				n_members = 0
			}
			start[++depth] = n_members + 1
		} else if (mark == "}") {
			depth--
			closing = 1
		} else {
			statement(s)
		}
	}
	if (depth || text !~ /^ *$/)
		fail("the end: " text)
}
