#!/bin/bash
# What CUDA's documentation says of each family of the driver API (tests/programs/cuda_table_*.c) holds on softcuda and in a guest, in strict mode too,
# but for what tests/lib/cuda_table.differ tells.
# limit: 120
# san: address
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
soft() { LD_LIBRARY_PATH=$XG_BUILD/lib/softcuda:$XG_BUILD/lib "$@"; } # also where there is a GPU
strict() { XENGPU_CUDA_STRICT=1 guest "$@"; }
daemon_start
files=()
for family in device context memory stream module graph pool; do
    for side in soft "guest one" "strict two"; do
        out=$TMPDIR/$family.${side% *}
        $side "$PROGRAMS/cuda_table_$family" >"$out" 2>"$TMPDIR/err" || [ $? = 1 ] || { cat "$TMPDIR/err"; fail "$family, $side: no table"; }
        read -r rows _ < <(tail -n 1 "$out")
        [ "$(grep -c ' => ' "$out")" = "$rows" ] && [ "$rows" -gt 50 ] || { cat "$TMPDIR/err"; fail "$family, $side: '$rows' rows"; }
        case $side in soft) files+=("softcuda=$out") ;; *) files+=("guest=$out") ;; esac
    done
done
"$XG_ROOT/tests/lib/cuda_table.py" "${files[@]}" || fail "answers otherwise than it is documented, or not although it is said so"
