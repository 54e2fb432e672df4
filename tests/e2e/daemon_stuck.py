#!/usr/bin/env python3
# Who keeps the device is killed for the device time that it uses while others wait, not for the time that passes: a worker that is not scheduled is
# spared, within reason; one that computes without end is not. A kernel that can be interrupted is; so is any worker where the device is the CPU, if
# that is not switched off.
# limit: 180
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')
    programs = f'{bed.build}/tests/programs'

    def configure(preempt):
        with open(config, 'w') as f:
            f.write(f'[daemon]\nstuck-seconds = 1\n[pgpu x]\ncuda = softcuda\ngl = none\npreempt = {preempt}\n')
    configure('no')
    bed.env['SOFTCUDA_TIMEOUT_MS'] = '2500'
    bed.daemon(['--test-mode', '--config', config])
    bed.env['XG_KERNELS'] = f'{bed.plain}/tests/kernels'

    def burn(guest, seconds):
        """Occupies the device in pieces of 0.1 s."""
        return bed.start(bed.as_guest(guest, [f'{programs}/burn', '100000000', str(seconds), 'call']), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)

    def guest(name):
        return next(g for g in bed.list()['guests'] if g['name'] == name)

    def stop_holder(name):
        """Stops the guest's worker while it uses the device and another guest waits. (One that was stopped before it began still wants it: it is
        given the device, charged, and asked for it, like any other.)"""
        def stopped():
            if not {name, 'other'} <= {g['name'] for g in bed.list()['guests']}:
                return False  # their programs attach them
            found = [c['worker'] for c in guest(name)['channels'] if c['worker']]
            if not found:
                return False
            os.kill(found[0], signal.SIGSTOP)
            time.sleep(0.3)  # the scheduler asks for the device
            g = guest(name)
            if g['holds'] and not g['wants'] and guest('other')['wants'] and not guest('other')['holds']:
                worker.append(found[0])
                return True
            os.kill(found[0], signal.SIGCONT)
            return False
        worker = []
        e2e.wait_for(stopped, 30, 'the worker is never caught with the device')
        return worker[0]

    # stopped for four times as long as a worker may use the device: it goes on as if nothing had been
    kept, other = burn('kept', 6), burn('other', 8)
    worker = stop_holder('kept')
    time.sleep(4)
    os.kill(worker, signal.SIGCONT)
    for p in (kept, other):
        out, err = p.communicate(timeout=60)
        if p.returncode:
            e2e.fail(f'status {p.returncode}: {err}; the log: {bed.log_text()}')
    if 'does not give the device back' in bed.log_text():
        e2e.fail(f'innocent: {bed.log_text()}')

    e2e.wait_for(lambda: not any(g['channels'] for g in bed.list()['guests']), 10, 'workers outlive their programs')

    # stopped for good: after ten times as long the other one goes on
    other = burn('other', 20)
    kept = burn('kept', 60)
    stop_holder('kept')
    start = time.monotonic()
    out, err = kept.communicate(timeout=60)
    if kept.returncode == 0 or 'does not give the device back' not in bed.log_text():
        e2e.fail(f'one that keeps the device for ever: status {kept.returncode}: {out} {err}; the log: {bed.log_text()}')
    if time.monotonic() - start < 5:
        e2e.fail('killed for a time in which it did nothing')
    out, err = other.communicate(timeout=60)
    if other.returncode or int(out) < 10:
        e2e.fail(f'who waited: status {other.returncode}: {out} {err}')

    # one command that never ends uses the device: its program is told that it lost the device, the other one goes on
    def killed():
        return bed.log_text().count('does not give the device back')
    # (It ends by itself only when even a share of a busy processor has been far more than it may use.)
    before, other = killed(), burn('other', 20)
    endless = bed.guest('endless', [f'{programs}/burn', '19000000000', '1', 'call'], timeout=60)
    if endless.returncode == 0 or killed() != before + 1:
        e2e.fail(f'a command without end: {endless}; the log: {bed.log_text()}')
    out, err = other.communicate(timeout=60)
    if other.returncode or int(out) < 10:
        e2e.fail(f'beside a command without end: status {other.returncode}: {out} {err}')

    # a kernel that never ends is interrupted where the device can do that (softcuda): it has its share, until softcuda's own watchdog comes
    if os.path.exists(f'{bed.plain}/tests/kernels/spin.ptx'):
        before, other = killed(), bed.start(bed.as_guest('other', [f'{programs}/cuda_loop', '8']), stdout=subprocess.PIPE, text=True)
        endless = bed.guest('endless', [f'{programs}/cuda_errors', 'timeout'], timeout=60)
        if endless.returncode or killed() != before:
            e2e.fail(f'an endless kernel: {endless}; the log: {bed.log_text()}')
        out, _ = other.communicate(timeout=60)
        idle = [line for line in out.splitlines() if int(line.split()[1]) < 10]
        if other.returncode or len(out.splitlines()) < 20 or idle:
            e2e.fail(f'beside an endless kernel: status {other.returncode}: {out}')

    # one command of 10 s, where workers are stopped in the middle of their work: it has its part, the other has its own, and nobody is killed
    configure('yes')
    reload = bed.xengpu('reload', '--socket-dir', bed.sockets)
    if reload.returncode:
        e2e.fail(f'reload: {reload}')
    before, names = killed(), ('long', 'short')
    started = [bed.start(bed.as_guest(name, [f'{programs}/burn', ns, '10', 'call']), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for name, ns in zip(names, ('10000000000', '1000000'))]

    def times():
        return [g['device_time_ns'] / 1e9 for name in names for g in bed.list()['guests'] if g['name'] == name]
    e2e.wait_for(lambda: len(times()) == 2 and min(times()) > 0.1, 30, 'not both at work')
    since = times()
    time.sleep(5)
    part = [(now - was) / 5 for was, now in zip(since, times())]
    for p in started:
        out, err = p.communicate(timeout=60)
        if p.returncode:
            e2e.fail(f'beside or in a long command: status {p.returncode}: {out} {err}; the log: {bed.log_text()}')
    if killed() != before or max(part) > 0.6 or min(part) < 0.35:
        e2e.fail(f'a command of 10 s has {part[0]:.2f} of the device, the other guest {part[1]:.2f}; the log: {bed.log_text()}')
