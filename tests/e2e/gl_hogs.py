#!/usr/bin/env python3
# Whatever a guest's OpenGL does to have more memory than is counted (tests/programs/gl_hogs.c), its worker stays near what the guest may have.
# limit: 240
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import hogs

LIMIT = 256 * hogs.MIB
# The driver alone has 20 MiB; what was freed may be 96 MiB before it is given back (backend/worker/memory.c), and 32 MiB may be in use still.
MOST = LIMIT + 150 * hogs.MIB

FOUND = [(way, '0x0505' if rounds == '0' else '0x0000') for way, rounds in hogs.ways('gl_hogs', r'^    WAY\((\w+), (\d+)\)')]
hogs.run('gl_hogs', LIMIT, MOST, FOUND, 10)
