#!/usr/bin/env python3
# Applications come and go in every way they can: daemon, spawner and agent keep neither descriptors nor memory of them.
# san: address
# limit: 180
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

ROUNDS = 100


def children(pid):
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/stat') as f:
                    if int(f.read().rsplit(')', 1)[1].split()[1]) == pid:
                        found.append(int(entry))
            except OSError:
                pass
    return found


def name(pid):
    try:
        with open(f'/proc/{pid}/comm') as f:
            return f.read().strip()
    except OSError:
        return ''


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def memory(pid):
    """KiB that are this process's alone."""
    with open(f'/proc/{pid}/status') as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(('RssAnon:', 'VmLib:')) and 'Anon' in line)


with e2e.Bed() as bed:
    daemon = bed.daemon(['--no-sandbox']).pid
    r = bed.xengpu('attach', 'a', '--socket-dir', bed.sockets, timeout=30)
    if r.returncode:
        e2e.fail(r.stderr)
    path = f'{bed.sockets}/a/agent.sock'
    spawner = next(p for p in children(daemon))
    agent = next(p for p in children(spawner) if 'agent' in name(p))

    def channels():
        return bed.list()['guests'][0]['channels']

    def settle():
        e2e.wait_for(lambda: not channels() and len(children(spawner)) == 1, 20, 'workers are left')

    def round_(i):
        app = raw.App(path)
        if app.status:
            e2e.fail(f'round {i}: {app.text}')
        if i % 4 == 0:  # goes away as soon as it is served
            app.close()
        elif i % 4 == 1:  # its worker is killed
            e2e.wait_for(lambda: any(c['worker'] for c in channels()), 10, 'no worker')
            for c in channels():
                if c['worker']:
                    try:
                        os.kill(c['worker'], signal.SIGKILL)
                    except ProcessLookupError:
                        pass  # of the round before: it has just ended
            if not app.hung_up(1):
                e2e.fail(f'round {i}: an application was not told within a second that its worker is dead')
            if not app.channel_error() or not app.ring_error(app.rings - 1):
                e2e.fail(f'round {i}: no error word in shared memory')
            app.close()
        elif i % 4 == 2:  # two at a time, closed in the other order
            other = raw.App(path)
            app.close()
            other.close()
        else:  # talks out of turn
            app.sock.send(b'x' * 80)
            if not app.hung_up(5):
                e2e.fail(f'round {i}: the agent goes on with an application that is not silent')
            app.close()

    for i in range(8):
        round_(i)
    settle()
    time.sleep(0.2)
    before = {p: (descriptors(p), memory(p)) for p in (daemon, spawner, agent)}
    for i in range(ROUNDS):
        round_(i)
    settle()
    for p, (fds, kib) in before.items():
        # the tool's own connection may just be ending
        e2e.wait_for(lambda: descriptors(p) <= fds, 5,
                     lambda: f'{name(p)}: {descriptors(p)} descriptors after {ROUNDS} rounds, {fds} before')
        if memory(p) > kib + 4096 and not os.environ.get('XG_VARIANT'):
            e2e.fail(f'{name(p)}: {memory(p)} KiB after {ROUNDS} rounds, {kib} before')
        print(f'{name(p)}: {fds} descriptors, {kib} to {memory(p)} KiB')
