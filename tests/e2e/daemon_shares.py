#!/usr/bin/env python3
# Two guests that always have work share the device as their weights say, whatever the sizes of their commands; with real workers and real time.
# alone
# limit: 120
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

SECONDS = 4
CASES = [  # (ns, how) of each guest, weight of the second
    (('300000', 'queue'), ('300000', 'queue'), 100),
    (('50000', 'queue'), ('20000000', 'queue'), 100),
    (('100000', 'call'), ('5000000', 'queue'), 100),
    (('1000000', 'queue'), ('300000', 'queue'), 300),
]

with e2e.Bed() as bed:
    bed.daemon(['--test-mode'])
    burn = f'{bed.build}/tests/programs/burn'
    for i, (a, b, weight) in enumerate(CASES):
        names = f'a{i}', f'b{i}'
        for name, w in zip(names, (100, weight)):
            r = bed.xengpu('attach', name, f'weight={w}', '--socket-dir', bed.sockets, timeout=40)
            if r.returncode:
                e2e.fail(r.stderr)
        running = [bed.start(bed.as_guest(n, [burn, ns, str(SECONDS + 6), how])) for n, (ns, how) in zip(names, (a, b))]

        def times():
            g = {x['name']: x['device_time_ns'] for x in bed.list()['guests']}
            return [g[n] / 1e9 for n in names]
        e2e.wait_for(lambda: min(times()) > 0.1, 20, 'one of the two does not run')
        before, start = times(), time.monotonic()
        time.sleep(SECONDS)
        after, wall = times(), time.monotonic() - start
        used = [y - x for x, y in zip(before, after)]
        share, wanted = used[0] / sum(used), 100 / (100 + weight)
        text = f'{a} against {b}, weights 100 to {weight}: {used[0]:.2f} s and {used[1]:.2f} s of {wall:.2f} s, share {share:.3f}'
        print(text)
        if abs(share - wanted) > 0.05 * wanted:
            e2e.fail(f'{text}, not {wanted:.3f}')
        if not 0.9 * wall < sum(used) < 1.05 * wall:
            e2e.fail(f'{text}: lost, or counted twice')
        for p in running:
            if p.wait(30):
                e2e.fail(f'burn ended with {p.returncode}')
        for n in names:
            bed.xengpu('detach', n, '--socket-dir', bed.sockets, timeout=40)
