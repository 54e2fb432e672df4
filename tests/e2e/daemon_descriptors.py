#!/usr/bin/env python3
# Descriptors that run out, in the daemon by what a guest gives it, and in its spawner: who needs one is refused, what runs goes on, and afterwards all is as before.
# san: address
# limit: 120
import os
import resource
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

EMFILE, ENOSPC = -24, -28
FILES = 300  # a daemon's, and a guest may give it more than that


def limit(pid, files):
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def fill(agents, pid):
    """They give the daemon `pid` all that it takes, until it has no descriptor left."""
    for agent in agents:
        for take in (lambda: agent.ports_new(8), lambda: agent.ports_new(1), lambda: agent.segment_new(1)):
            try:
                while True:
                    take()
            except raw.Refused as e:
                if e.args[0] not in (EMFILE, ENOSPC):
                    e2e.fail(f'a full daemon: {e.args[0]}')
    if descriptors(pid) < FILES:
        e2e.fail(f'the daemon has {descriptors(pid)} descriptors, not {FILES}')


def app(bed):
    a = raw.App(f'{bed.sockets}/good/agent.sock')
    if a.status:
        e2e.fail(f'an application is refused: {a.text}')
    return a


with e2e.Bed() as bed:
    daemon = bed.daemon(['--no-sandbox'])
    for name, more in (('good', ()), ('bad', ('agent=no',)), ('worse', ('agent=no',))):
        r = bed.xengpu('attach', name, *more, '--socket-dir', bed.sockets, timeout=40)
        if r.returncode:
            e2e.fail(r.stderr)
    running = app(bed)
    whole = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0]
    spawner = next(pid for pid, name in e2e.children(daemon.pid) if name == 'xengpu-spawner')

    def refused(what):
        a = raw.App(f'{bed.sockets}/good/agent.sock')
        if not a.status and not a.hung_up(10):
            e2e.fail(f'{what}: an application is served')
        a.close()
        if running.hung_up(0.1) or running.channel_error():
            e2e.fail(f'{what}: an application that ran lost its channel')
        return a

    # --- the daemon
    base = descriptors(daemon.pid)
    agents = [raw.Agent(f'{bed.sockets}/+store/{name}') for name in ('bad', 'worse')]
    for agent in agents:
        agent.read('device/xengpu/0/backend')
    limit(daemon.pid, FILES)
    fill(agents, daemon.pid)
    a = refused('a full daemon')
    if a.status != EMFILE:
        e2e.fail(f'a full daemon: status {a.status}, {a.text}')
    for agent in agents:
        agent.close()
    e2e.wait_for(lambda: descriptors(daemon.pid) <= base, 10, lambda: f'{descriptors(daemon.pid)} descriptors, {base} before')
    limit(daemon.pid, whole)
    app(bed).close()

    # --- its spawner: it has some, but not as many as come with a worker
    for files in (descriptors(spawner), descriptors(spawner) + 3):
        limit(spawner, files)
        refused('a full spawner')
        limit(spawner, whole)
        app(bed).close()
    if 'Too many open files' not in bed.log_text():
        e2e.fail(f'the log does not say what ran out: {bed.log_text()}')
    if daemon.poll() is not None:
        e2e.fail('the daemon is dead')
