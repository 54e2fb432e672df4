#!/bin/bash
# A random walk over what changes GL state: each answer is the driver's, whichever call set what is asked for.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
daemon_start

while read -r seed steps what; do
    same_output gl_walk "$XG_BUILD/tests/programs/gl_walk" "$seed" "$steps" "$what"
    XENGPU_GL_ERRORS=strict same_output gl_walk "$XG_BUILD/tests/programs/gl_walk" "$seed" "$steps" "$what"
done <<END
1 800 compat
3 800 compat
1 700 split
1 1500 core
1 260 es
END
