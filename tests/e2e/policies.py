#!/usr/bin/env python3
# What a guest may have at most: its cap, its part by the pgpu's policy, its windows' frames. All of it changes while programs run, and is listed.
# limit: 180
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

TRIES = 5  # on a machine that others use
CONFIG = '''
[pgpu one]
cuda = none
gl = surfaceless
policy = {policy}
quantum-us = 1000
average-ms = 50
max-instances = 4
[type small]
cap = 30
fps-limit = 20
max-instances = 1
'''


def look(bed, name):
    r = json.loads(bed.xengpu('list', '--json', '--socket-dir', bed.sockets).stdout)
    return next(g for g in r['guests'] if g['name'] == name), r['time_ns'], r['pgpus'][0]


def frames(guest):
    return sum(c['counters']['frames'] for c in guest['channels'])


def rates(bed, names, seconds):
    """For each: what part of the device it had, and its frames a second."""
    def all_of():
        r = bed.list()
        return r['time_ns'], {g['name']: (g['device_time_ns'], frames(g)) for g in r['guests']}
    time.sleep(0.3)
    since, before = all_of()
    time.sleep(seconds)
    until, after = all_of()
    return [((after[n][0] - before[n][0]) / (until - since), (after[n][1] - before[n][1]) * 1e9 / (until - since)) for n in names]


def expect(what, measure, good):
    for _ in range(TRIES):
        got = measure()
        print(f'{what}: {got}', flush=True)
        if good(*got):
            return
    e2e.fail(f'{what}: {got}, in {TRIES} tries')


with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')

    def write(policy):
        with open(config, 'w') as f:
            f.write(CONFIG.format(policy=policy))

    def tool(*args, status=0):
        r = bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40)
        if r.returncode != status:
            e2e.fail(f'{args}: status {r.returncode}: {r.stdout}{r.stderr}')
        return r

    def burn(name, seconds):
        return bed.start(bed.as_guest(name, [f'{bed.build}/tests/programs/burn', '300000', str(seconds), 'queue']))

    def share(name, part):
        expect(f'{name} is due {part}', lambda: [u for u, _ in rates(bed, [name], 2)], lambda u: abs(u - part) < 0.02 + 0.05 * part)

    write('best-effort')
    bed.daemon(['--test-mode', '--config', config])
    for name in ('a', 'b', 'drawn', 'free'):
        tool('attach', name)
    if 'max-instances, 4 guests' not in tool('attach', 'fifth', status=1).stderr:
        e2e.fail('a fifth guest: not refused for max-instances')

    # a cap
    tool('set', 'a', 'cap=25')
    a = burn('a', 170)
    e2e.wait_for(lambda: look(bed, 'a')[0]['device_time_ns'] > 1e8, 20, 'a does not run')
    share('a', 0.25)
    tool('set', 'a', 'cap=60')
    share('a', 0.6)
    for bad in ('cap=0', 'cap=101', 'cap=many', 'fps-limit=-1', 'fps-limit=1001', 'max-instances=3'):
        tool('set', 'a', bad, status=1)
    guest, _, pgpu = look(bed, 'a')
    if (guest['cap'], guest['share'], pgpu['policy'], pgpu['quantum_us'], pgpu['average_ms'], pgpu['max_instances']) != \
            (60, guest['share'], 'best-effort', 1000, 50, 4) or abs(guest['share'] - 0.6) > 0.001:
        e2e.fail(f'list: {guest} {pgpu}')
    # a type's; only one guest may have it
    tool('set', 'a', 'type=small')
    if 'max-instances' not in tool('set', 'b', 'type=small', status=1).stderr:
        e2e.fail('a second guest of a type for one')
    guest, _, _ = look(bed, 'a')
    if (guest['cap'], guest['fps_limit']) != (30, 20):
        e2e.fail(f'the type: {guest}')
    share('a', 0.3)
    tool('set', 'a', 'cap=100')
    share('a', 1)

    # policies: b has a program that does nothing
    b = bed.start(bed.as_guest('b', [f'{bed.build}/tests/programs/burn', '1000', '170', 'call']))
    e2e.wait_for(lambda: look(bed, 'b')[0]['channels'], 20, 'b does not run')
    bed.stop(b)
    e2e.wait_for(lambda: not look(bed, 'b')[0]['channels'], 20, 'b does not end')
    write('fixed')
    said = tool('reload').stdout
    if '[pgpu one] policy fixed, was best-effort: takes effect now' not in said:
        e2e.fail(f'reload: {said}')
    share('a', 1)  # its type's max-instances count: it has all
    tool('set', 'a', 'type=default')
    share('a', 0.25)
    b = burn('b', 160)
    e2e.wait_for(lambda: look(bed, 'b')[0]['device_time_ns'] > 1e8, 20, 'b does not run')
    share('a', 0.25)
    share('b', 0.25)
    write('equal')
    tool('reload')
    share('a', 0.5)
    share('b', 0.5)
    if 'equal' not in tool('list').stdout or look(bed, 'a')[0]['share'] != 0.5:
        e2e.fail(f'list: {tool("list").stdout}')
    bed.stop(b)
    share('a', 1)
    bed.stop(a)
    write('best-effort')
    tool('reload')

    # frames: those of the guest's windows alone
    bed.xvfb()
    gears = {n: bed.start(bed.as_guest(n, ['glxgears'])) for n in ('drawn', 'free')}
    e2e.wait_for(lambda: all(frames(look(bed, n)[0]) > 10 for n in gears), 30, 'the gears do not turn')
    fast = rates(bed, ['drawn'], 2)[0][1]
    if fast < 45:
        e2e.skip(f'this machine draws {fast:.0f} frames a second beside what else it does: no limit would be seen')
    for limit in (30, 12, 30):
        tool('set', 'drawn', f'fps-limit={limit}')
        expect(f'limit {limit}; the other has none', lambda: [f for _, f in rates(bed, ['drawn', 'free'], 4)],
               lambda f, other: abs(f - limit) <= 1 and other > 1.4 * limit)
    tool('set', 'drawn', 'fps-limit=0')
    expect('no limit any more', lambda: [rates(bed, ['drawn'], 2)[0][1]], lambda f: f > 35)
    # one that waits does not have the device
    tool('set', 'drawn', 'fps-limit=1')
    time.sleep(2)
    expect('a frame a second', lambda: rates(bed, ['drawn'], 3)[0], lambda used, f: f <= 1.5 and used < 0.2)
    since = time.monotonic()
    tool('set', 'drawn', 'fps-limit=100')  # also for the frame that waits
    before = frames(look(bed, 'drawn')[0])
    e2e.wait_for(lambda: frames(look(bed, 'drawn')[0]) > before + 1, 5, 'the frame that waits does not hear of the new limit')
    print(f'{time.monotonic() - since:.2f} s')
