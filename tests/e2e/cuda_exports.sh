#!/bin/bash
# Both libcuda export every symbol of the API and nothing else (but softcuda's gate, see softcuda/gate.h): those of our table, and those of the toolkit's stub library where there
# is one. What is not implemented says so.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
STUB=${CUDA_HOME:-/usr/local/cuda}/lib64/stubs/libcuda.so
symbols() { nm -D --defined-only "$1" | sed -n 's/.* [TWi] //p' | sort -u; }

{
    sed -n 's/^P(.*, \(cu[A-Za-z0-9_]*\))$/\1/p' "$XG_ROOT/cuda/procs_table.h"
    sed -n 's/^hand //p; s/^none "[^"]*" //p' "$XG_ROOT/protocol/cuda/cuda.api" | tr ' ' '\n'
} | sort -u >"$TMPDIR/table"
[ "$(wc -l <"$TMPDIR/table")" -gt 600 ] || fail "the table of symbols was not read"
if [ -e "$STUB" ]; then
    symbols "$STUB" >"$TMPDIR/stub"
else
    echo "no stub library: compared with our own table only"
    : >"$TMPDIR/stub"
fi
for library in libcuda.so.1 softcuda/libcuda.so.1; do
    symbols "$XG_PLAIN_BUILD/lib/$library" >"$TMPDIR/exported"
    comm -13 "$TMPDIR/exported" <(sort -u "$TMPDIR/table" "$TMPDIR/stub") >"$TMPDIR/missing"
    [ ! -s "$TMPDIR/missing" ] || fail "$library lacks" $(cat "$TMPDIR/missing")
    grep -v -e '^cu[A-Z]' -e '^softcuda_gate_set$' "$TMPDIR/exported" && fail "$library exports these, which are not the API's"
done

# In a guest: all that the description says is not supported. On softcuda: what its build lists as such.
sed -n 's/^none "[^"]*" //p' "$XG_ROOT/protocol/cuda/cuda.api" | tr ' ' '\n' | sort -u >"$TMPDIR/none.guest"
sed -n 's@^/\* unsupported: \(.*\) \*/$@\1@p' "$XG_PLAIN_BUILD/gen/softcuda/rest.c" | sort -u >"$TMPDIR/none.soft"
soft() { LD_LIBRARY_PATH=$XG_BUILD/lib/softcuda:$XG_BUILD/lib "$@"; }
refuses() { # LIST RUNNER...
    local list=$1
    shift
    "$@" "$PROGRAMS/cuda_nulls" 2>"$TMPDIR/last" >"$TMPDIR/said" || fail "cuda_nulls by $1"
    grep -qx cuModuleGetGlobal "$list" || fail "$list does not have cuModuleGetGlobal"
    sed -n 's/^with context: \(.*\): .*/\1/p' "$TMPDIR/said" | sort -u | comm -12 - "$list" >"$TMPDIR/called"
    sed -n 's/^with context: \(.*\): CUDA_ERROR_NOT_SUPPORTED$/\1/p' "$TMPDIR/said" | sort -u | comm -23 "$TMPDIR/called" - >"$TMPDIR/others"
    [ ! -s "$TMPDIR/others" ] || fail "$1: these do not answer CUDA_ERROR_NOT_SUPPORTED:" $(cat "$TMPDIR/others")
}
refuses "$TMPDIR/none.soft" soft
daemon_start
refuses "$TMPDIR/none.guest" guest one
