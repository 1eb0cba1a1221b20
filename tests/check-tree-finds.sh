#!/bin/sh
# scripts/check-tree finds what it is there for: each case plants one violation in a small tree.

set -u
check=$top_srcdir/scripts/check-tree
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM
number=0

# A tree that keeps the rules, with things that only look like violations.
plant_clean_tree() {
	rm -rf "$work/tree"
	mkdir -p "$work/tree/lib" "$work/tree/http" "$work/tree/cluster" "$work/tree/filters" \
		"$work/tree/cli" "$work/tree/tests/unit"
	cd "$work/tree" || exit 99
	: >configure.ac
	cat >lib/a.h <<'EOF'
#ifndef LIB_A_H
#define LIB_A_H
#include <stddef.h>
size_t a(void);
#endif
EOF
	cp lib/a.h lib/a_priv.h
	cp lib/a.h cluster/view.h
	cp lib/a.h cluster/cluster.h
	cp lib/a.h http/client.h
	cat >lib/a.c <<'EOF'
#include "lib/a.h"
#include "lib/a_priv.h"
#include <uv.h>
/* system("x"); #include "cluster/cluster.h"
 * strcpy(a, b); */
const char *text = "strcat(a, b) /*"; // gets(a)
char quote = '"';
size_t a(void) { return ops->system(a.gets(xmalloc(my_atoi(1)))); } /* ' */ /* " */
__attribute__((format(printf, 1, 2))) int snprintf_like(const char *fmt, ...);
EOF
	printf '#include "cluster/view.h"\n#include "filters/f.h"\n#include "lib/a.h"\n' >filters/f.c
	cp lib/a.h filters/f.h
	printf '#include <curl/curl.h>\n#include <openssl/ssl.h>\n' >http/client.c
	printf 'int main(void) { return printf("x"); }\n' >cli/main.c
	printf '#include "lib/a_priv.h"\n#include <curl/curl.h>\n#include <cmocka.h>\nint x = malloc(1);\n' \
		>tests/unit/t.c
	list_sources
}

list_sources() {
	{
		printf 'x_SOURCES = \\\n'
		find . -name '*.[ch]' -o -name '*.cc' | sed 's,^\./\(.*\),\t\1 \\,'
		echo
	} >lib/local.mk
}

# result NAME OK: prints the point, with what check-tree said when it is not as it should be.
result() {
	number=$((number + 1))
	if [ "$2" = yes ]; then
		echo "ok $number - $1"
	else
		sed 's/^/# /' "$work/output"
		echo "not ok $number - $1"
	fi
}

# finds NAME FILE:LINE PATTERN: the planted line, and nothing else, is found.
finds() {
	list_sources
	TREE_CPPFLAGS='' "$check" "$work/tree" >"$work/output" 2>&1
	status=$?
	as_expected=yes
	[ "$status" -eq 1 ] || as_expected=no
	[ "$(grep -c '^not ok' "$work/output")" -eq 1 ] || as_expected=no
	grep "$2:.*$3" "$work/output" >"$work/lines" || as_expected=no
	grep -q '^# ' "$work/lines" || as_expected=no
	result "$1" "$as_expected"
	plant_clean_tree
}

echo "1..22"

plant_clean_tree
TREE_CPPFLAGS='' "$check" "$work/tree" >"$work/output" 2>&1
if [ $? -eq 0 ] && ! grep -q '^not ok' "$work/output"; then
	result "a tree that keeps the rules passes" yes
else
	result "a tree that keeps the rules passes" no
fi

echo '#include "http/client.h"' >>lib/a.c
finds "lib includes nothing above it" lib/a.c:10 'lib/ may not include it'
echo '	#  include "cluster/view.h" /* x */' >>http/client.c
finds "http does not see the cluster, whatever the spacing" http/client.c:3 'may not include'
echo '#include "cluster/cluster.h"' >>filters/f.c
finds "filters see views only" filters/f.c:4 'may not include'
echo '#include "lib/a_priv.h"' >>http/client.c
finds "private headers stay in their folder" http/client.c:3 'private to lib/'
echo '#include "tests/unit/t.h"' >>http/client.c
finds "nobody includes tests" http/client.c:3 'may not include'
echo '#include "client.h"' >>http/client.c
finds "headers are written with their folder" http/client.c:3 'folder/name.h'
echo '#include "../lib/a.h"' >>http/client.c
finds "no way around by .." http/client.c:3 'folder/name.h'
echo '#include <uv.h>' >>http/client.c
finds "uv.h stays in lib" http/client.c:3 'only in lib/'
echo '#include <uthash.h>' >>cluster/view.h
finds "uthash.h has one door" cluster/view.h:6 'only in lib/hash.h'
echo '#include <openssl/ssl.h>' >>lib/a.c
finds "OpenSSL stays in http" lib/a.c:10 'only in http/'
echo '#include <re2/re2.h>' >lib/b.cc
finds "RE2 stays in one file" lib/b.cc:1 'only in lib/regex.cc'
echo '/* x */ int y = sprintf (a, "%s", b);' >>cluster/c.c
finds "sprintf is banned" cluster/c.c:1 'sprintf: writes without a bound'
echo 'int y = strtok(a, b);' >>tests/unit/t.c
finds "tests may not use banned functions either" tests/unit/t.c:5 'strtok'
printf '/* a\n */ int y = system("x"); /* b */\n' >cluster/c.c
finds "code behind a comment counts" cluster/c.c:2 'system'
echo 'char *y = "\"" "a\\"; int z = atoi(y);' >cluster/c.c
finds "code behind a string counts" cluster/c.c:1 'atoi'
echo 'void *y = malloc(1);' >cluster/c.c
finds "bare allocation is banned" cluster/c.c:1 'malloc'
echo 'int y = printf("x");' >cluster/c.c
finds "only the command line prints" cluster/c.c:1 'printf'
printf '#ifndef A\n#define A\nsize_t b(void);\n#endif\n' >lib/b.h
finds "a header that needs another is found" lib/b.h:3 'size_t'
printf '#include <stddef.h>\nstruct b { int b; };\n' >lib/b.h
finds "a header without a guard is found" lib/b.h:2 'redefinition'
mkdir extra && echo 'int y;' >extra/c.c
finds "a folder of its own is found" extra/c.c:1 'folders that scripts/check-tree knows'

echo 'int y;' >cluster/forgotten.c
TREE_CPPFLAGS='' "$check" "$work/tree" >"$work/output" 2>&1
if [ $? -eq 1 ] && grep -q '^# cluster/forgotten.c:1: named in no local.mk' "$work/output"; then
	result "a file that no makefile names is found" yes
else
	result "a file that no makefile names is found" no
fi
