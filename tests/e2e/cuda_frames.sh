#!/bin/bash
# The frames of unit/test_cuda_hostile at a driver that behaves as a GPU's does (tests/programs/libmoody_driver.c).
# limit: 120
# san: address
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
export XG_ROUNDS=8 XG_DRIVER=$XG_BUILD/tests/programs/libmoody_driver.so LD_LIBRARY_PATH=$XG_BUILD/lib/softcuda
for moods in discrete "discrete lazy" unregistered; do
    XG_DRIVER_MOODS=$moods "$XG_BUILD/tests/unit/test_cuda_hostile" >"$TMPDIR/out" 2>&1 || { cat "$TMPDIR/out"; fail "$moods"; }
    grep -q "rounds to the end" "$TMPDIR/out" || fail "$moods: no frames"
done
