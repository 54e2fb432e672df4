#!/bin/bash
# limit: 120
# Programs that nvcc compiled, as they come, directly on softcuda: every rt_*.cu.
. "$XG_ROOT/tests/lib/e2e.sh"
found=0
bad=0
for src in "$XG_ROOT"/tests/programs/rt_*.cu; do
    name=$(basename "$src" .cu)
    program=$XG_PLAIN_BUILD/tests/programs/$name.nvcc
    [ -x "$program" ] || continue
    found=$((found + 1))
    out=$(direct "$program" 2>&1)
    status=$?
    case $status in
    0) ;;
    77) echo "$name: skipped: $out" ;;
    *) echo "$name: status $status: $out"; bad=1 ;;
    esac
done
[ $found -gt 0 ] || skip "no nvcc"
CUDA_VISIBLE_DEVICES='' direct "$XG_PLAIN_BUILD/tests/programs/rt_managedvar.nvcc" without || fail "managed variables without a device"
[ $bad = 0 ] || fail "see above"
