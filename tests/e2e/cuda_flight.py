#!/usr/bin/env python3
# What a program has under way is bounded however it asks for it: beside one that launches 64 long kernels ahead, with an event behind each, another
# guest's short kernel waits for a few of them and not for all.
# limit: 90
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import busy
import e2e

DEPTH, LONG, SHORT, MOST = 64, 20.0, 1.0, 32

with e2e.Bed() as bed:
    bed.program = lambda name: f'{bed.build}/tests/programs/{name}'
    if not os.path.exists(f'{bed.plain}/tests/kernels/busy.ptx'):
        e2e.skip('no kernels')
    bed.env['XG_KERNELS'] = f'{bed.plain}/tests/kernels'
    cuda = busy.Calibrated(bed, 'cuda_busy', LONG, SHORT)
    bed.daemon()
    ahead = busy.Guest(bed, cuda, 'ahead', LONG, depth=DEPTH)
    ahead.wait_at_work()
    other = busy.Guest(bed, cuda, 'other', SHORT, depth=1)
    other.wait_at_work()
    since = time.time()
    time.sleep(6)
    until = time.time()
    short, long = other.stop(), ahead.stop(60)
    each = sorted(e - b for b, e in zip(long.begin, long.end))[len(long) // 2]
    waits = short.latencies(since, until)
    longest = max(waits)
    print(f'{len(waits)} waits, the longest {longest * 1e3:.0f} ms; the other\'s kernels take {each * 1e3:.0f} ms')
    if longest > MOST * each:
        e2e.fail(f'waits as long as {longest / each:.0f} of the other\'s kernels')
