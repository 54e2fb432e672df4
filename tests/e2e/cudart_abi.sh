#!/bin/bash
# Our own description of the runtime's binary interface agrees with the toolkit's, where there is one.
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$XG_ROOT/interposer/cudart/abi_check.py"
