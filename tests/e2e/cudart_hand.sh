#!/bin/bash
# Both runtimes run kernels that Debian's clang made, from a plain, a zstd and an LZ4 fatbin; no toolkit is needed.
. "$XG_ROOT/tests/lib/e2e.sh"
ptx=$KERNELS/rt_basic.ptx
for pack in plain zstd lz4; do
    "$XG_ROOT/tests/tools/mkfatbin.py" --pack $pack --elf -o "$TMPDIR/$pack.fatbin" "$ptx" || fail "mkfatbin $pack"
    for v in 12 13; do
        out=$(direct "$PROGRAMS/cudart_hand" libcudart.so.$v "$TMPDIR/$pack.fatbin" 2>&1) || fail "$pack, $v: $out"
        [ "$out" = "registered by hand: passed" ] || fail "$pack, $v: $out"
    done
done
