#!/bin/bash
# What kernels print is the program's: on its own standard output, in order, directly and as a guest; never in the daemon's log.
# limit: 240
# san: address
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
export XG_KERNELS=$KERNELS
[ -e "$KERNELS/print.ptx" ] || skip "no clang, no PTX"
[ ! -e /dev/nvidiactl ] || skip "what is expected is softcuda's, to the byte"
SOFTCUDA_VERBOSE=1 daemon_start # the driver talks, too
p=$PROGRAMS/cuda_print

lines() { seq -f "kernel $1: line %.0f of $2" "$2"; } # MARK N
expected() {
    local turn
    for turn in 0 1; do
        echo context:; lines 1 2; [ $turn = 1 ] || lines 2 1
        echo stream:; lines 3 2
        echo "null stream:"; lines 4 2
        echo event:; lines 5 2
        echo "event that was asked before:"; echo "(not yet)"; lines 6 2
        echo "copy to pageable memory:"; lines 7 2
        echo "copy to pinned memory:"; lines 8 2
        echo "nothing in between:"
    done
    echo "end of the context:"; lines 9 3
    echo "done"
}
count() { grep -c "$1" "$2"; }

expected >"$TMPDIR/want"
for side in direct "guest one"; do
    $side "$p" >"$TMPDIR/out" 2>"$TMPDIR/err" || { cat "$TMPDIR/err"; fail "$side: status"; }
    diff "$TMPDIR/want" "$TMPDIR/out" || fail "$side: not what was expected"

    $side "$p" others >"$TMPDIR/out" || fail "$side: others"
    {
        lines 1 2; echo "a small copy to the device"; lines 2 2; echo "a large one"; lines 3 2; echo "a box"
        lines 4 2; echo "a launch"; lines 6 2; echo "a module that comes"; lines 7 2; echo "a module that goes"
        lines 8 2; echo "a host function"; lines 9 2
    } | diff - "$TMPDIR/out" || fail "$side: others"

    $side "$p" reset >"$TMPDIR/out" || fail "$side: reset"
    { lines 1 3; echo reset; } | diff - "$TMPDIR/out" || fail "$side: reset"

    $side "$p" lost >"$TMPDIR/out" || fail "$side: lost"
    printf 'before\nafter\n' | diff - "$TMPDIR/out" || fail "$side: text without a synchronisation"

    $side "$p" assert >"$TMPDIR/out" 2>"$TMPDIR/err" || fail "$side: assert"
    { lines 1 1; echo "failed as it should"; } | diff - "$TMPDIR/out" || fail "$side: assert: standard output"
    [ "$(grep -c 'claim.cu:7: claim(int): block: \[0,0,0\], thread: \[0,0,0\] Assertion `right` failed.' "$TMPDIR/err")" = 1 ] ||
        { cat "$TMPDIR/err"; fail "$side: assert: standard error"; }

    # As much as the device's buffer holds; then the oldest gives way.
    $side "$p" many 20000 >"$TMPDIR/out" || fail "$side: many"
    { lines 1 20000; echo end; } | cmp - "$TMPDIR/out" || fail "$side: 20,000 lines"
    $side "$p" many 200000 >"$TMPDIR/out" || fail "$side: too many"
    tail -n 1000 "$TMPDIR/out" | cmp - <(lines 1 200000 | tail -n 999; echo end) || fail "$side: the newest lines"
    [ "$(stat -c %s "$TMPDIR/out")" -le 1048576 ] || fail "$side: more than the buffer holds"

    # Each thread's text is out when its synchronisation returns.
    $side "$p" threads 100 >"$TMPDIR/out" || fail "$side: threads"
    [ "$(count '^kernel' "$TMPDIR/out")" = 400 ] || fail "$side: threads: lines are missing"
    awk '/^kernel/ { seen[$2 + 0]++ } /^thread/ { if (seen[$2 + 0] != $3 + 1) exit 1 }' "$TMPDIR/out" ||
        fail "$side: threads: a synchronisation returned before its text was out"
done
grep -q "softcuda: kernel claim failed" "$TMPDIR/err" || fail "what the driver says of a guest's kernel is not with the guest"
daemon_log | grep -E 'kernel [0-9]+: line|Assertion|softcuda: kernel' && fail "the daemon's log has a guest's text"
exit 0
