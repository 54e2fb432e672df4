#!/usr/bin/env python3
# A host function that takes its time holds nothing: while the guest's code runs, others have the device, and the guest is charged for what it
# uses of it. What comes after it runs when it has ended, and not before.
# limit: 120
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

SECONDS = 2.0

with e2e.Bed() as bed:
    program, loop = (f'{bed.build}/tests/programs/{p}' for p in ('cuda_hostwait', 'cuda_loop'))
    r = bed.direct([program, '0.2'])
    if r.returncode:
        e2e.fail(f'directly: {r}')
    bed.daemon()
    other = bed.start(bed.as_guest('other', [loop, str(5 * SECONDS + 3)]), stdout=e2e.subprocess.PIPE, text=True)
    r = bed.guest('slow', [program, str(SECONDS)])
    if r.returncode or r.stdout != 'host functions: ok\n':
        e2e.fail(f'as a guest: {r}; the log: {bed.log_text()}')
    used = {g['name']: g['device_time_ns'] / 1e9 for g in bed.list()['guests']}
    out, _ = other.communicate(timeout=60)
    rounds = [int(line.split()[1]) for line in out.splitlines()]
    print(f'device time: {used}; rounds of the other in a quarter of a second: {rounds}')
    if other.returncode or min(rounds[2:-1]) < 20:
        e2e.fail('the other guest waited')
    if used['slow'] > SECONDS:  # five functions of that length
        e2e.fail('charged for the time of its own code')
    if used['slow'] < 0.02:
        e2e.fail('what it used is not charged')
