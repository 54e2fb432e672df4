#!/bin/bash
# The driver-API programs directly on softcuda, twice: right numbers, the same numbers; a kernel that never ends is stopped.
# limit: 120
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
export XG_KERNELS=$KERNELS
soft() { LD_LIBRARY_PATH=$XG_BUILD/lib/softcuda:$XG_BUILD/lib "$@"; } # also where there is a GPU
for program in cuda_query cuda_vectoradd cuda_matmul cuda_streams cuda_events cuda_memory cuda_errors cuda_module cuda_hostfunc cuda_hints cuda_managed cuda_capture cuda_graph_update \
               cuda_graphs; do
    for turn in 1 2; do
        soft "$PROGRAMS/$program" >"$TMPDIR/$program.$turn" || fail "$program"
    done
    cmp "$TMPDIR/$program.1" "$TMPDIR/$program.2" || fail "$program says something else the second time"
done
soft "$PROGRAMS/cuda_nulls" >"$TMPDIR/nulls" 2>"$TMPDIR/nulls.last" || { tail -n 1 "$TMPDIR/nulls.last"; fail "cuda_nulls"; }
SOFTCUDA_TIMEOUT_MS=300 soft "$PROGRAMS/cuda_errors" timeout | grep -q "never ends: stopped" || fail "a runaway kernel"
soft env SOFTCUDA_MEMORY=100M "$PROGRAMS/cuda_memory" >"$TMPDIR/small" || fail "cuda_memory with 100 MB"
cmp "$TMPDIR/cuda_memory.1" "$TMPDIR/small" || fail "cuda_memory with 100 MB says something else"
SOFTCUDA_VERBOSE=1 soft "$PROGRAMS/cuda_refused" 2>&1 | diff - "$XG_ROOT/tests/lib/cuda_refused.says" || fail "what is said of a kernel that cannot be used"
soft "$PROGRAMS/cuda_query" all >/dev/null || fail "cuda_query all"
[ "$(soft "$PROGRAMS/cuda_memory" all | grep -cE '^(registered|virtual memory|stream-ordered): ok')" = 3 ] || fail "cuda_memory all"
