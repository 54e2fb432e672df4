#!/bin/bash
# Children of a guest's program: those that inherit LD_PRELOAD are guests too; those that lost it (sandboxes, wrappers that clean the
# environment) have the system's own OpenGL, by GLX and by EGL, whatever else they inherited.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
xvfb_start
daemon_start

renderer() { # FILE: of GLX
    sed -n 's/.*OpenGL renderer string: *//p' "$1" | head -n 1
}
vendor() { # FILE: of EGL on X11
    grep -A 40 '^X11 platform' "$1" | sed -n 's/^ *EGL vendor string: *//p' | head -n 1
}
child() { # FILE COMMAND...: as the child of a shell that is a guest's
    local file=$1; shift
    guest children sh -c '"$@"; exit $?' sh "$@" >"$file" 2>&1 || { cat "$file"; fail "status $? of $*"; }
}

glxinfo -B >"$TMPDIR/direct" 2>&1
real=$(renderer "$TMPDIR/direct")
eglinfo -B >"$TMPDIR/direct" 2>&1
real_vendor=$(vendor "$TMPDIR/direct")
[ -n "$real" ] && [ -n "$real_vendor" ] || fail "no OpenGL directly"

child "$TMPDIR/out" glxinfo -B
[ "$(renderer "$TMPDIR/out")" = "xengpu ($real)" ] || { cat "$TMPDIR/out"; fail "a child that inherits all, by GLX"; }
guest children sh -c 'eglinfo -B; true' >"$TMPDIR/out" 2>&1
[ "$(vendor "$TMPDIR/out")" = xengpu ] || { cat "$TMPDIR/out"; fail "a child that inherits all, by EGL"; }

for lost in "-u LD_PRELOAD" "-u LD_PRELOAD -u LD_LIBRARY_PATH" "-u LD_PRELOAD -u LD_LIBRARY_PATH -u XENGPU_SOCKET"; do
    # shellcheck disable=SC2086 # words on purpose
    child "$TMPDIR/out" env $lost glxinfo -B
    [ "$(renderer "$TMPDIR/out")" = "$real" ] || { cat "$TMPDIR/out"; fail "env $lost, by GLX"; }
    # shellcheck disable=SC2086
    guest children env $lost eglinfo -B >"$TMPDIR/out" 2>&1
    [ "$(vendor "$TMPDIR/out")" = "$real_vendor" ] || { cat "$TMPDIR/out"; fail "env $lost, by EGL"; }
done

# Programs with a getenv of their own, and their children (bash is one).
[ "$(guest children "$PROGRAMS/egl_own_getenv" 2>&1)" = xengpu ] || fail "a program with its own getenv"
guest children bash -c 'env -u LD_PRELOAD -u LD_LIBRARY_PATH glxinfo -B; exit $?' >"$TMPDIR/out" 2>&1
[ "$(renderer "$TMPDIR/out")" = "$real" ] || { cat "$TMPDIR/out"; fail "a child of bash, by GLX"; }
guest children bash -c 'env -u LD_PRELOAD -u LD_LIBRARY_PATH eglinfo -B; exit 0' >"$TMPDIR/out" 2>&1
[ "$(vendor "$TMPDIR/out")" = "$real_vendor" ] || { cat "$TMPDIR/out"; fail "a child of bash, by EGL"; }

# What the user says goes first, and so does XENGPU_GL=off.
__GLX_VENDOR_LIBRARY_NAME=mesa child "$TMPDIR/out" glxinfo -B
[ "$(renderer "$TMPDIR/out")" = "$real" ] || { cat "$TMPDIR/out"; fail "the user's own choice of a vendor"; }
XENGPU_GL=off child "$TMPDIR/out" glxinfo -B
[ "$(renderer "$TMPDIR/out")" = "$real" ] || { cat "$TMPDIR/out"; fail "XENGPU_GL=off"; }
guest children env | grep -E '^__(GLX|EGL)_' && fail "the environment was changed"

# Children without an exec.
guest children "$PROGRAMS/glx_forks" || fail "children that share what their parent has"
exit 0
