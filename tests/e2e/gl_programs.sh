#!/bin/bash
# Programs that use OpenGL of all ages print the same as directly: hashes of what they draw, answers, errors. Exact error reports too.
# san: address
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start

for name in gl_legacy gl_modern gl_es gl_maps gl_store gl_share gl_threads gl_names gl_refused gl_untouched gl_flags; do
    same_output "$name" "$XG_BUILD/tests/programs/$name"
    XENGPU_GL_ERRORS=strict same_output "$name" "$XG_BUILD/tests/programs/$name"
done

# where a driver's answer to what it refuses is not looked at, ours is nothing
guest untouched "$XG_BUILD/tests/programs/gl_untouched" ours >"$TMPDIR/ours.out" || fail "gl_untouched ours"
grep -q 'glGetnMapdv.*error 0x0502' "$TMPDIR/ours.out" || fail "gl_untouched ours: $(cat "$TMPDIR/ours.out")"
grep 'error 0x05.*written: .' "$TMPDIR/ours.out" | grep -v '^glGetProgramBinary(good' && fail "refused, and written nevertheless"
true
