#!/bin/bash
# Whatever wrong argument a function of the driver API gets, directly on softcuda or in a guest, it answers: no crash, no hang, no sanitizer's report,
# and what a real driver answers (tests/lib/cuda_codes.driver), unless tests/lib/cuda_codes.differ says why not.
# limit: 120
# san: address
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
soft() { LD_LIBRARY_PATH=$XG_BUILD/lib/softcuda:$XG_BUILD/lib "$@"; } # also where there is a GPU
daemon_start
for side in soft "guest one"; do
    XENGPU_CUDA_STRICT=1 $side "$PROGRAMS/cuda_codes" --safe --seconds 90 >"$TMPDIR/out" 2>"$TMPDIR/err" || { cat "$TMPDIR/err"; fail "$side: status $?"; }
    grep -E ': (crashed|hung|CUDA_ERROR_DEVICE_UNAVAILABLE)' "$TMPDIR/out" && { cat "$TMPDIR/err"; fail "$side: calls that end the program or its worker"; }
    read -r made of all calls < <(tail -n 1 "$TMPDIR/out")
    [ "$of $calls" = "of calls" ] && [ "$made" -gt 3000 ] && [ "$made" = "$all" ] || fail "$side: $made of $all calls"
    # Calls that a driver may do anything on end some children as well here, which a sanitizer would report.
    [ -n "$XG_VARIANT" ] || XENGPU_CUDA_STRICT=1 $side "$PROGRAMS/cuda_codes" --seconds 90 >"$TMPDIR/out" 2>"$TMPDIR/err"
    mv "$TMPDIR/out" "$TMPDIR/${side% one}"
done
"$XG_ROOT/tests/lib/cuda_codes.py" softcuda="$TMPDIR/soft" guest="$TMPDIR/guest" || fail "answers otherwise than the driver, or not although it is said so"
