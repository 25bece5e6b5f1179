# tests/bed/lib.sh - what fetch, initramfs and run share; sourced by them, never run.
#
# Environment:
#   LKVM_CACHE    where the unpacked Debian packages are kept (default: build/cache in the tree)
#   KERNEL_SUITE  the Debian suite whose kernel is meant (default: what arch/ARCH.sh says, else this
#                 machine's own), so that several kernels can live side by side
# shellcheck shell=bash

bed_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=${bed_dir%/tests/bed}
cache=${LKVM_CACHE:-$repo/build/cache}
me=${0##*/}
quiet=

say() {
	[ -n "$quiet" ] || echo "$me: $*" >&2
}

die() {
	echo "$me: $*" >&2
	exit 1
}

# usage: prints the comment at the top of the script that was started
usage() {
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || die "$tool is not installed ('make deps' tells how)"
	done
}

need_fetched() {
	local dir
	for dir; do
		[ -d "$dir" ] || die "there is no $dir; tests/bed/fetch makes it"
	done
}

# load_arch NAME: the one place where an architecture is chosen; arch/NAME.sh describes it
load_arch() {
	local file=$bed_dir/arch/$1.sh
	[ -r "$file" ] || die "no architecture '$1' here, but $(cd "$bed_dir/arch" && echo *.sh)"
	# shellcheck source-path=SCRIPTDIR source=arch/x86.sh
	. "$file"
}

own_suite() {
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

host_arch() {
	dpkg --print-architecture
}

# own_arch: what load_arch() calls this machine's architecture
own_arch() {
	local name
	name=$(host_arch)
	echo "${name/#amd64/x86}"
}

kernel_suite() {
	echo "${KERNEL_SUITE:-${kernel_suite:-$(own_suite)}}"
}

# kernel_dir: the tree of the kernel that KERNEL_SUITE names. In it, vmlinuz is the kernel and
# modules the directory of its modules, wherever that Debian release puts them
kernel_dir() {
	echo "$cache/$deb_arch/kernel-$(kernel_suite)"
}

kernel_version() {
	basename "$(readlink "$(kernel_dir)/modules")"
}

busybox_dir() {
	echo "$cache/$deb_arch/busybox"
}

# firmware_dir: the unpacked package of firmware for guests
firmware_dir() {
	echo "$cache/$deb_arch/firmware"
}

# sysroot_dir: the libraries of deb_arch that lkvm and its tests are linked with, on other machines
sysroot_dir() {
	echo "$cache/$deb_arch/sysroot"
}

# Before QEMU 10 an emulated CPU with SVM loses interrupts of nested guests now and then, and beds
# hang; before 9 none has arm64's nested virtualization. Where the system has an older one or none,
# fetch brings Debian's
qemu_is_good() {
	local version
	version=$("$qemu" --version 2>/dev/null) || return 1
	[[ $version = *" version "[1-9][0-9]* ]]
}

qemu_dir() {
	echo "$cache/$(host_arch)/${qemu##*/}"
}

# choose_qemu: sets qemu, and adds to the array qemu_machine where its files are. QEMU=PROGRAM
# in the environment decides alone
choose_qemu() {
	local dir
	if [ -n "${QEMU-}" ]; then
		qemu=$QEMU
	elif ! qemu_is_good && dir=$(qemu_dir) && [ -d "$dir" ]; then
		qemu=$dir/usr/bin/$qemu
		qemu_machine+=(-L "$dir/usr/share/qemu" -L /usr/share/seabios)
	fi
}

# stage_base DIR MAIN: an initramfs tree with busybox, the common init and guest/MAIN
stage_base() {
	mkdir -p "$1"/{bin,dev,proc,sys,tmp,run,etc,modules}
	cp "$(busybox_dir)/busybox" "$1/bin/busybox"
	install -m 755 "$bed_dir/guest/init" "$1/init"
	cp "$bed_dir/guest/$2" "$1/main"
	: >"$1/modules/list"
}

# stage_file DIR HOME SRC[:DST]: copies a file or folder, with the shared libraries of every
# program in it. DST defaults to SRC itself; a relative one is below HOME, so that a command line
# means the same inside and outside
stage_file() {
	local dir=$1 home=$2 src=${3%%:*} dst=${3#*:} program
	[ -e "$src" ] || die "there is no file '$src' to copy in"
	case $dst in
	/*) ;;
	../* | */../*) die "'$dst' leaves the working directory inside; say $src:DST" ;;
	*) dst=$home/$dst ;;
	esac
	mkdir -p "$dir${dst%/*}"
	cp -rLT "$src" "$dir$dst"
	while IFS= read -r program; do
		if [ "$deb_arch" = "$(host_arch)" ]; then
			stage_libraries "$dir" "$program"
		else
			stage_foreign_libraries "$dir" "$program"
		fi
	done < <(find -L "$src" -type f -perm -u+x)
}

# stage_libraries DIR PROGRAM: what it loads, under the names it has here
stage_libraries() {
	local libs lib
	libs=$(shared_libraries "$2")
	for lib in $libs; do
		[ -e "$1$lib" ] || install -D "$lib" "$1$lib"
	done
}

# stage_foreign_libraries DIR PROGRAM: what it, a program of deb_arch, loads; from where it was
# linked, that is the folder it names itself, the sysroot, the compiler's own libraries. In DIR it
# is all in /lib
stage_foreign_libraries() {
	local text name lib
	text=$(LC_ALL=C readelf -W -l -d "$2" 2>/dev/null) || return 0
	while read -r name; do
		name=${name##*/}
		[ ! -e "$1/lib/$name" ] || continue
		for lib in "$(sed -nE 's/.*Library (runpath|rpath): \[(.*)\]/\2/p' <<<"$text")" \
			"$(sysroot_dir)/usr/lib/$triplet" "/usr/$triplet/lib" ''; do
			[ ! -e "$lib/$name" ] || break
		done
		[ -n "$lib" ] || die "$2 lacks a shared library for $deb_arch: $name"
		install -D "$lib/$name" "$1/lib/$name"
		stage_foreign_libraries "$1" "$lib/$name"
	done < <(sed -nE 's/.*(interpreter: |Shared library: \[)([^]]*)\]/\2/p' <<<"$text")
}

# shared_libraries PROGRAM: absolute names of what it loads, its program interpreter included;
# nothing for a script, a static program or one of another architecture
shared_libraries() {
	local text
	text=$(LC_ALL=C ldd "$1" 2>/dev/null) || return 0
	case $text in
	*"not found"*) die "$1 lacks a shared library:"$'\n'"$text" ;;
	esac
	sed -nE 's/^.* => (\/[^ ]+) .*/\1/p; s/^\s+(\/[^ ]+) .*/\1/p' <<<"$text"
}

# stage_module DIR "NAME [PARAMETER=VALUE...]": a module of kernel_dir(), preceded by those it
# depends on; unpacked, since that is quicker here. One that is staged already keeps its
# parameters, and one that is built into the kernel is fine
stage_module() {
	local dir=$1 name=${2%% *} parameters pattern file dep
	parameters=${2#"$name"}
	pattern=${name//[-_]/[-_]}
	name=${name//-/_}
	! grep -q "^$name\( \|\$\)" "$dir/modules/list" || return 0
	file=$(find "$(kernel_dir)/modules/kernel" -name "$pattern.ko*" -print -quit)
	if [ -z "$file" ]; then
		grep -q "/$pattern\.ko" "$(kernel_dir)/modules/modules.builtin" ||
			die "kernel $(kernel_version) has no module '$name'"
		return 0
	fi
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -qdc "$file" ;;
	*) cat "$file" ;;
	esac >"$dir/modules/$name.ko"
	# a module's own description is a list of NUL-terminated KEY=VALUE strings
	for dep in $(tr '\0' '\n' <"$dir/modules/$name.ko" | sed -n 's/^depends=//p' | tr , ' '); do
		stage_module "$dir" "$dep"
	done
	echo "$name$parameters" >>"$dir/modules/list"
}

# pack DIR FILE: moves it into an initramfs; not compressed, since the guest would unpack it at an
# emulated CPU's speed
pack() {
	(cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$2"
	rm -rf "$1"
}
