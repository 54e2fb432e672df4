#!/bin/bash
# A driver of OpenGL that is not Mesa and says it is a GPU (tests/programs/libother_egl.c): its device is found by the number that CUDA gives it,
# frames come through pixel buffers, and programs print and show what they do directly.
# limit: 180
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
xvfb_start

mkdir "$TMPDIR/driver"
cp "$XG_PLAIN_BUILD/tests/programs/libother_egl.so" "$TMPDIR/driver/libEGL.so.1"
cp /usr/share/glvnd/egl_vendor.d/50_mesa.json "$TMPDIR/driver/" # its folder is one that workers may read
other_daemon() { # CONFIGURATION
    rm -f "$TMPDIR/log"
    printf '[pgpu x]\negl-vendor = %s\n%s\n' "$TMPDIR/driver/50_mesa.json" "$1" >"$TMPDIR/conf"
    LD_LIBRARY_PATH=$TMPDIR/driver XG_OTHER_LOG=$TMPDIR/log daemon_start --config "$TMPDIR/conf"
}

other_daemon 'cuda = softcuda'
for name in gl_legacy gl_modern gl_es gl_maps gl_share gl_threads gl_names gl_refused; do
    same_output "$name" "$PROGRAMS/$name"
done
for what in compat split core es es-alone; do
    same_output gl_walk "$PROGRAMS/gl_walk" 1 400 "$what"
done
# this driver writes no length where a program has no binary
direct "$PROGRAMS/gl_untouched" | sed '/^glGetProgramBinary(good,/s/written:.*/written:/' >"$TMPDIR/untouched"
guest a "$PROGRAMS/gl_untouched" | diff "$TMPDIR/untouched" - || fail "gl_untouched"
for program in glx_windows glx_threads egl_surfaces gl_pixmaps; do
    same_output windows "$PROGRAMS/$program"
done
# the same with frames that are held back, while others are under way
xengpu set windows fps-limit=40 --socket-dir "$SOCKETS" || fail "no limit can be set"
for program in glx_windows glx_threads; do
    same_output windows "$PROGRAMS/$program"
done
[ "$(cat "$TMPDIR/log")" = second ] || { cat "$TMPDIR/log"; fail "another device than CUDA's was tried"; }
if daemon_log | grep -q "another device"; then fail "another device than CUDA's was used"; fi
[ "$(guest a "$PROGRAMS/egl_devices" versions)" = "OpenGL 4.5, OpenGL ES 3.2" ] || fail "not the highest versions"
XENGPU_GL_ERRORS=strict XG_TEST_EGL=device guest a "$PROGRAMS/gl_facts" >"$TMPDIR/facts" || fail "gl_facts: status $?"
for api in compat core; do
    [ "$(grep "^pbuffer $api " "$TMPDIR/facts" | cut -d' ' -f3-)" = "draw 0x0405 read 0x0405 double 0
front error 0x0502
back error 0x0000" ] || { grep '^pbuffer' "$TMPDIR/facts"; fail "a pbuffer's buffer is not what the device calls it, $api"; }
done
# what glGetIntegerv cannot hold is wrapped by this driver, not clamped
grep -q '^limit compat 0x8d6b -1 4.29497e+09$' "$TMPDIR/facts" || { grep 0x8d6b "$TMPDIR/facts"; fail "GL_MAX_ELEMENT_INDEX"; }
guest a "$PROGRAMS/gl_facts" devices | grep -q '^device 0 cuda 0 ' || fail "a guest does not hear that the device is CUDA's too"
grep -q '^limit compat 0x9111 -1 1.84467e+19$' "$TMPDIR/facts" || { grep 0x9111 "$TMPDIR/facts"; fail "GL_MAX_SERVER_WAIT_TIMEOUT"; }
daemon_stop

# a device that fails is told of, and the next one serves
other_daemon 'cuda = none
cuda-device = 7'
same_output a "$PROGRAMS/gl_share"
daemon_log | grep -q "another device is used, as EGL device 0 has no display" || fail "nobody hears that a device failed"
daemon_stop

# one that stays in its vertex array object where client attributes are popped
export XG_OTHER_POP=1
other_daemon 'cuda = softcuda'
XG_TEST_EGL=device guest a "$PROGRAMS/gl_facts" >"$TMPDIR/facts" || fail "gl_facts: status $?"
[ "$(grep '^bracket' "$TMPDIR/facts" | grep -o '[a-z]* restored .')" = "array restored 0
buffer restored 0
object restored 0" ] || { grep '^bracket' "$TMPDIR/facts"; fail "a vertex array object is taken for bound that is not"; }
grep -q '^bracket compat arrays enabled 1 size 2$' "$TMPDIR/facts" || fail "what the object that is left held is not restored: $(grep '^bracket' "$TMPDIR/facts")"
daemon_stop
unset XG_OTHER_POP

# by number
other_daemon 'cuda = none
gl = 1'
same_output a "$PROGRAMS/gl_share"
if guest a "$PROGRAMS/gl_facts" devices | grep -q cuda; then fail "a guest without CUDA hears of CUDA's number"; fi
daemon_stop
