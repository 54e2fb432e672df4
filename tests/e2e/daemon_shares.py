#!/usr/bin/env python3
# Two guests that always have work share the device as their weights say, whatever the sizes of their commands; with real workers and real time.
# alone
# limit: 240
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

# A guest whose programs wait for a CPU does not always have work. What others (than this test, and the idle) may use of one CPU:
FOREIGN = 0.1
TRIES = 4


def cpu_seconds():
    """(of the whole machine, stolen included; of this test's processes that are alive)"""
    tick = os.sysconf('SC_CLK_TCK')
    with open('/proc/stat') as f:
        user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    parent, own = {}, {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat') as f:
                field = f.read().rpartition(')')[2].split()
        except OSError:
            continue
        parent[int(pid)], own[int(pid)] = int(field[1]), int(field[11]) + int(field[12])

    def is_ours(pid):
        while pid in parent and pid != os.getpid():
            pid = parent[pid]
        return pid == os.getpid()
    return (user + nice + system + irq + softirq + steal) / tick, sum(t for pid, t in own.items() if is_ours(pid)) / tick


def measure(bed, i, a, b, weight):
    """What happened, whether the premise held, and what is wrong (or None)."""
    burn = f'{bed.build}/tests/programs/burn'
    names = f'a{i}', f'b{i}'
    for name, w in zip(names, (100, weight)):
        r = bed.xengpu('attach', name, f'weight={w}', '--socket-dir', bed.sockets, timeout=40)
        if r.returncode:
            e2e.fail(r.stderr)
    running = [bed.start(bed.as_guest(n, [burn, ns, str(SECONDS + 6), how])) for n, (ns, how) in zip(names, (a, b))]

    def times():
        g = {x['name']: x['device_time_ns'] / 1e9 for x in bed.list()['guests']}
        return [g[n] for n in names]
    e2e.wait_for(lambda: min(times()) > 0.1, 20, 'one of the two does not run')
    before, start, cpu = times(), time.monotonic(), cpu_seconds()
    time.sleep(SECONDS)
    after, wall = times(), time.monotonic() - start
    used = [y - x for x, y in zip(before, after)]
    machine, own = (y - x for x, y in zip(cpu, cpu_seconds()))
    foreign = (machine - own) / wall
    share, wanted = used[0] / sum(used), 100 / (100 + weight)
    text = f'{a} against {b}, weights 100 to {weight}: {used[0]:.2f} s and {used[1]:.2f} s of {wall:.2f} s, ' \
           f'share {share:.3f}; others used {foreign:.2f} CPUs'
    print(text, flush=True)
    wrong = None
    if abs(share - wanted) > 0.05 * wanted:
        wrong = f'{text}, not {wanted:.3f}'
    elif not 0.9 * wall < sum(used) < 1.05 * wall:
        wrong = f'{text}: lost, or counted twice'
    for p in running:
        if p.wait(30):
            e2e.fail(f'burn ended with {p.returncode}')
    for n in names:
        bed.xengpu('detach', n, '--socket-dir', bed.sockets, timeout=40)
    return foreign < FOREIGN, wrong


with e2e.Bed() as bed:
    bed.daemon(['--test-mode'])
    for i, (a, b, weight) in enumerate(CASES):
        for n in range(TRIES):
            valid, wrong = measure(bed, f'{i}-{n}', a, b, weight)
            if wrong and valid:
                e2e.fail(wrong)
            if not wrong:
                break
        else:
            e2e.fail(f'{wrong}, in {TRIES} tries; the machine is too busy with something else to tell whose fault that is')
