#!/bin/sh
# docs/api.md names exactly the routes of api/routes.c, and says 501 where they do.
set -eu
top=${top_srcdir:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "1..1"
sed -n 's/^\t{"\([A-Z]*\)", "\([^"]*\)", \([a-zA-Z_]*\)},$/\1 \2 \3/p' "$top/api/routes.c" |
	sed 's/ NULL$/ 501/; t; s/ [a-z_]*$/ answered/' | sort > "$work/code"
sed -n 's/^| \([A-Z]* \/[^ ]*\) | \(.*\) |$/\1 \2/p' "$top/docs/api.md" |
	sed 's/^\([A-Z]* [^ ]*\) 501$/\1 501/; t; s/^\([A-Z]* [^ ]*\) .*/\1 answered/' | sort > "$work/doc"
if [ -s "$work/code" ] && diff "$work/code" "$work/doc" > "$work/diff"; then
	echo "ok 1 - the table of routes in docs/api.md is that of the code"
else
	sed 's/^/# /' "$work/diff"
	echo "not ok 1 - the table of routes in docs/api.md is that of the code"
fi
