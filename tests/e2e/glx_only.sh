#!/bin/bash
# An X server that has GLX from tests/tools/libglx_only.c: a client's own library draws in its windows, as on a server with Mesa's drivers, and a
# guest's does.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
mkdir "$TMPDIR/dri"
ln -s "$TOOLS/libglx_only.so" "$TMPDIR/dri/swrast_dri.so"
export LIBGL_DRIVERS_PATH=$TMPDIR/dri
xvfb_start
unset LIBGL_DRIVERS_PATH
daemon_start

direct "$PROGRAMS/glx_facts" >"$TMPDIR/facts" || { cat "$TMPDIR/facts"; fail "no configuration draws directly"; }
grep -q '^renderer: .*, direct 1$' "$TMPDIR/facts" || { cat "$TMPDIR/facts"; fail "not drawn by the client"; }
grep -q '^extensions: .*GLX_ARB_create_context_profile' "$TMPDIR/facts" || fail "no contexts with attributes"
same_output windows "$PROGRAMS/glx_windows"
guest windows "$PROGRAMS/glx_facts" >"$TMPDIR/facts" || { cat "$TMPDIR/facts"; fail "no configuration draws as a guest"; }
grep -q '^renderer: xengpu' "$TMPDIR/facts" || fail "not drawn by the guest's library"
