#!/bin/bash
# A signal's handler that calls exit ends a CUDA program, whatever call it interrupted.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start
guest signals "$PROGRAMS/cuda_signals" libcudart.so.12 || fail "a signal while a call waits"
