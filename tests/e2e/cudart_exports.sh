#!/bin/bash
# Both libraries have their SONAME, export every name of the list at its version node, and need no libcuda to load.
. "$XG_ROOT/tests/lib/e2e.sh"
for v in 12 13; do
    lib=$XG_BUILD/lib/libcudart.so.$v
    readelf -d "$lib" | grep -q "SONAME.*\[libcudart.so.$v\]" || fail "SONAME of $lib"
    readelf -d "$lib" | grep -q "NEEDED.*libcuda\." && fail "$lib needs libcuda"
    nm -D --defined-only "$lib" | awk -v node="@@libcudart.so.$v" \
        '$2 == "T" { if (!sub(node "$", "", $3)) print "no node: " $3; else print $3 }' | LC_ALL=C sort >"$TMPDIR/have"
    LC_ALL=C sort "$XG_BUILD/gen/cudart/names_$v.txt" | diff - "$TMPDIR/have" || fail "exports of $lib"
    [ "$(wc -l <"$TMPDIR/have")" -ge 420 ] || fail "only $(wc -l <"$TMPDIR/have") exports"
done
while read -r name; do
    grep -qw "$name" "$XG_ROOT/interposer/cudart/README.md" || fail "the README does not say that $name is not supported"
done <"$XG_BUILD/gen/cudart/unsupported.txt"
