# shellcheck shell=bash
# tests/t4/lib.bash - sourced by the scripts of this folder that make a bed and what it runs.
#
# Sets, where make has not: LKVM_ARCH (by the folder a script is in, else this host's), LKVM_BUILD
# and LKVM; and files, the folder for what is made for the bed. Has fetched what beds are made of.
# The working directory is the tree.

t4=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(basename "$(cd "$(dirname "$0")" && pwd)")
cd "$t4/../.." || exit 1
# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. tests/bed/lib.sh

own_arch=$(own_arch)
[ -n "${LKVM_ARCH-}" ] || case $folder in
t4) LKVM_ARCH=$own_arch ;;
*) LKVM_ARCH=$folder ;;
esac
load_arch "$LKVM_ARCH"
if [ "$LKVM_ARCH" = "$own_arch" ]; then
	: "${LKVM_BUILD:=build/$LKVM_ARCH}" "${LKVM:=./lkvm}"
else
	: "${LKVM_BUILD:=build/$LKVM_ARCH-$triplet}" "${LKVM:=$LKVM_BUILD/lkvm}"
fi
export LKVM_ARCH LKVM_BUILD LKVM
files=$LKVM_BUILD/tests/t4
mkdir -p "$files"
tests/bed/fetch -q "$LKVM_ARCH"

# library: the name of liblkvm.so's file
library() {
	realpath "$(dirname "$LKVM")/liblkvm.so"
}

# guest_program SOURCE [-lLIBRARY...]: a static program for guests, in $files
guest_program() {
	local usr
	usr=$(sysroot_dir)/usr
	"$triplet-gcc" -static -O1 -Wall -isystem "$usr/include" -L "$usr/lib/$triplet" \
		-o "$files/$(basename "$1" .c)" "$@"
}
