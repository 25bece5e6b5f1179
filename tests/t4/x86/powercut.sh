#!/bin/bash
# A power cut: what a guest has synced is there afterwards, on a block device and in a file.
#
# The bed is the machine that loses its power: its disks are files here, it is killed with SIGKILL
# once the guest says that fsync returned, and another one looks at the same disks. What was in the
# bed's memory only is lost then, so this fails if a flush ends before fdatasync did.
# Does not prove what a physical disk does with its own cache.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.bash
. "$(dirname "$0")/../lib.bash"

work=$(mktemp -d)
job=''
trap '[ -z "$job" ] || kill "$job" 2>/dev/null; rm -rf "$work"' EXIT
tests/bed/initramfs -a x86 -s '. /virtio.guest' -f tests/t4/virtio.guest:/virtio.guest \
	-m virtio_pci -m virtio_blk "$files/powercut-initrd"

truncate -s 32M "$work/raw"
mkdir "$work/tree"
truncate -s 32M "$work/tree/image"
PATH=$PATH:/usr/sbin mke2fs -q -t ext4 -d "$work/tree" "$work/ext4" 96M >/dev/null

# bed COMMAND: with the two disks, which keep what the bed has written and flushed
bed() {
	tests/bed/run -a x86 -q -t 240 -m virtio_blk -m ext4 \
		-Q -pidfile -Q "$work/pid" \
		-Q -drive -Q "file=$work/raw,format=raw,if=virtio" \
		-Q -drive -Q "file=$work/ext4,format=raw,if=virtio" \
		-f "$LKVM:lkvm" -f "$(kernel_dir)/vmlinuz:vmlinuz" \
		-f "$files/powercut-initrd:initrd" -- "
			mkdir /mnt
			mount -t ext4 /dev/vdb /mnt || exit 9
			./lkvm run -k vmlinuz -i initrd -m 256 -d /dev/vda -d /mnt/image \
				-p 'console=ttyS0 quiet test=$1' --timeout 200"
}

# said WORD: what followed "guest: WORD " in the output
said() {
	tr -d '\r' <"$work/out" | sed -n "s/^guest: $1 //p" | tail -n 1
}

echo "1..4"
bed blk_powercut >"$work/out" 2>"$work/err" &
job=$!
for ((i = 0; i < 2000; i++)); do
	! grep -q '^guest: synced' "$work/out" || break
	sleep 0.1
done
[ ! -e "$work/pid" ] || kill -KILL "$(cat "$work/pid")"
wait $job || true
job=''
vda=$(said 'vda synced') vdb=$(said 'vdb synced')
if [ -n "$vda" ] && [ -n "$vdb" ]; then
	echo "ok 1 - a guest syncs what it wrote, and the machine under it is cut off"
else
	echo "not ok 1 - a guest syncs what it wrote, and the machine under it is cut off"
	tail -n 20 "$work/out" "$work/err" | sed 's/^/# /'
fi
status=0
bed blk_check >"$work/out" 2>"$work/err" || status=$?
n=2
for what in "$status 0 the disks can be used again" \
	"$(said 'vda found') $vda what was synced to a block device is there" \
	"$(said 'vdb found') $vdb what was synced to a file is there"; do
	read -r got want text <<<"$what"
	if [ "$got" = "$want" ]; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		echo "# '$got' is not '$want'"
		tail -n 20 "$work/out" "$work/err" | sed 's/^/# /'
	fi
	n=$((n + 1))
done
