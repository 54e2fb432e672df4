#!/usr/bin/env python3
# What a guest's CUDA takes of memory is counted: at the limit each call that allocates is CUDA_ERROR_OUT_OF_MEMORY at once, what is freed comes back,
# the worker does not grow beyond what was counted, and another guest does not notice.
# limit: 90
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

MIB = 1 << 20
LIMIT = 64 * MIB
PROGRAMS = os.path.join(os.environ.get('XG_BUILD', 'build'), 'tests/programs')
KERNELS = os.path.join(os.environ.get('XG_PLAIN_BUILD') or os.environ.get('XG_BUILD', 'build'), 'tests/kernels')


def guest(bed):
    return next(g for g in bed.list()['guests'] if g['name'] == 'quota')


with e2e.Bed() as bed:
    bed.daemon([])
    bed.xengpu('attach', 'quota', f'memory={LIMIT}', '--socket-dir', bed.sockets)
    other = bed.start(bed.as_guest('other', [os.path.join(PROGRAMS, 'cuda_memory')]), env={'XG_KERNELS': KERNELS})
    got = bed.guest('quota', [os.path.join(PROGRAMS, 'cuda_quota')])
    if got.returncode:
        e2e.fail(f'cuda_quota: {got.stdout}{got.stderr}')
    if 'of 64 MiB' not in got.stdout:
        e2e.fail(f'cuMemGetInfo does not tell the limit: {got.stdout}')
    if other.wait(60):
        e2e.fail('another guest has failed meanwhile')
    e2e.wait_for(lambda: guest(bed)['memory_bytes'] == 0, 10, lambda: f'{guest(bed)["memory_bytes"]} bytes are left')
