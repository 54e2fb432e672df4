#!/bin/bash
# A program with the static CUDA runtime cannot work, and is told so at once: what is wrong, and the way out.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || skip "no nvcc"
daemon_start
"$nvcc" -cudart static -gencode arch=compute_75,code=compute_75 -o "$TMPDIR/static" "$XG_ROOT/tests/programs/rt_vectoradd.cu" || fail "nvcc"
guest one true
start=$(date +%s%N)
guest one "$TMPDIR/static" >"$TMPDIR/out" 2>&1 && { cat "$TMPDIR/out"; fail "status 0"; }
ms=$((($(date +%s%N) - start) / 1000000))
grep -q -e '-cudart shared' "$TMPDIR/out" || { cat "$TMPDIR/out"; fail "the message does not say what to do"; }
[ "$(grep -c -e '-cudart shared' "$TMPDIR/out")" -eq 1 ] || fail "the message comes more than once"
[ "$ms" -lt 3000 ] || fail "took $ms ms"
