#!/bin/bash
# glxinfo -B and eglinfo -B name the renderer as xengpu over the real one, and a version of OpenGL that the real one has too.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
xvfb_start
daemon_start

version() { sed -n 's/.*OpenGL core profile version[^:]*: *\([0-9]*\.[0-9]*\).*/\1/p' "$1" | sort -V | tail -n 1; }

xengpu_over() { # PROGRAM REAL SHOWN
    grep -qi xengpu <<<"$3" || fail "$1: without xengpu: $3"
    grep -qF "${2%% (*}" <<<"$3" || fail "$1: without '${2%% (*}': $3"
}

glxinfo -B >"$TMPDIR/direct" 2>&1 || fail "glxinfo fails directly"
guest info glxinfo -B >"$TMPDIR/guest" 2>&1 || { cat "$TMPDIR/guest"; fail "glxinfo fails as a guest"; }
real=$(sed -n 's/.*OpenGL renderer string: *//p' "$TMPDIR/direct" | head -n 1)
[ -n "$real" ] || fail "glxinfo names no renderer directly"
xengpu_over glxinfo "$real" "$(grep 'OpenGL renderer' "$TMPDIR/guest")"
has=$(version "$TMPDIR/guest") of=$(version "$TMPDIR/direct")
[ -n "$has" ] || { cat "$TMPDIR/guest"; fail "glxinfo: no version of the core profile"; }
[ "$(printf '%s\n' "$has" "$of" | sort -V | tail -n 1)" = "$of" ] || fail "glxinfo: version $has, the real one has only $of"
echo "glxinfo: $(grep 'OpenGL renderer' "$TMPDIR/guest"); $has of $of"

# Older eglinfo programs make no context, and so name no renderer; the vendor is named by all.
guest info eglinfo -B >"$TMPDIR/guest" 2>&1
grep -A 40 '^X11 platform' "$TMPDIR/guest" | grep -i 'EGL vendor string:.*xengpu' || { cat "$TMPDIR/guest"; fail "eglinfo: no xengpu on X11"; }
if eglinfo -B 2>/dev/null | grep -q 'OpenGL.* renderer'; then
    xengpu_over eglinfo "$real" "$(grep 'OpenGL.* renderer' "$TMPDIR/guest")"
fi

# The daemon's log has its own words and its agents', and no driver's.
daemon_log | grep -vE '^[-0-9T:.+]+ (info|warning|error) xengpu(d|-agent): ' && fail "something else writes into the daemon's log"
daemon_log | grep -E '\(worker [0-9]+\): ' && fail "a driver writes into the daemon's log"
exit 0
