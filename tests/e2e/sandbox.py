#!/usr/bin/env python3
# What a worker that its application has taken over finds: addresses that are not the daemon's, nobody else's processes, and its own end.
# limit: 120
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw


def tool(bed, *args):
    r = bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40)
    if r.returncode:
        e2e.fail(f'{args}: {r.stderr}')


def workers(bed):
    return [c['worker'] for g in bed.list()['guests'] for c in g['channels']]


def open_app(bed, guest):
    """An application, and the process of its worker."""
    before = workers(bed)
    app = raw.App(f'{bed.sockets}/{guest}/agent.sock')
    e2e.wait_for(lambda: all(workers(bed)) and len(workers(bed)) > len(before), 10, 'no worker')
    return app, next(w for w in workers(bed) if w not in before)


def places(pid):
    """Where a process has the program, the C library, its heap and its stack."""
    found = {}
    with open(f'/proc/{pid}/maps') as f:
        for line in f:
            name = re.search(r'(xengpud|libc\.so\.6|\[heap\]|\[stack\])', line)
            if name:
                found.setdefault(name[1], line.split('-')[0])
    if len(found) != 4:
        e2e.fail(f'process {pid}: {found}')
    return found


def layout(bed, daemon):
    apps = [open_app(bed, g) for g in ('one', 'one', 'two')]
    seen = {}
    for pid in [daemon.pid] + [w for _, w in apps]:
        for name, address in places(pid).items():
            other = seen.setdefault((name, address), pid)
            if other != pid:
                e2e.fail(f'{name} lies at {address} in processes {other} and {pid}')
    for app, _ in apps:
        app.close()


def ended(pid):
    """Gone, or gone but for who waits for it."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


def spawner_killed(bed, daemon):
    app, worker = open_app(bed, 'one')
    with open(f'/proc/{worker}/status') as f:
        spawner = int(re.search(r'PPid:\s+(\d+)', f.read())[1])
    os.kill(spawner, signal.SIGKILL)
    e2e.wait_for(lambda: ended(worker), 5, 'a worker outlives its spawner')
    if daemon.wait(10) != 1 or 'the spawner died' not in bed.log_text():
        e2e.fail(f'the daemon without its spawner: status {daemon.returncode}\n{bed.log_text()}')
    app.close()


with e2e.Bed() as bed:
    daemon = bed.daemon()
    for name in ('one', 'two'):
        tool(bed, 'attach', name)
    layout(bed, daemon)
    spawner_killed(bed, daemon)
