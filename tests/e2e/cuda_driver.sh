#!/bin/bash
# Driver-API programs as a guest print what they print directly: one, two at once, and in strict mode.
# limit: 240
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
export XG_KERNELS=$KERNELS
daemon_start
for program in cuda_vectoradd cuda_matmul cuda_streams cuda_events cuda_module cuda_errors cuda_hostfunc cuda_memory cuda_hints cuda_graphs cuda_capture cuda_graph_update \
    cuda_fractal cuda_managed cuda_register cuda_contexts cuda_pieces cuda_order cuda_meanwhile; do
    same_output one "$PROGRAMS/$program"
done
same_output one "$PROGRAMS/cudarem_threads" 8 10
same_output one "$PROGRAMS/cudarem_contexts" 3 100
same_output one "$PROGRAMS/cudarem_limits"
XENGPU_CUDA_STRICT=1 guest strict "$PROGRAMS/cuda_vectoradd" >"$TMPDIR/strict" || fail "strict mode"
direct "$PROGRAMS/cuda_vectoradd" | cmp - "$TMPDIR/strict" || fail "strict mode says something else"

direct "$PROGRAMS/cuda_job" matmul >"$TMPDIR/want" || fail "cuda_job directly"
guest one "$PROGRAMS/cuda_job" matmul >"$TMPDIR/a" &
guest two "$PROGRAMS/cuda_job" matmul >"$TMPDIR/b" || fail "two guests at once"
wait $! || fail "two guests at once"
cmp "$TMPDIR/want" "$TMPDIR/a" && cmp "$TMPDIR/want" "$TMPDIR/b" || fail "two guests at once: other numbers"
