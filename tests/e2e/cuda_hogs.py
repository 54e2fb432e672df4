#!/usr/bin/env python3
# Whatever a guest's CUDA does to have more memory than is counted (tests/programs/cuda_hogs.c), its worker stays near what the guest may have.
# limit: 240
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import hogs

LIMIT = 128 * hogs.MIB
# What its 64 threads that execute have, and what was freed and may be used again.
MOST = LIMIT + 100 * hogs.MIB

hogs.run('cuda_hogs', LIMIT, MOST, [(way, 'CUDA_ERROR_OUT_OF_MEMORY') for way in hogs.ways('cuda_hogs', r'^    WAY\((\w+)\)')], 4)
