#!/bin/sh
# The machine as an arm64 guest finds it: kinds of files, memory, initrd, processors, interrupts,
# accesses to nothing.
#
# Does not prove that its device tree suits a stock kernel (check-bed): our guests take little from it.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"

guest probe
case $HOST_KIND in
full) is "KVM can run a stock kernel" 0 'out:probe: fine' ;;
*) skip "KVM can run a stock kernel" "$(sed -n 's/^probe: //p' "$T/out" | tail -n 1)" ;;
esac

guest hello -p "one  two=2 three"
is "an ELF file is entered where it says, with its command line" 0 \
	'out:hello by fdt: one  two=2 three' 'out:at 0x80000000, EL1'
guest hello
is "no command line is an empty one" 0 'out:hello by fdt: '
vm -k "$GUESTS/hello.image" -p "one two"
is "an Image is entered at its beginning" 0 'out:hello by fdt: one two' 'out:at 0x80000040, EL1'
gzip -c "$GUESTS/hello.image" >"$T/hello.gz"
vm -k "$T/hello.gz" -p "one two"
is "and so is a compressed one" 0 'out:hello by fdt: one two'
for name in hello smp; do
	vm -k "$GUESTS/$name.flat"
	is "a flat file runs 512 KiB into memory ($name)" 0 'err:flat'
done
vm -k "$GUESTS/hello.flat" -p "one two"
is "and is told as much" 0 'out:hello by fdt: one two' 'out:at 0x80080000, EL1'
vm --firmware "$GUESTS/hello.flat" --firmware-address 0x80080000 -p "one"
is "firmware runs where it is put, and has a device tree" 0 'out:hello by fdt: one' \
	'out:at 0x80080000, EL1'
vm --firmware "$GUESTS/hello.image" -p "one"
is "at the start of memory by default" 0 'out:hello by fdt: one' 'out:at 0x80000040, EL1'

head -c 131072 /dev/zero >"$T/flash"
printf flashful | dd of="$T/flash" conv=notrunc 2>/dev/null
guest flash --flash "$T/flash"
is "flash memory is read, erased, programmed and executed" 0 'out:flash: begins with 73616c66' \
	'out:flash: code says 42'
verdict "and all of it is in its file" "$(od -An -tx4 -j 248 -N 12 "$T/flash" | tr -d '\n' |
	grep -q ' 3e3e3e3e 3f3f3f3f ffffffff' || echo "the file has $(od -An -tx4 -j 248 -N 12 "$T/flash"); ")"
guest flash --flash "$T/flash"
is "where the next machine finds it" 0 'out:flash: begins with 0'

head -c 5000 /dev/urandom >"$T/initrd"
sum="out:initrd 5000 adler32 $(adler32 "$T/initrd")"
guest mem -m 64 -i "$T/initrd"
is "64 MiB, and the initrd is what the file is" 0 "$sum" 'out:ram 0x80000000 + 0x4000000'
vm -k "$GUESTS/mem.image" -m 64 -i "$T/initrd"
is "the same with an Image" 0 "$sum" 'out:ram 0x80000000 + 0x4000000'
guest mem -m 16M
is "16 MiB will do" 0 'out:ram 0x80000000 + 0x1000000'
guest mem -m 3G
is "3 GiB reach beyond the fourth" 0 'out:ram 0x80000000 + 0xc0000000'
guest mem -m 9G -i "$T/initrd"
is "9 GiB are one piece" 0 "$sum" 'out:ram 0x80000000 + 0x240000000'

counts='1 2 8'
! "$LKVM" caps --require gicv3 >/dev/null 2>&1 || counts="$counts 64"
for cpus in $counts; do
	guest smp -c "$cpus" -p "cpus=$cpus" --timeout 100
	is "$cpus processors start" 0 "out:smp: $cpus processors, highest affinity"
done
guest smp -c 4 -p "cpus=4 say=1" --timeout 60
is "each is itself" 0 'out:hello from processor 1 at EL1' 'out:hello from processor 3 at EL1'
guest smp -c 6,sockets=2,cores=3 -p "cpus=6" --timeout 60
is "and so they are with a topology" 0 'out:smp: 6 processors, highest affinity 0x5'

printf Z >"$T/in"
guest irq -p "rx=1" --timeout 60 <"$T/in"
is "interrupts come from the virtual timer" 0 'out:virtual 5'
is "interrupts come from the physical timer" 0 'out:physical 5'
is "interrupts come from the MC146818" 0 'out:rtc 5'
is "interrupts come from the PL031" 0 'out:alarm 1'
is "interrupts come from the transmitter of the serial port" 0 'out:tx 1'
is "interrupts come from the receiver of the serial port" 0 'out:rx 1 Z'

for size in 1 2 4 8; do
	for dir in in out; do
		guest mmio -p "n=100 dir=$dir size=$size"
		is "an access of $size to no memory goes nowhere ($dir)" 0 \
			'report:"unclaimed_accesses": 100,'
	done
done

finish
