#!/bin/bash
# A program with the CUDA runtime linked into it statically is refused within a second, with the reason and the way out, said once.
# limit: 120
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
nvcc=$(nvcc_path) || skip "no nvcc"
cat >"$TMPDIR/s.cu" <<'END'
#include <cstdio>
__global__ void k(int *p) { *p = 1; }
int main() {
    int *p;
    cudaError_t e = cudaMalloc(&p, 4);
    if (e == cudaSuccess) k<<<1, 1>>>(p);
    printf("%d\n", e != cudaSuccess);
    return e != cudaSuccess ? 3 : 0;
}
END
"$nvcc" -o "$TMPDIR/s" "$TMPDIR/s.cu" || skip "nvcc does not work"
daemon_start
guest one "$TMPDIR/s" >/dev/null 2>&1 # the daemon's first worker takes its time
start=$(date +%s%N)
guest one "$TMPDIR/s" >"$TMPDIR/out" 2>"$TMPDIR/err"
status=$?
took=$((($(date +%s%N) - start) / 1000000))
[ "$status" = 3 ] || { cat "$TMPDIR/err"; fail "status $status"; }
grep -q "cudart shared" "$TMPDIR/err" || { cat "$TMPDIR/err"; fail "does not say what to do"; }
[ "$(grep -c "linked into it statically" "$TMPDIR/err")" = 1 ] || fail "does not say it once"
[ "$took" -lt 1500 ] || fail "took $took ms" # a second, and the start of 'xengpu run'
