"""What e2e/host_memory and e2e/host_groups share: guests whose workers take more of this machine's memory than they may."""
import os
import re
import subprocess

import e2e

MIB = 1 << 20
CONFIG = '[daemon]\ncgroups = {}\n[pgpu x]\ncuda = softcuda\ngl = none\n[type small]\nhost-memory = 128M\nweight = 50\n'
TOLD = 'its worker used more host memory than this guest may'
SAID = 'its worker used more host memory than guest small may (host-memory = 128M)'


def read(path):
    with open(path) as f:
        return f.read()


def write(path, text):
    with open(path, 'w') as f:
        f.write(text)


def expect(condition, what, bed):
    if not condition:
        e2e.fail(f'{what}; the log: {bed.log_text()}')


def guest(bed, name):
    return next(g for g in bed.list()['guests'] if g['name'] == name)


def start(bed, name, command):
    return bed.start(bed.as_guest(name, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def bounded(bed, group=None):
    """What holds with control groups and without. `group`: where the guest small has its own."""
    take, burn = f'{bed.build}/tests/programs/take', f'{bed.build}/tests/programs/burn'

    def said():
        return bed.log_text().count(f'{SAID}; it had used')

    r = bed.xengpu('attach', 'small', 'type=small', '--socket-dir', bed.sockets)
    expect(r.returncode == 0, r, bed)
    other = start(bed, 'other', [burn, '1000000', '12', 'call'])

    # more than it may have, little by little
    before = said()
    r = bed.guest('small', [take, str(4 * MIB), '1000', '3'])
    expect(r.returncode == 1 and TOLD in r.stderr and said() == before + 1, f'4 GiB in pieces: {r}', bed)

    # less: it stays
    p = start(bed, 'small', [take, str(4 * MIB), '8', '2'])
    e2e.wait_for(lambda: guest(bed, 'small')['host_memory_bytes'] >= 32 * MIB, 20, lambda: f'{guest(bed, "small")}')
    g = guest(bed, 'small')
    expect(g['host_memory_limit'] == 128 * MIB and g['host_memory_bytes'] <= 128 * MIB, g, bed)
    worker = g['channels'][0]['worker']
    limits = {name: hard for name, hard in re.findall(r'^Max (.*?) {2,}\S+ +(\S+)', read(f'/proc/{worker}/limits'), re.M)}
    expect(limits['data size'] != 'unlimited' and int(limits['data size']) > 128 * MIB, limits, bed)
    expect(int(limits['open files']) <= 16384, limits, bed)
    if os.geteuid() == 0 and os.stat(f'/proc/{worker}').st_uid != 0:
        expect(limits['processes'] == '16384', limits, bed)
    expect(int(read(f'/proc/{worker}/oom_score_adj')) >= 500, 'the machine would miss others first', bed)
    out, err = p.communicate(timeout=30)
    expect(p.returncode == 0 and out == '8\n8\n', f'32 MiB: {p.returncode} {out} {err}', bed)

    cpu = guest(bed, 'small')['host_cpu_ns']
    expect(1e6 < cpu < 1e12 if group else cpu is None, f'processor time {cpu}', bed)

    # at once so much that it is refused: nobody dies of that
    r = bed.guest('small', [take, str(6 << 30), '1'])
    expect(r.returncode == 1 and 'Cannot allocate memory' in r.stderr and said() == before + 1, f'6 GiB at once: {r}', bed)

    # two programs of one guest, too much together: one of them goes (the kernel may find that the first has not gone yet, and end both)
    first = start(bed, 'small', [take, str(80 * MIB), '1', '4'])
    expect(first.stdout.readline() == '1\n', 'the first does not begin', bed)
    second = start(bed, 'small', [take, str(80 * MIB), '1', '4'])
    told = [TOLD in p.communicate(timeout=40)[1] for p in (first, second)]
    status = [first.returncode, second.returncode]
    expect(status == [int(t) for t in told] and 1 <= sum(told) <= (2 if group else 1) and said() == before + 1 + sum(told), f'two: {status} {told}', bed)

    # more is allowed, at once
    r = bed.xengpu('set', 'small', 'host-memory=512M', 'weight=300', '--socket-dir', bed.sockets)
    expect(r.returncode == 0 and 'small: now weight 300, was 50; host-memory 512 MiB, was 128 MiB' in bed.log_text(), r, bed)
    if group:
        got = [read(f'{group}/{f}').strip() for f in ('memory.max', 'cpu.weight', 'pids.max')]
        expect(got == [str(512 * MIB), '300', '16384'], got, bed)
        swap = f'{group}/memory.swap.max'
        expect(not os.path.exists(swap) or read(swap) == '0\n', 'its memory may be swapped', bed)
    r = bed.guest('small', [take, str(16 * MIB), '16', '1'])
    expect(r.returncode == 0, f'256 of 512 MiB: {r}', bed)

    # what follows from its settings, if nothing is said
    r = bed.xengpu('set', 'small', 'host-memory=auto', 'memory=256M', '--socket-dir', bed.sockets)
    expect(r.returncode == 0, r, bed)
    machine = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    e2e.wait_for(lambda: guest(bed, 'small')['host_memory_limit'] == min(machine // 4 * 3, 1280 * MIB), 10, lambda: f'auto: {guest(bed, "small")}')

    out, err = other.communicate(timeout=60)
    expect(other.returncode == 0 and int(out) > 100, f'the neighbour: {other.returncode} {out} {err}', bed)
    r = bed.xengpu('detach', 'small', '--socket-dir', bed.sockets)
    expect(r.returncode == 0, r, bed)
