#!/bin/bash
# What a guest has is made of protocol/, settings/, frontend/, interposer/ and cuda/ alone: their make rules need no other folder, whose archives a guest would
# not have. Nothing is built, the rules are only asked.
. "$XG_ROOT/tests/lib/e2e.sh"
mkdir "$TMPDIR/tests"
for part in Makefile packaging protocol settings frontend interposer cuda tests/check.mk; do
    ln -s "$(realpath "$XG_ROOT")/$part" "$TMPDIR/$part"
done
cd "$TMPDIR" || exit 1
env -u MAKEFLAGS -u MAKELEVEL make -n BUILD=build all >said 2>&1 || fail "$(grep -m 5 '\*\*\*' said)"
for made in bin/xengpu-agent lib/libxengpu.so lib/libxengpu-gl.so lib/libcuda.so.1 lib/libcudart.so.12 lib/libcudart.so.13; do
    grep -q -- "-o build/$made " said || fail "build/$made is not made"
done
