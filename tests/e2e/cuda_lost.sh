#!/bin/bash
# A worker that is killed: its program gets an error from every call within a second, another program's output is untouched, and the guest's next
# program works. fork(): the child has nothing of the parent's session and may begin its own.
# limit: 120
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
export XG_KERNELS=$KERNELS
workers() { pgrep -x xengpu-worker -s 0; }
daemon_start
direct "$PROGRAMS/cuda_job" matmul >"$TMPDIR/want" || fail "cuda_job directly"

guest other "$PROGRAMS/cuda_job" matmul 4 >"$TMPDIR/other" 2>"$TMPDIR/other.err" &
other=$!
wait_for 10 workers || fail "no worker"
before=$(workers)
guest one "$PROGRAMS/cudarem_lost" "$TMPDIR/up" >"$TMPDIR/lost" 2>"$TMPDIR/lost.err" &
one=$!
wait_for 20 test -e "$TMPDIR/up" || fail "the program does not get under way"
for w in $(workers); do
    grep -qx "$w" <<<"$before" || kill -9 "$w"
done
wait "$one" || { cat "$TMPDIR/lost" "$TMPDIR/lost.err"; fail "what happens after the worker died"; }
grep -q "^lost: CUDA_ERROR_DEVICE_UNAVAILABLE" "$TMPDIR/lost" || fail "$(head -n 1 "$TMPDIR/lost")"
wait "$other" || fail "the other program: status $?"
cmp "$TMPDIR/want" "$TMPDIR/other" || fail "the other program's output is not the same"
same_output one "$PROGRAMS/cuda_vectoradd"
guest one "$PROGRAMS/cudarem_fork" || fail "fork"
