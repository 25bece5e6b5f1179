#!/bin/bash
# group.sh - what group of tests/lib.sh runs once more, and what it does not: a mistake there would
# hide failures, or none that an emulated machine makes.

set -u
# shellcheck source-path=SCRIPTDIR source=tap
. "$(dirname "$0")/tap"

# says EMULATED TESTS: what TESTS come to, one "ok" or "not ok" each, and then the plan
says() {
	EMULATED=$1 sh -c '. tests/lib.sh
		seen=
		# first NAME: fails from the second time on
		first() {
			case $seen in *" $1 "*) return 1 ;; esac
			seen="$seen $1 "
		}
		crash() {
			status=0
			! first $1 || status=116
			is $1 0
		}
		crash_twice() {
			status=0
			if first $1 || first $1-again; then
				status=116
			fi
			is $1 0
		}
		crashes() {
			status=116
			is $1 0
		}
		wrong() {
			why=
			! first $1 || why="bad; "
			verdict $1 "$why"
		}
		two() {
			crash $1
			verdict also ""
		}
		'"$2"'
		finish' tests/lib.sh | sed -n 's/^\(ok\|not ok\|1\.\.[0-9]*\).*/\1/p' | tr '\n' ' '
}

# come_to WANTED EMULATED TESTS
come_to() {
	local got
	got=$(says "$2" "$3")
	[ "$got" = "$1 " ] || echo "they come to '$got', not '$1 '"
}

rule "a guest that crashes in a bed is run once more" \
	come_to "ok ok 1..2" 1 'group crash a; group crash b'
rule "and a second time" come_to "ok 1..1" 1 'group crash_twice a'
rule "but not a third" come_to "not ok 1..1" 1 'group crashes a'
rule "the fifth crash of a script is a failure" \
	come_to "ok ok ok not ok 1..4" 1 \
	'group crash_twice a; group crash b; group crash c; group crash d'
rule "outside of a bed none is run again" come_to "not ok ok 1..2" '' 'group crash a; group crash a'
rule "nor is one whose data is wrong" come_to "not ok ok 1..2" 1 'group wrong a; group wrong a'
rule "tests that are run again are counted once" come_to "ok ok ok ok 1..4" 1 'group two a; group two b'
plan
