#!/bin/bash
# alone
# limit: 240
# The main job, as make demo runs it: two guests at once on one device, equal to direct runs, with a fair share each. And it cleans up when
# it is interrupted (the runner sees what it would leave behind).
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
"$XG_ROOT/tools/demo.py" --build "$XG_BUILD" --output "$TMPDIR/demo" || fail "status $?"
[ -s "$TMPDIR/demo/demo.png" ] || fail "no picture"

"$XG_ROOT/tools/demo.py" --build "$XG_BUILD" --output "$TMPDIR/demo2" >"$TMPDIR/demo2.log" 2>&1 &
pid=$!
wait_for 60 grep -q 'two guests at once' "$TMPDIR/demo2.log" || fail "the second demo does not start"
sleep 2
kill -INT $pid
wait $pid
[ $? -eq 130 ] || { cat "$TMPDIR/demo2.log"; fail "interrupted, its status is not 130"; }
