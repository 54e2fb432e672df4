#!/usr/bin/env python3
# Two guests that always have work share the device as their weights say, whatever the sizes of their commands; with real workers and real time.
# alone
# limit: 240
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import shares

SECONDS = 4
CASES = [  # (ns, how) of each guest, weight of the second
    (('300000', 'queue'), ('300000', 'queue'), 100),
    (('50000', 'queue'), ('20000000', 'queue'), 100),
    (('100000', 'call'), ('5000000', 'queue'), 100),
    (('1000000', 'queue'), ('300000', 'queue'), 300),
]

TRIES = 4


def measure(bed, i, a, b, weight):
    """(what was not right, the verdict of shares.py, whether the machine was busy with other things)"""
    burn = f'{bed.build}/tests/programs/burn'
    names = f'a{i}', f'b{i}'
    weights = dict(zip(names, (100, weight)))
    for name, w in weights.items():
        r = bed.xengpu('attach', name, f'weight={w}', '--socket-dir', bed.sockets, timeout=40)
        if r.returncode:
            e2e.fail(r.stderr)
    running = [bed.start(bed.as_guest(n, [burn, ns, str(SECONDS + 6), how])) for n, (ns, how) in zip(names, (a, b))]

    def look():
        return shares.Look(bed.list(), names)
    e2e.wait_for(lambda: min(g['device_time_ns'] for g in look().guests.values()) > 1e8, 20, 'one of the two does not run')
    before = look()
    time.sleep(SECONDS)
    got = shares.Span(before, look())
    used = [got.used[n] for n in names]
    text = f'{a} against {b}, weights 100 to {weight}: {used[0]:.2f} s and {used[1]:.2f} s of {got.seconds:.2f} s, ' \
           f'share {used[0] / got.total():.3f}; others used {got.foreign:.2f} CPUs'
    print(text, flush=True)
    verdict, why = got.judge(weights, 0.05)
    if got.total() > 1.05 * got.seconds:
        verdict, why = shares.UNFAIR, 'counted twice'
    elif got.total() < 0.9 * got.seconds:
        # On a busy machine nobody has the device while the daemon, or all programs, wait for a processor.
        verdict, why = shares.UNCLEAR, 'device time was lost'
    for p in running:
        if p.wait(30):
            e2e.fail(f'burn ended with {p.returncode}')
    for n in names:
        bed.xengpu('detach', n, '--socket-dir', bed.sockets, timeout=40)
    return f'{text}: {why}', verdict, got.machine_busy()


with e2e.Bed() as bed:
    bed.daemon(['--test-mode'])
    for i, (a, b, weight) in enumerate(CASES):
        for n in range(TRIES):
            wrong, verdict, busy = measure(bed, f'{i}-{n}', a, b, weight)
            if verdict == shares.FAIR:
                break
            if not busy:
                e2e.fail(wrong)
        else:
            if verdict == shares.UNFAIR:
                e2e.fail(f'{wrong}, in {TRIES} tries')
            print(f'explained by what the guests had to do on this busy machine: {wrong}')
