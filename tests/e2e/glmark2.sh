#!/bin/bash
# Every default scene of glmark2: the frame at a given tick of the clock, on the screen, has the pixels of a direct run.
# limit: 420
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
command -v glmark2 >/dev/null || fail "glmark2 is not installed"
xvfb_start
daemon_start

bad=0 scenes=0
while read -r scene; do
    case $scene in
    terrain*|refract*) at=30 XG_STILL_MS=1500 ;; # slow on a CPU
    *) at=60 XG_STILL_MS=300 ;;
    esac
    gl_frame "$TMPDIR/direct.png" direct $at glmark2 -b "$scene:duration=100"
    gl_frame "$TMPDIR/guest.png" gl $at glmark2 -b "$scene:duration=100"
    verdict=$(images_equal "$TMPDIR/direct.png" "$TMPDIR/guest.png") || bad=$((bad + 1))
    echo "$scene: $verdict"
    scenes=$((scenes + 1))
done <"$XG_ROOT/tests/lib/glmark2.scenes"
[ "$scenes" -eq 33 ] || fail "$scenes scenes, not 33"
[ "$bad" -eq 0 ] || fail "$bad scenes differ from a direct run"
