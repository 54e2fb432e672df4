#!/usr/bin/env python3
# A worker that is stopped in the middle of its work ends as any other: with its application, its guest, the daemon, or when the daemon is killed.
# limit: 120
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

BUSY = ('one', 'two', 'three')


def state(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0]
    except OSError:
        return None


def start(bed):
    """Each guest has one command that lasts for ten seconds: at any moment the workers of two are stopped. (application, worker) of each."""
    programs = {name: bed.start(bed.as_guest(name, [f'{bed.build}/tests/programs/burn', '10000000000', '1', 'call']), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL) for name in BUSY}

    def workers():
        return {g['name']: c['worker'] for g in bed.list()['guests'] for c in g['channels'] if c['worker']}
    e2e.wait_for(lambda: len(workers()) == len(BUSY), 30, 'not all at work')
    found = workers()
    return {name: (programs[name], found[name]) for name in BUSY}


def stopped(running, but=()):
    """The name of a guest whose worker is stopped just now."""
    name = []

    def look():
        name[:] = [n for n, (_, worker) in running.items() if n not in but and state(worker) == 'T']
        return name
    e2e.wait_for(look, 20, 'no worker is stopped')
    return name[0]


def gone(pid):
    return state(pid) in (None, 'Z', 'X')


def ends(worker, what):
    e2e.wait_for(lambda: gone(worker), 5, f'{what}: the worker lives on, {state(worker)}')


with e2e.Bed() as bed:
    daemon = bed.daemon(['--test-mode'])
    running = start(bed)

    name = stopped(running)
    program, worker = running.pop(name)
    os.killpg(program.pid, signal.SIGKILL)
    ends(worker, 'its application was killed')

    name = stopped(running)
    _, worker = running.pop(name)
    r = bed.xengpu('detach', name, '--socket-dir', bed.sockets)
    if r.returncode:
        e2e.fail(f'detach: {r}')
    ends(worker, 'its guest was detached')
    for program, _ in running.values():
        bed.stop(program, 0)

    running = start(bed)
    stopped(running)
    bed.stop(daemon, 5)
    for _, worker in running.values():
        ends(worker, 'the daemon ended')
    if 'SIGKILL' in bed.log_text() or 'Killed' in bed.log_text().rpartition('ending')[2]:
        e2e.fail(f'not by itself: {bed.log_text()}')
    for program, _ in running.values():
        bed.stop(program, 0)

    daemon = bed.daemon(['--test-mode'])
    running = start(bed)
    stopped(running)
    daemon.kill()
    for _, worker in running.values():
        ends(worker, 'the daemon was killed')
