#!/bin/bash
# A random walk over what changes GL state: each answer is the driver's, whichever call set what is asked for.
# The seeds are fixed; more of them by hand: XG_WALK_SEEDS="5 6 7" tests/run.py e2e/gl_walk
# limit: 300
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start

for seed in ${XG_WALK_SEEDS:-1 4 37 51}; do
    for what in compat split core es shared; do
        same_output gl_walk "$XG_BUILD/tests/programs/gl_walk" "$seed" 400 "$what"
        XENGPU_GL_ERRORS=strict same_output gl_walk "$XG_BUILD/tests/programs/gl_walk" "$seed" 400 "$what"
    done
done
