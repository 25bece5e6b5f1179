#!/bin/sh
# run.sh - include/linux-uapi states the same kernel ABI as the kernel's own headers.
#
# Every constant, struct and member is taken from our headers by names.awk, so none can be
# forgotten; two programs, one with each side's headers, print the values, and those are compared.
# A name the other side does not have is skipped only if since.txt says that kernel headers of
# that version need not have it.
#
# Headers for another architecture than this machine's are read by this machine's compiler: what
# is compared are constants and layouts that all 64-bit little-endian compilers agree on.
# unmerged.h has what no kernel's headers have: it is only compiled.
#
# Does not prove: that our headers have all that lkvm needs, that members mean what lkvm thinks
# they mean, or that a running kernel behaves as its headers say.
#
#	tests/abi/run.sh
#	ABI_INCLUDE="dir..."	compare with these as well: unpacked linux-libc-dev packages,
#				each given as its .../usr/include
#	ABI_FETCH=1		compare with a newer linux-libc-dev as well, downloaded from
#				ABI_SUITE (trixie-backports) of this machine's Debian archive
#	ABI_DIR			where that goes and stays (build/abi)
#	CC, CLANG		compilers (cc, clang)
#
# Prints TAP; exits with 1 if anything differs.

# shellcheck disable=SC2086 # $warnings and $theirs are lists of options

set -eu
cd "$(dirname "$0")/../.."

cc=${CC:-cc}
clang=${CLANG:-clang}
warnings='-Wall -Wextra -Wshadow -Wpointer-arith -Werror'
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
bad=0

ok()
{
	n=$((n + 1))
	echo "ok $n - $*"
}

not_ok()
{
	n=$((n + 1))
	bad=$((bad + 1))
	echo "not ok $n - $*"
}

# compiler header: the header is whole and clean alone
alone()
{
	name="$2 compiles alone with $1"
	if ! command -v "$1" >"$tmp/out"; then
		ok "$name # SKIP $1 is not installed"
	elif $1 -std=gnu11 $warnings -Iinclude -I. -fsyntax-only -x c "$2" >"$tmp/out" 2>&1; then
		ok "$name"
	else
		not_ok "$name"
		sed 's/^/# /' "$tmp/out"
	fi
}

# A line of names in, a line of C out, the line numbers staying equal: an error of the compiler
# then says which name it is about.
rows()
{
	sed -e 's/^C \(.*\)$/row("\1", (u_ll)(\1), 0);/' \
	    -e 's/^S \(.*\)$/row("struct \1", sizeof(struct \1), 0);/' \
	    -e 's/^M \(.*\) \(.*\)$/row("\1.\2", offsetof(struct \1, \2), SIZEOF(\1, \2));/' \
	    -e 's/^F \(.*\) \(.*\)$/row("\1.\2", offsetof(struct \1, \2), 0);/' "$1"
}

