#!/usr/bin/env python3
# A guest whose frames are drawn after its commands were replayed holds the device meanwhile and is charged for it, and so does one that waits for a
# fence; one that stops holds nothing.
# san: address
# limit: 60
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e


def guest(bed):
    return next(g for g in bed.list()['guests'] if g['name'] == 'draws')


with e2e.Bed() as bed:
    program = f'{bed.build}/tests/programs/gl_busy'
    calibrated = bed.run([program, 'calibrate', '20'])
    found = re.search(r'^rounds 20 (\d+)', calibrated.stdout, re.M)
    if not found:
        e2e.fail(f'gl_busy calibrate: status {calibrated.returncode}: {calibrated.stderr}')
    bed.daemon()
    p = bed.start(bed.as_guest('draws', [program, 'run', found[1], '30', os.path.join(bed.tmp, 'pieces')]))
    e2e.wait_for(lambda: any(g['name'] == 'draws' and g['device_time_ns'] > 3e8 for g in bed.list()['guests']), 25, 'it does not draw')
    start, before = time.monotonic(), guest(bed)
    time.sleep(2)
    after, seconds = guest(bed), time.monotonic() - start
    charged = (after['device_time_ns'] - before['device_time_ns']) / 1e9
    print(f'charged {charged:.2f} s of {seconds:.2f} s')
    if charged < 0.8 * seconds:
        e2e.fail(f'it drew for {seconds:.2f} s and was charged for {charged:.2f} s')
    worker = guest(bed)['channels'][0]['worker']
    bed.stop(p)
    e2e.wait_for(lambda: not guest(bed)['channels'] and not os.path.exists(f'/proc/{worker}'), 20, 'its worker does not end')
    last = guest(bed)['device_time_ns']
    time.sleep(0.5)
    if guest(bed)['device_time_ns'] != last or guest(bed)['holds'] and guest(bed)['wants']:
        e2e.fail('charged after its end')
