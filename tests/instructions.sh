#!/bin/sh
# Instructions of what a manager does most often, against the budgets in bench/instructions. Counts
# repeat exactly where times do not, so that a path that grew is found on any machine.
# `make check-instructions` in an optimised build without sanitizers runs it. TAP.
set -u
export LC_ALL=C
: "${srcdir:=.}" "${top_builddir:=.}"
hot=$top_builddir/bench/hot

if ! [ -x "$hot" ] || ! command -v valgrind >/dev/null; then
	echo "Bail out! $hot or valgrind (Debian: valgrind) is missing"
	exit 99
fi

# count PATH TIMES: all instructions of the process.
count()
{
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$hot" "$1" "$2" 2>&1 |
		awk '/Collected/ { n = $NF } END { print n + 0 }'
}

n=0
status=0
echo "1..$(grep -c '^[a-z]' "$srcdir/bench/instructions")"
while read -r path budget; do
	case $path in '' | '#'*) continue ;; esac
	n=$((n + 1))
	# What is done once, at the start and the end, is in both. It differs a little from process
	# to process, by the keys of the hash tables: a thousand make that small.
	one=$(count "$path" 100)
	two=$(count "$path" 1100)
	each=$(((two - one) / 1000))
	if [ "$one" -gt 0 ] && [ "$each" -gt 0 ] && [ "$each" -le "$budget" ]; then
		echo "ok $n - $path: $each instructions, at most $budget"
	else
		status=1
		echo "not ok $n - $path: $each instructions, at most $budget ($one for 100, $two for 1,100)"
	fi
done <"$srcdir/bench/instructions"
exit $status
