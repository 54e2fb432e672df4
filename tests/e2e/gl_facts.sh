#!/bin/bash
# What a guest is told of OpenGL is what the device says: versions of contexts, limits in each type, configurations, a pbuffer's buffers. Which
# program binary formats there are is not, as a guest has none (docs/opengl.md). XG_TEST_EGL=device: programs without an X server.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start
unset DISPLAY
export XENGPU_GL_ERRORS=strict

facts() { grep -E "^(version|limit|pbuffer|context$1) " "$2" | grep -v ' 0x87fe '; }
for way in device surfaceless; do
    [ $way = device ] && more='|config' || more= # Mesa has other ones on the other platform
    XG_TEST_EGL=$way direct "$PROGRAMS/gl_facts" >"$TMPDIR/direct" || fail "directly, $way"
    XG_TEST_EGL=$way guest a "$PROGRAMS/gl_facts" >"$TMPDIR/guest" || fail "as a guest, $way"
    [ "$(facts "$more" "$TMPDIR/direct" | wc -l)" -gt 300 ] || fail "few facts"
    diff <(facts "$more" "$TMPDIR/direct") <(facts "$more" "$TMPDIR/guest") || fail "a guest is told something else, $way"
    XG_TEST_EGL=$way same_output a "$PROGRAMS/egl_surfaces"
    XG_TEST_EGL=$way same_output a "$PROGRAMS/gl_share"
done
[ "$(guest a "$PROGRAMS/gl_facts" devices | grep -c '^device [0-9]')" = 1 ] || fail "not one device"
