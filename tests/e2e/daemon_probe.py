#!/usr/bin/env python3
# Looking at devices: a driver that is slow, crashes or is missing is looked at again, what happened is told as it was, and guests that were attached
# meanwhile have the device once it is found.
# limit: 180
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')
    driver = f'{bed.plain}/tests/programs/libmoody_driver.so'
    job = [f'{bed.plain}/tests/programs/cuda_loop', '0.1']
    egl_vendor = '/usr/share/glvnd/egl_vendor.d/50_mesa.json'

    def start(plan, text):
        """A daemon whose driver behaves as `plan` says, one word for each look."""
        count = os.path.join(bed.tmp, 'count')
        if os.path.exists(count):
            os.unlink(count)
        bed.env.update(XG_DRIVER_PLAN=plan, XG_DRIVER_COUNT=count, LD_LIBRARY_PATH=f'{bed.plain}/lib/softcuda')
        with open(config, 'w') as f:
            f.write(text)
        open(bed.log, 'w').close()
        return bed.daemon(['--config', config])

    def pgpu():
        return bed.list()['pgpus'][0]

    def want(text, where, what):
        if text not in where:
            e2e.fail(f'{what}: {text!r} is not in {where!r}')

    def failed_look(text):
        """Waits until a look has failed, and compares what all say of it."""
        e2e.wait_for(lambda: pgpu()['cuda_error'], 30, 'no look comes to an end')
        r = bed.xengpu('list', '--socket-dir', bed.sockets)
        p = pgpu()
        want(text, p['cuda_error'], 'list --json')
        if p['ready'] or p['cuda'] is not None:
            e2e.fail(f'ready without a device: {p}')
        want('looked at', p['cuda_waiting'], 'list --json')
        want(text, r.stdout, 'xengpu list')
        want(f'pgpu x: CUDA: {text}', bed.log_text(), 'the log')

    def runs(guest):
        r = bed.guest(guest, job)
        if r.returncode != 0:
            e2e.fail(f'a program on a device that was found late: status {r.returncode}: {r.stderr}')
        p = pgpu()
        if not p['ready'] or p['cuda'] is None or p['cuda_error'] or p['cuda_waiting']:
            e2e.fail(f'found, but: {p}')

    # a driver that crashes twice: attach, and the program after it, wait for the third look
    daemon = start('crash crash', f'[pgpu x]\ncuda = {driver}\ngl = none\n[guest early]\nweight = 100\n')
    failed_look(f'ended by signal 6 (Aborted) in: cuInit of {driver}')
    runs('a')
    e2e.wait_for(lambda: all(g['state'] == 'connected' for g in bed.list()['guests']), 10, lambda: f'{bed.list()["guests"]}')
    bed.stop(daemon)

    # one that ends the process
    daemon = start('exit', f'[pgpu x]\ncuda = {driver}\ngl = none\n')
    failed_look(f'exited with 3 in: cuInit of {driver}')
    runs('a')
    bed.stop(daemon)

    # one that hangs at first; a daemon that ends meanwhile is not kept
    daemon = start('hang', f'[daemon]\nprobe-seconds = 1\n[pgpu x]\ncuda = {driver}\ngl = none\n')
    failed_look(f'timed out: no answer in 1 s from: cuInit of {driver}')
    runs('a')
    bed.stop(daemon)

    # one that hangs for good: attach, the agent and the log say what is waited for; other devices are not held up, and are preferred
    daemon = start('hang', f'[pgpu x]\ncuda = {driver}\ngl = none\n[pgpu y]\ncuda = softcuda\ngl = none\n')
    waiting = bed.start([f'{bed.plain}/bin/xengpu', 'attach', 'late', 'pgpu=x', '--socket-dir', bed.sockets], stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, text=True)
    e2e.wait_for(lambda: os.path.exists(f'{bed.sockets}/late/agent.sock'), 10, 'no agent')
    if bed.guest('other', job).returncode:
        e2e.fail('another device was held up')
    app = raw.App(f'{bed.sockets}/late/agent.sock')
    late = next(g for g in bed.list()['guests'] if g['name'] == 'late')
    if late['state'] != 'initialising':
        e2e.fail(f'the guest of a device that is not ready: {late["state"]}')
    said = waiting.communicate(timeout=30)[0]
    for text in ('pgpu x is not ready yet', 'CUDA: being looked at for', f'cuInit of {driver}', 'stays attached'):
        want(text, said, 'attach')
    if waiting.returncode != 1 or app.status >= 0:
        e2e.fail(f'attach: status {waiting.returncode}; the application: {app.status}')
    want('pgpu x is not ready yet', app.text, 'what an application is told')
    bed.stop(daemon)

    # a library and an EGL vendor's file that are unfit at first (without any the configuration is in error)
    late, late_egl = f'{bed.tmp}/libcuda.so.1', f'{bed.tmp}/vendor.json'
    for path in late, late_egl:
        open(path, 'w').close()
    daemon = start('', f'[pgpu x]\ncuda = {late}\ngl = surfaceless\negl-vendor = {late_egl}\n[guest g]\nweight = 100\n')
    failed_look(late)
    want('no EGL display', pgpu()['gl_error'], 'list --json')
    os.unlink(late)
    os.symlink(driver, late)
    runs('g')
    if pgpu()['gl'] is not None or 'looked at again in' not in pgpu()['gl_waiting']:
        e2e.fail(f'CUDA alone is there: {pgpu()}')
    os.unlink(late_egl)
    os.symlink(egl_vendor, late_egl)
    e2e.wait_for(lambda: pgpu()['gl'], 30, lambda: f'OpenGL is not found: {pgpu()}')
    r = bed.guest('g', [f'{bed.plain}/tests/programs/gl_frames', '1'])
    if r.returncode or 'frame 0' not in r.stdout:
        e2e.fail(f'OpenGL that was found late: status {r.returncode}: {r.stderr}')
