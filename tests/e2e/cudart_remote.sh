#!/bin/bash
# limit: 180
# The same programs and fatbins as a guest: what they print is what they print directly.
. "$XG_ROOT/tests/lib/e2e.sh"
daemon_start
"$XG_ROOT/tests/tools/mkfatbin.py" --pack zstd -o "$TMPDIR/basic.fatbin" "$KERNELS/rt_basic.ptx" || fail mkfatbin
for v in 12 13; do
    same_output one "$PROGRAMS/cudart_hand" libcudart.so.$v "$TMPDIR/basic.fatbin"
done
for src in "$XG_ROOT"/tests/programs/rt_*.cu; do
    name=$(basename "$src" .cu)
    program=$XG_PLAIN_BUILD/tests/programs/$name.nvcc
    [ -x "$program" ] || continue
    # 77: the driver has no such thing, remoted or at all
    out=$(guest one "$program" 2>&1)
    case $? in
    77) echo "$name: skipped: $out" ;;
    *) same_output one "$program" ;;
    esac
done
program=$XG_PLAIN_BUILD/tests/programs/rt_managedvar.nvcc
if [ -x "$program" ]; then
    guest one "$program" | grep -qx "managed variables: passed" || fail "managed variables in a guest"
    CUDA_VISIBLE_DEVICES='' guest one "$program" without || fail "managed variables without a device"
fi
