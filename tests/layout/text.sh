#!/bin/bash
# text.sh - the outer form of the tree's files, so far as clang-format does not settle it (its
# versions differ): blanks, indentation, line ends, and no names of one machine.
#
# Does not prove: that code is formatted as .clang-format says.

set -u
# shellcheck source-path=SCRIPTDIR source=tap
. "$(dirname "$0")/tap"

# What is, or would be, checked in. Without git (a released archive): all but what a build makes.
list() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files -z --cached --others --exclude-standard
	else
		find . -path ./build -prune -o -type f ! -name '*.o' -printf '%P\0'
	fi
}
text=() # those that are not binary, nor links, nor deleted
code=()
while IFS= read -r -d '' file; do
	if [ ! -f "$file" ] || [ -L "$file" ] || ! grep -Iq '' "$file"; then
		continue
	fi
	text+=("$file")
	[[ ! $file =~ \.([chS]|asl)$ ]] || code+=("$file")
done < <(list)
[ "${#code[@]}" -gt 50 ] || bail "this is not the top of the tree: $PWD"

# golden files are as the programs print that made them
no_trailing_blanks() {
	grep -nE '[[:blank:]]+$' "${text[@]}" | grep -v '^tests/golden/' |
		sed 's/$/   <- blanks at the end/'
}

no_carriage_returns() {
	grep -l $'\r$' "${text[@]}" | sed 's/$/: lines end with CR LF/'
}

ends_with_newline() {
	local file
	for file in "${text[@]}"; do
		[ -z "$(tail -c 1 "$file")" ] || echo "$file: the last line has no end"
		[ -n "$(tail -n 1 "$file")" ] || echo "$file: empty lines at the end"
	done
}

# Fewer than eight blanks may follow the tabs: that is alignment.
indented_with_tabs() {
	grep -nE '^	*( {8}| +	)' "${code[@]}" | sed 's/$/   <- indent with tabs/'
}

at_most_100_columns() {
	local file
	for file in "${code[@]}"; do
		expand "$file" | grep -nE '^.{101}' | sed "s|^\([0-9]*\):.*|$file:\1: over 100 columns|"
	done
}

ascii_only() {
	grep -nP '[^\x00-\x7f]' "${code[@]}" | sed 's/$/   <- not ASCII/'
}

# Folders of somebody's machine, mirrors: what is configured there is not for the tree to say.
names_no_machine() {
	grep -nE '(^|[^[:alnum:]_.$}-])/(work|home)/[[:alnum:]]' "${text[@]}" |
		sed 's/$/   <- a folder of one machine/'
	grep -niE '\b(deb|security|snapshot|ftp[.a-z]*)[.]debian[.]org' "${text[@]}" |
		sed 's/$/   <- apt knows its mirrors/'
}

rule 'no line ends with blanks' no_trailing_blanks
rule 'lines end as Unix lines do' no_carriage_returns
rule 'files end with one end of line' ends_with_newline
rule 'C is indented with tabs' indented_with_tabs
rule 'C has at most 100 columns' at_most_100_columns
rule 'C is written in ASCII' ascii_only
rule 'no file names a folder or a mirror of one machine' names_no_machine
plan
