#!/usr/bin/env python3
# Processes that stand still for a while, and that are killed, at any moment while two guests' programs run: the daemon, its spawner, an agent, a worker, a program. What
# stood still goes on where it was, and nobody else waits for ever; what was killed is the end of its own program only. XG_SEED, XG_SECONDS.
# limit: 180
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

seed, seconds = int(os.environ.get('XG_SEED', str(int(time.time())))), float(os.environ.get('XG_SECONDS', '12'))
random.seed(seed)
print(f'XG_SEED={seed}')
PROGRAMS = [['cuda_matmul', '128'], ['gl_modern'], ['cuda_streams']]


def send(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


with e2e.Bed() as bed:
    daemon = bed.daemon()
    for name in 'ab':
        if bed.xengpu('attach', name, '--socket-dir', bed.sockets, timeout=40).returncode:
            e2e.fail('no guest')
    running, hit, did = {}, set(), {}
    # Both guests' programs one after the other; from `end` on no more are begun, and those that run have to come to their ends.
    end = time.monotonic() + seconds
    while time.monotonic() < end or running:
        for name in 'ab':
            if name not in running and time.monotonic() < end:
                program, *args = random.choice(PROGRAMS)
                running[name] = (bed.start(bed.as_guest(name, [f'{bed.build}/tests/programs/{program}', *args]), stdout=subprocess.PIPE, text=True),
                                 time.monotonic(), program)
        if time.monotonic() < end:
            victims = [(daemon.pid, 'daemon')] + e2e.children(daemon.pid) + [(p.pid, 'program') for p, _, _ in running.values()]
            pid, kind = random.choice(victims)
            if kind in ('program', 'xengpu-worker') and random.random() < 0.3:
                send(pid, signal.SIGKILL)
                hit.add(time.monotonic())
                did[f'{kind} killed'] = did.get(f'{kind} killed', 0) + 1
            else:
                stopped = send(pid, signal.SIGSTOP)
                time.sleep(random.random() * 1.5)
                if stopped:
                    send(pid, signal.SIGCONT)
                did[f'{kind} stopped'] = did.get(f'{kind} stopped', 0) + 1
        time.sleep(random.random() * 0.1)
        for name, (p, since, program) in list(running.items()):
            if p.poll() is not None:
                del running[name]
                # Who was killed, or whose worker was, may say so in any way.
                if p.returncode and not any(since <= at for at in hit):
                    e2e.fail(f'{program}: status {p.returncode}: {p.stdout.read()[-2000:]}\n{bed.log_text()[-2000:]}')
            elif time.monotonic() - max(since, end) > 40:
                e2e.fail(f'{program} does not end; {did}\n{bed.log_text()[-3000:]}')
    print(', '.join(f'{n} x {what}' for what, n in sorted(did.items())))
    if daemon.poll() is not None:
        e2e.fail(f'status of the daemon: {daemon.returncode}')
    for name in 'ab':
        r = bed.guest(name, [f'{bed.build}/tests/programs/cuda_vectoradd'])
        if r.returncode:
            e2e.fail(f'{name} afterwards: {r.returncode}: {r.stderr}\n{bed.log_text()[-2000:]}')
    if len(did) < 3:
        e2e.fail('too little happened')
