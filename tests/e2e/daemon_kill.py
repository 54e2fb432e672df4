#!/usr/bin/env python3
# kill -9 of workers, agents and the daemon itself: who depends on them is told at once, everybody else goes on, and it starts again.
# san: address
# limit: 120
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw


def attach(bed, name, *more):
    r = bed.xengpu('attach', name, *more, '--socket-dir', bed.sockets, timeout=40)
    if r.returncode:
        e2e.fail(f'attach {name}: {r.stderr}')
    return f'{bed.sockets}/{name}/agent.sock'


def processes(text):
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/cmdline', 'rb') as f:
                    if text in f.read().decode(errors='replace').replace('\0', ' '):
                        found.append(int(entry))
            except OSError:
                pass
    return found


def guest(bed, name):
    return next(g for g in bed.list()['guests'] if g['name'] == name)


with e2e.Bed() as bed:
    daemon = bed.daemon(['--no-sandbox'])
    paths = {n: attach(bed, n) for n in 'ab'}
    apps = {n: raw.App(p) for n, p in paths.items()}
    if any(a.status for a in apps.values()):
        e2e.fail('no channels')

    # one worker
    second = raw.App(paths['a'])
    e2e.wait_for(lambda: all(c['worker'] for c in guest(bed, 'a')['channels']), 10, 'no workers')
    victim = guest(bed, 'a')['channels'][1]
    os.kill(victim['worker'], signal.SIGKILL)
    if not second.hung_up(1):
        e2e.fail('not told within a second that the worker is dead')
    if second.channel_error() != 2:
        e2e.fail(f'error word {second.channel_error()}, not 2 (lost)')
    if apps['a'].hung_up(0.2) or apps['b'].hung_up(0.2):
        e2e.fail('another application was hit')
    second.close()

    # the agent: its guest's applications lose their channels, the other guest's do not; a new agent serves new ones
    agent = processes(f'{bed.sockets}/+store/a')
    workers = [c['worker'] for c in guest(bed, 'a')['channels']]
    os.kill(agent[0], signal.SIGKILL)
    if not apps['a'].hung_up(1):
        e2e.fail('not told within a second that the agent is dead')
    e2e.wait_for(lambda: not any(os.path.exists(f'/proc/{w}') for w in workers), 5, 'workers outlive their agent')
    e2e.wait_for(lambda: guest(bed, 'a')['state'] == 'connected', 10, 'no new agent')
    again = raw.App(paths['a'])
    if again.status or apps['b'].hung_up(0.2):
        e2e.fail('the agent was not replaced, or another guest was hit')

    # the agent while an application waits for its first answer (its worker is not there yet): the application says what happened
    spawner = next(pid for pid, name in e2e.children(daemon.pid) if name == 'xengpu-spawner')
    os.kill(spawner, signal.SIGSTOP)
    program = bed.start(bed.as_guest('a', [f'{bed.plain}/tests/programs/cuda_vectoradd']), stdout=subprocess.PIPE, text=True)
    e2e.wait_for(lambda: any(c['command'] == 'cuda_vectoradd' for c in guest(bed, 'a')['channels']), 10, 'no channel')
    time.sleep(0.3)
    os.kill(processes(f'{bed.sockets}/+store/a')[0], signal.SIGKILL)
    said = program.communicate(timeout=20)[0]
    os.kill(spawner, signal.SIGCONT)
    if not program.returncode or 'no CUDA: ' not in said or 'offers none' in said:
        e2e.fail(f'an application whose agent died: status {program.returncode}: {said}')
    e2e.wait_for(lambda: guest(bed, 'a')['state'] == 'connected', 10, 'no new agent')
    again = raw.App(paths['a'])

    # a second daemon in the same place says so, and harms nothing
    r = bed.run([f'{bed.build}/bin/xengpud', '--local', '--socket-dir', bed.sockets])
    if r.returncode == 0 or 'another xengpud' not in r.stderr:
        e2e.fail(f'a second daemon: status {r.returncode}: {r.stderr}')
    guest(bed, 'b')

    # the daemon: nothing of it stays, and the next one takes its place
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    if not again.hung_up(2) or not apps['b'].hung_up(2):
        e2e.fail('applications are not told that the daemon is dead')
    e2e.wait_for(lambda: not processes(bed.sockets), 10, lambda: f'processes are left: {processes(bed.sockets)}')
    if not os.path.exists(f'{bed.sockets}/control.sock'):
        e2e.fail('the test expects a stale socket here')
    bed.processes.remove(daemon)
    daemon = bed.daemon(['--no-sandbox'])
    app = raw.App(attach(bed, 'b'))
    if app.status:
        e2e.fail(f'after the restart: {app.text}')

    # an orderly end
    os.kill(daemon.pid, signal.SIGTERM)
    if daemon.wait(10) != 0:
        e2e.fail(f'status {daemon.returncode} after SIGTERM')
    if not app.hung_up(1) or app.channel_error() != 4:
        e2e.fail(f'an orderly end: error word {app.channel_error()}, not 4 (closed)')
    left = [f for _, _, files in os.walk(bed.sockets) for f in files]
    if left or sorted(os.listdir(bed.sockets)) != ['a', 'b']:
        e2e.fail(f'left behind: {left}, {os.listdir(bed.sockets)}')
    r = bed.xengpu('list', '--socket-dir', bed.sockets)
    if r.returncode != 1 or 'xengpud --local' not in r.stderr:
        e2e.fail(f'no daemon, but: {r.returncode} {r.stderr}')
