#!/bin/sh
# docs/api.md names exactly the routes of api/routes.c, and for each a
# test that exists: `test_x.py::test_name` of tests/integration, `FOLDER/file::name` of another one.
set -eu
top=${top_srcdir:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "1..3"
# One row a line, whatever its length.
sed -n '/^const struct route routes/,/^};/p' "$top/api/routes.c" | tr -s '\n\t' '  ' |
	sed 's/{"/\n{"/g' | grep '^{"' | sed 's/ {0}, };.*//; s|/\*[^*]*\*/||; s/ *$//' > "$work/rows"
sed 's/^{"\([A-Z]*\)", "\([^"]*\)",.*/\1 \2/' "$work/rows" | sort > "$work/code"
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

# Method, pattern, answer, operation, body, effect, object, protocol, fields.
row='^[{]"[A-Z]+", "/[^"]+", [a-z_]+, "[a-z.]+", ROUTE_(NO_BODY|JSON|TAR), ROUTE_(READS|WRITES), OF_[A-Z]+,'
row="$row"' ("[a-z0-9]+"|NULL), (body_[a-z_]+|NULL)[}],$'
if [ -s "$work/rows" ] && ! grep -Ev "$row" "$work/rows" > "$work/bad"; then
	echo "ok 3 - each row of api/routes.c has all columns"
else
	sed 's/^/# /' "$work/bad"
	echo "not ok 3 - each row of api/routes.c has all columns"
fi
