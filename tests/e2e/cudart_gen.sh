#!/bin/bash
# The runtime's generator names the line of what is wrong in its list, and writes nothing then.
. "$XG_ROOT/tests/lib/e2e.sh"
gen=$XG_ROOT/interposer/cudart/gen.py
echo 'F(cuGood, int, void *)' >"$TMPDIR/table.h"

bad() { # ENTRY MESSAGE
    printf '# first line\n%s\n' "$1" >"$TMPDIR/list"
    rm -rf "$TMPDIR/out"
    out=$(PYTHONDONTWRITEBYTECODE=1 python3 "$gen" "$TMPDIR/out" "$TMPDIR/list" "$TMPDIR/table.h" 2>&1) && fail "accepted: $1"
    [ "$out" = "gen.py: $TMPDIR/list:2: $2" ] || fail "'$1' gives '$out'"
    [ ! -e "$TMPDIR/out" ] || fail "'$1': something was written"
}

bad 'cudaNothing' 'not an entry: cudaNothing'
bad 'cudaA(int x) = cuBad(x)' 'the driver has no cuBad'
bad 'cudaA(int x) = cuGood(x)' 'cuGood takes 2 arguments, 1 given'
bad 'cudaA(int x) = x + 1' 'neither a driver call nor "unsupported": x + 1'
bad 'cudaA(int x) ptsz = unsupported' 'ptsz, but no argument is called stream'
bad 'cudaA(int x) fast = unsupported' 'unknown flag: fast'

printf 'cudaA(int x)\ncudaB(int x)\n12: cudaA(int y)\n' >"$TMPDIR/list"
out=$(PYTHONDONTWRITEBYTECODE=1 python3 "$gen" "$TMPDIR/out" "$TMPDIR/list" "$TMPDIR/table.h" 2>&1) && fail "accepted a name twice"
[ "$out" = "gen.py: $TMPDIR/list:3: cudaA is already at $TMPDIR/list:1" ] || fail "twice: $out"

printf 'cudaA(int x, void *@p)\n    = cuGood(x, p)\n' >"$TMPDIR/list"
PYTHONDONTWRITEBYTECODE=1 python3 "$gen" "$TMPDIR/out" "$TMPDIR/list" "$TMPDIR/table.h" || fail "good list"
for part in 'RT_ENTER();' 'RT_NEED(p);' 'drv.cuGood((int)(x), (void *)(p))'; do
    grep -qF "$part" "$TMPDIR/out/forward_13.c" || fail "no '$part' in what was made"
done
