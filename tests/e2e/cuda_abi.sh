#!/bin/sh
# Our CUDA ABI headers and the table of cuGetProcAddress say what a toolkit's say; skipped where there is none.
exec python3 "$XG_ROOT/cuda/abi/check.py"
