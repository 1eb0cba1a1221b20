#!/bin/sh
# The checks of the source tree, as a test.
exec "$top_srcdir/scripts/check-tree" "$top_srcdir"
