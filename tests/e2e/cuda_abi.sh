#!/bin/sh
# Our CUDA ABI headers and the table of cuGetProcAddress say what a toolkit's say; skipped where there is none.
exec python3 "$XG_ROOT/protocol/cuda/abi_check.py"
