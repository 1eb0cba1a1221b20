#!/bin/sh
# docs/api.md names exactly the routes of api/routes.c, and for each a
# test that exists: `test_x.py::test_name` of tests/integration, `FOLDER/file::name` of another one.
set -eu
top=${top_srcdir:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "1..2"
sed -n 's/^\t{"\([A-Z]*\)", "\([^"]*\)", [a-z_]*},$/\1 \2/p' "$top/api/routes.c" | sort > "$work/code"
sed -n 's/^| \([A-Z]* \/[^ ]*\) | .* | [^|]* |$/\1/p' "$top/docs/api.md" | sort > "$work/doc"
if [ -s "$work/code" ] && diff "$work/code" "$work/doc" > "$work/diff"; then
	echo "ok 1 - the table of routes in docs/api.md is that of the code"
else
	sed 's/^/# /' "$work/diff"
	echo "not ok 1 - the table of routes in docs/api.md is that of the code"
fi

# One line for each test of each route: METHOD PATH file::name.
sed -n 's/^| \([A-Z]* \/[^ ]*\) | .* | \([^|]*\) |$/\1 \2/p' "$top/docs/api.md" |
	while read -r method path tests; do
		found=
		for test in $tests; do
			test=${test#\`}
			test=${test%\`}
			file=${test%%::*}
			case $file in
			*/*) file=$top/tests/$file ;;
			*) file=$top/tests/integration/$file ;;
			esac
			case $test in
			*::*) ;;
			*) file=/nonexistent ;;
			esac
			if grep -qs "[^A-Za-z0-9_]${test##*::}(" "$file"; then
				found=1
			else
				echo "# $method $path: there is no test $test"
			fi
		done
		[ -n "$found" ] || echo "# $method $path: no test is named"
	done > "$work/tests"
if [ -s "$work/doc" ] && ! [ -s "$work/tests" ]; then
	echo "ok 2 - each route is tested by what docs/api.md says"
else
	cat "$work/tests"
	echo "not ok 2 - each route is tested by what docs/api.md says"
fi
