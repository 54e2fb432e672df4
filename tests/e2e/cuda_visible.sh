#!/bin/bash
# CUDA_VISIBLE_DEVICES hides the device or does not, directly and as a guest; each guest's device has a UUID of its own, the same
# after a restart.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
soft() { LD_LIBRARY_PATH=$XG_BUILD/lib/softcuda:$XG_BUILD/lib "$@"; }
uuid() { unset CUDA_VISIBLE_DEVICES; "$@" "$PROGRAMS/cuda_visible" | sed -n 's/^GPU-/&/p'; }
# COUNT VALUE RUNNER...: VALUE shows so many devices
shows() {
    local count=$1 value=$2 said want="CUDA_SUCCESS $1"
    shift 2
    [ "$count" != 0 ] || want="CUDA_ERROR_NO_DEVICE 0"
    said=$(CUDA_VISIBLE_DEVICES=$value "$@" "$PROGRAMS/cuda_visible") || fail "cuda_visible by $1, CUDA_VISIBLE_DEVICES='$value'"
    [ "$(head -n 1 <<<"$said")" = "$want" ] || fail "$1, CUDA_VISIBLE_DEVICES='$value': '$said' instead of '$want'"
}
lists() { # RUNNER...
    local id
    shows 1 0 "$@"
    shows 0 "" "$@"
    shows 0 -1 "$@"
    shows 0 1 "$@"
    shows 1 0,1 "$@"
    shows 0 garbage "$@"
    id=$(uuid "$@")
    [ ${#id} = 40 ] || fail "$1: the UUID is '$id'"
    shows 1 "$id" "$@"
    shows 1 "${id:0:12}" "$@"
    shows 0 "${id:0:12}z" "$@"
    shows 0 GPU- "$@"
}

lists soft
daemon_start
lists guest one
one=$(uuid guest one) two=$(uuid guest two)
[ "$one" != "$two" ] || fail "two guests have one UUID"
[ "$one" != "$(uuid soft)" ] || fail "a guest has the UUID of the device itself"
daemon_stop
daemon_start
[ "$(uuid guest one)" = "$one" ] || fail "after a restart guest one has another UUID"
[ "$(uuid guest two)" = "$two" ] || fail "after a restart guest two has another UUID"
daemon_stop
printf '[pgpu gpu0]\ncuda = none\n' >"$TMPDIR/none.ini"
daemon_start --config "$TMPDIR/none.ini"
shows 0 0 guest one
daemon_log | grep -F 'cannot serve CUDA' && fail "the log complains of what was configured"
exit 0
