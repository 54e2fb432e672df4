#!/bin/bash
# XENGPU_STATS=1: what a program waited for, by name and as often as it did so, is told when it ends; and nothing is without it.
# limit: 60
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start
count() { sed -n "s/^xengpu: *\([0-9]*\) .* $1\$/\1/p" "$TMPDIR/err"; }
XG_TEST_EGL=device XENGPU_STATS=1 guest a "$PROGRAMS/gl_modern" >"$TMPDIR/out" 2>"$TMPDIR/err" || fail "gl_modern: status $?"
if grep -q 'wide uniforms: 1' "$TMPDIR/out"; then # asked twice with a buffer's size, and once without
    [ "$(count glGetUniformui64vARB)" = 3 ] || { cat "$TMPDIR/err"; fail "glGetUniformui64vARB waits three times"; }
fi
grep -Eq '^xengpu: [1-9][0-9]* commands done, [1-9][0-9]* bytes sent, [0-9]+\.[0-9]{3} ms of the device$' "$TMPDIR/err" || { cat "$TMPDIR/err"; fail "no sums"; }
XENGPU_STATS=1 guest a "$PROGRAMS/cuda_vectoradd" >"$TMPDIR/out" 2>"$TMPDIR/err" || fail "cuda_vectoradd: status $?"
[ "$(count INIT)" = 1 ] || { cat "$TMPDIR/err"; fail "cuInit waits once"; }
for off in 0 ''; do
    XENGPU_STATS=$off guest a "$PROGRAMS/cuda_vectoradd" 2>"$TMPDIR/err" >"$TMPDIR/out" || fail "cuda_vectoradd: status $?"
    [ ! -s "$TMPDIR/err" ] || { cat "$TMPDIR/err"; fail "told without being asked"; }
done
