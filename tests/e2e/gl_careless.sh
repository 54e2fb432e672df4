#!/bin/bash
# Calls over which drivers stumble are refused before they see them: the worker lives.
# san: address
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start

guest careless "$XG_BUILD/tests/programs/gl_careless" || fail "as a guest"
