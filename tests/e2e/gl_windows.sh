#!/bin/bash
# Windows, pixmaps, pbuffers, threads, fences and wrong calls, by GLX and by EGL: the same pictures, results and errors as directly. The
# pictures also where frames cannot reach the X server in shared pages. A signal's handler that closes the display ends the program.
# limit: 180
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
xvfb_start
daemon_start

for program in glx_windows glx_errors glx_threads egl_surfaces gl_pixmaps; do
    same_output windows "$PROGRAMS/$program"
done
for way in segment wire; do
    XENGPU_PRESENT=$way same_output windows "$PROGRAMS/glx_windows"
    XENGPU_PRESENT=$way same_output windows "$PROGRAMS/gl_pixmaps"
done
guest windows "$PROGRAMS/gl_pixmaps" egl || fail "pixmaps by EGL, or wrong calls about them"
# Mesa has swap intervals only where it knows the screen's refresh, which it does not on Xvfb: nothing to compare with.
guest windows "$PROGRAMS/glx_intervals" || fail "swap intervals"
vblank_mode=0 guest windows "$PROGRAMS/glx_intervals" || fail "swap intervals with vblank_mode=0"
guest windows "$PROGRAMS/glx_signals" || fail "a signal while a call waits"
