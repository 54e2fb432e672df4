#!/bin/bash
# The generator: golden files, mistakes and their messages, opcode numbers.
exec python3 "$XG_ROOT/tests/gen/check.py"
