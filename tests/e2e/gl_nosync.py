#!/usr/bin/env python3
# A guest that draws without ever waiting has not much in flight: another that comes has the device soon, and nobody's worker is killed.
# limit: 100
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

with e2e.Bed() as bed:
    bed.daemon(['--test-mode'])
    programs = f'{bed.build}/tests/programs'
    draws = bed.start(bed.as_guest('draws', [f'{programs}/gl_nosync', '14']))
    e2e.wait_for(lambda: any(g['name'] == 'draws' and g['device_time_ns'] > 1e9 for g in bed.list()['guests']), 20, 'it does not draw')
    begun = time.monotonic()
    other = bed.start(bed.as_guest('other', [f'{programs}/burn', '2000000', '6', 'call']))
    e2e.wait_for(lambda: any(g['name'] == 'other' and g['device_time_ns'] > 1e8 for g in bed.list()['guests']), 8,
                 'another guest does not get the device')
    print(f'another guest had 0.1 s of the device after {time.monotonic() - begun:.1f} s')
    if other.wait(30):
        e2e.fail(f'burn ended with {other.returncode}')
    if 'does not give the device back' in bed.log_text():
        e2e.fail(bed.log_text())
    bed.stop(draws)
