#!/bin/bash
# EGL without a window system: the device platform draws as directly, without an X server. Platforms that a guest has not are refused with a
# reason.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start
unset DISPLAY WAYLAND_DISPLAY

same_output devices "$PROGRAMS/egl_devices"
guest devices "$PROGRAMS/egl_devices" refused >"$TMPDIR/out" 2>"$TMPDIR/err" || fail "refused: status $?"
[ "$(cat "$TMPDIR/out")" = "0 0x300c
0 0x300c" ] || { cat "$TMPDIR/out"; fail "not refused"; }
for name in GBM Wayland; do
    grep -q "xengpu: no EGL display on $name: ." "$TMPDIR/err" || { cat "$TMPDIR/err"; fail "no reason for $name"; }
done
