#!/bin/sh
# `lkvm snp-report`: what it prints of a report, what it says of a signature, and what it refuses.
#
# Reports and certificates are made up (tests/unit/test_snp_verify.c says how); whether those of
# real firmware look like them is not shown. The command needs no KVM and runs for all guests.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cli/lib
. tests/cli/lib
G=tests/golden/snp
PEM=$G/vcek.pem

# report OPTION...: leaves its exit status in $status, and out and err in $T
report() {
	"$LKVM" snp-report "$@" >"$T/out" 2>"$T/err"
	status=$?
}

# silent DESCRIPTION STATUS WORDS: nothing on standard output, one line of message
silent() {
	is "$1" "$2" "err:$3"
	[ ! -s "$T/out" ] && [ "$(wc -l <"$T/err")" = 1 ] && why= || why='not one line of message; '
	verdict '... in one line, and nothing else' "$why"
}

# byte FILE OFFSET OCTAL: change one
byte() {
	# shellcheck disable=SC2059 # it is the format that has the byte
	printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# ---- decoding -----------------------------------------------------------------------------

report --decode $G/report.bin
same 'every field, by its name' "$T/out" $G/report.txt
report --decode --json $G/report.bin
same 'the same as JSON' "$T/out" $G/report.json
report --decode - <$G/report.bin
same 'standard input' "$T/out" $G/report.txt
{
	printf '\0\0\0\0\240\4\0\0'
	head -c 24 /dev/zero
	cat $G/report.bin
} >"$T/framed"
report "$T/framed" --decode
same 'a report behind its header' "$T/out" $G/report.txt

cp $G/report.bin "$T/turin"
byte "$T/turin" 392 032
report --decode "$T/turin"
is 'Turin has an FMC' 0 'out:  FMC                       1'
byte "$T/turin" 0 005
report --decode "$T/turin"
is 'version 5 has mitigation vectors' 0 'out:LAUNCH_MIT_VECTOR           0x0000000000000000'
cp $G/report.bin "$T/later"
byte "$T/later" 0 006
report --decode "$T/later"
is 'a later version is read as far as known' 0 'out:VERSION                     6' \
	"err:lkvm: $T/later: is of version 6, and 5 is the last known here"
cp $G/report.bin "$T/bits"
byte "$T/bits" 10 375
byte "$T/bits" 15 200
report --decode "$T/bits"
is 'bits without a name' 0 'out:  RESERVED_1                no' 'out:  BIT_63                    yes'

# ---- refused ------------------------------------------------------------------------------

head -c 1183 $G/report.bin >"$T/short"
: >"$T/empty"
cat $G/report.bin $G/report.bin >"$T/long"
head -c 1184 /dev/zero >"$T/zeros"
report --decode "$T/short"
silent 'a truncated report' 120 "lkvm: $T/short: truncated: has 1183 bytes, an attestation report has"
report --decode --json "$T/empty"
silent 'an empty file' 120 'truncated: has 0 bytes'
report --decode "$T/long"
silent 'a file that is too long' 120 'not an attestation report: has more than the 1184 bytes'
report --decode "$T/zeros"
silent 'another file of that size' 120 'not an attestation report: its version is 0'
report --decode "$T/none"
silent 'no file' 120 "lkvm: $T/none: cannot be read: No such file or directory"
report --decode "$T"
silent 'a folder' 120 "lkvm: $T: cannot be read: Is a directory"
refused 'snp-report: needs --decode or --verify' snp-report
refused 'snp-report: needs --decode or --verify' snp-report $G/report.bin
refused 'snp-report: needs the file of a report' snp-report --decode
refused 'snp-report: needs the file of a report' snp-report --decode ''
refused 'one file at a time' snp-report --decode $G/report.bin "$T/short"
refused '--frob: unknown option' snp-report --frob $G/report.bin
refused '--verify: a value is needed' snp-report $G/report.bin --verify
refused "--verify '': must be a certificate" snp-report $G/report.bin --verify=
says 'its help' 'usage: lkvm snp-report' snp-report --help
says 'it is in the list of commands' 'snp-report ' help

# ---- verifying ----------------------------------------------------------------------------

mkdir "$T/lib"
echo 'no library' >"$T/lib/libcrypto.so.3"
(
	export LD_LIBRARY_PATH="$T/lib"
	"$LKVM" snp-report --decode --verify $PEM $G/report.bin >"$T/out" 2>"$T/err"
)
status=$?
silent 'without libcrypto' 126 'checking a signature takes libcrypto.so.3 of OpenSSL 3'

report --verify $PEM $G/report.bin
if [ $status = 126 ]; then
	skip 'signatures of reports' 'no libcrypto.so.3 here'
	finish
	exit
fi
is 'a good signature' 0 'out:verified                    yes'
report --verify=$PEM --decode $G/report.bin
{
	cat $G/report.txt
	echo 'verified                    yes'
} >"$T/want"
same 'decoded and verified at once' "$T/out" "$T/want"
report --verify $PEM --json "$T/framed"
is 'verified, as JSON' 0 'out:"verified": true'
report --verify $PEM - <$G/short.bin
is 'verified from standard input' 0 'out:verified'

cp $G/report.bin "$T/forged"
byte "$T/forged" 144 000
report --decode --verify $PEM "$T/forged"
silent 'nothing is printed of a forged report' 120 \
	"lkvm: $T/forged: the report is not signed by the key of certificate $PEM"
report --verify $G/other.pem $G/report.bin
silent 'the key of another chip' 120 'the report is not signed by the key of certificate'
report --verify $G/p256.pem $G/report.bin
silent 'a key that cannot be of a chip' 120 'not for ECDSA on the curve P-384'
report --verify "$T/none.pem" $G/report.bin
silent 'no certificate' 120 "Unable to open certificate $T/none.pem"
report --verify $G/report.bin $G/report.bin
silent 'a file that is no certificate' 120 'is no X.509 certificate in PEM form'
finish
