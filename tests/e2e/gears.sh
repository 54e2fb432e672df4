#!/bin/bash
# The gears, by GLX and by EGL, fixed function and OpenGL ES 2: the same picture on the screen as directly, and they end when told to.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
xvfb_start
daemon_start

for program in glxgears es2gears_x11; do
    command -v $program >/dev/null || fail "$program is not installed"
    for at in 40 400; do
        gl_frame "$TMPDIR/direct.png" direct $at $program
        gl_frame "$TMPDIR/guest.png" gears $at $program
        images_equal "$TMPDIR/direct.png" "$TMPDIR/guest.png" || fail "$program at tick $at differs from a direct run"
    done
done