# names include...: a program that prints "name value size" of each
program()
{
	list=$1
	shift
	for h; do
		echo "#include <$h>"
	done
	cat <<-'END'
	#include <stddef.h>
	#include <stdio.h>
	#define SIZEOF(type, member) sizeof(((struct type *)0)->member)
	typedef unsigned long long u_ll;
	static void row(const char *name, u_ll value, u_ll size)
	{
		printf("%s\t%#llx\t%llu\n", name, value, size);
	}
	int main(void)
	{
	#line 1 "names"
	END
	rows "$list"
	echo 'return 0; }'
}

# ours what triplet root kernel-header...: compare include/linux-uapi/OURS with the headers in ROOT
compare()
{
	ours=$1 what=$2 root=$3 triplet=$4
	shift 4
	theirs="$every_error -isystem $root/$triplet -isystem $root"

	if [ ! -e "$root/linux/kvm.h" ]; then
		not_ok "$what: no linux/kvm.h in $root"
		return
	fi
	if [ ! -e "$root/$triplet/asm/kvm.h" ] && [ "$(uname -m)" != "${triplet%%-*}" ]; then
		ok "$what: $ours # SKIP $root has no headers for ${triplet%%-*}"
		return
	fi
	version=$(echo LINUX_VERSION_CODE | $cc -E -P -isystem "$root" -include linux/version.h -)

	$cc -E -dD -Iinclude -I. "include/linux-uapi/$ours" |
		awk -f tests/abi/names.awk >"$tmp/names"
	program "$tmp/names" "linux-uapi/$ours" >"$tmp/ours.c"
	$cc -std=gnu11 -Iinclude -I. -o "$tmp/ours" "$tmp/ours.c"

	# first trial: which names do they not have?
	program "$tmp/names" "$@" >"$tmp/trial.c"
	LC_ALL=C $cc -std=gnu11 $theirs -fsyntax-only "$tmp/trial.c" 2>"$tmp/out" || :
	sed -n 's/^names:\([0-9]*\):.*error: .*/\1/p' "$tmp/out" | sort -un >"$tmp/lines"
	awk 'FILENAME == ARGV[1] { unknown[$1]; next } !(FNR in unknown)' \
		"$tmp/lines" "$tmp/names" >"$tmp/known"

	# second: all the others must compile
	program "$tmp/known" "$@" >"$tmp/theirs.c"
	if ! $cc -std=gnu11 $theirs -o "$tmp/theirs" "$tmp/theirs.c" >"$tmp/out" 2>&1; then
		not_ok "$what: the kernel's headers do not compile"
		sed 's/^/# /' "$tmp/out"
		return
	fi
	"$tmp/ours" >"$tmp/ours.txt"
	"$tmp/theirs" >"$tmp/theirs.txt"
	arch=$(echo "$triplet" | sed -e 's/^aarch64-.*/arm64/' -e 's/^x86_64-.*/x86/')
	awk -v what="$what, $ours" -v arch="$arch" -v version="$version" -v n="$n" \
		-f tests/abi/compare.awk \
		tests/abi/since.txt "$tmp/theirs.txt" "$tmp/ours.txt" >"$tmp/tap" ||
		bad=$((bad + 1))
	cat "$tmp/tap"
	n=$((n + $(grep -c -e '^ok ' -e '^not ok ' "$tmp/tap")))
}

# Downloads and unpacks linux-libc-dev without touching the system's packages.
fetch()
{
	suite=${ABI_SUITE:-trixie-backports}
	apt=$dir/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>"$tmp/apt" |
		sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' \
			-e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' |
		head -n 1)
	keys=/usr/share/keyrings/debian-archive-keyring.gpg
	echo "deb [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
	set -- -qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o "Dir::State::Lists=$apt/lists" -o Dir::State::status=/dev/null \
		-o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o Debug::NoLocking=1 \
		-o Acquire::Languages=none
	rm -rf "$apt"/*.deb "$dir/headers"
	apt-get "$@" update && (cd "$apt" && apt-get "$@" download linux-libc-dev) &&
		dpkg -x "$apt"/*.deb "$dir/headers"
}

# what root
all()
{
	compare x86.h "$1" "$2" x86_64-linux-gnu linux/kvm.h asm/kvm.h linux/kvm_para.h
	compare arm64.h "$1" "$2" aarch64-linux-gnu linux/kvm.h asm/kvm.h
	compare vhost.h "$1" "$2" x86_64-linux-gnu linux/vhost.h
}

# A root made of a cross compiler's kernel headers alone: that compiler's C library is no use here.
cross_root()
{
	mkdir -p "$tmp/cross/$1"
	for d in linux asm-generic; do
		ln -s "/usr/$1/include/$d" "$tmp/cross/$d"
	done
	ln -s "/usr/$1/include/asm" "$tmp/cross/$1/asm"
	echo "$tmp/cross"
}

# The headers that are installed: this machine's own, and those for cross compiling to arm64.
installed()
{
	own=$(uname -m)-linux-gnu
	compare vhost.h system /usr/include "$own" linux/vhost.h
	case $own in
	x86_64-*) compare x86.h system /usr/include "$own" linux/kvm.h asm/kvm.h linux/kvm_para.h ;;
	aarch64-*) compare arm64.h system /usr/include "$own" linux/kvm.h asm/kvm.h ;;
	esac
	cross=aarch64-linux-gnu
	if [ "$own" = $cross ]; then
		return
	elif [ -e /usr/$cross/include/asm/kvm.h ]; then
		compare arm64.h cross "$(cross_root $cross)" $cross linux/kvm.h asm/kvm.h
	else
		ok "cross: arm64.h # SKIP linux-libc-dev-arm64-cross is not installed"
	fi
}

# how the compiler is told to report each error, at the line that caused it
every_error='-fmax-errors=0 -ftrack-macro-expansion=0'
if ! $cc $every_error -fsyntax-only -x c /dev/null >"$tmp/out" 2>&1; then
	every_error=-ferror-limit=0
fi

for h in include/linux-uapi/*.h; do
	alone "$cc" "$h"
	alone "$clang" "$h"
done

installed
for root in ${ABI_INCLUDE:-}; do
	all "$root" "$root"
done
dir=$(realpath -m "${ABI_DIR:-build/abi}")
if [ "${ABI_FETCH:-0}" = 1 ]; then
	if fetch >"$tmp/out" 2>&1; then
		ok 'newer: linux-libc-dev downloads'
	else
		not_ok 'newer: linux-libc-dev downloads'
		sed 's/^/# /' "$tmp/out"
	fi
fi
if [ -e "$dir/headers/usr/include" ]; then
	all newer "$dir/headers/usr/include"
else
	ok 'newer: # SKIP no newer linux-libc-dev here; ABI_FETCH=1 downloads one'
fi

echo "1..$n"
[ "$bad" = 0 ]
