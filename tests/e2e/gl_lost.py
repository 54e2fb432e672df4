#!/usr/bin/env python3
# A GL program whose worker is killed goes on without pictures, says so once and within a second, and ends when it is told to; another one,
# of the same guest, goes on with pictures.
# limit: 90
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e


def gears(bed, name):
    out = open(f'{os.environ["TMPDIR"]}/{name}.log', 'w+')
    p = bed.start(bed.as_guest('gl', ['stdbuf', '-oL', 'glxgears']), stdout=out, stderr=out)
    p.log = out.name
    return p


def text(p):
    with open(p.log) as f:
        return f.read()


def frames(p):
    return text(p).count('FPS')


def workers(bed):
    return [c['worker'] for g in bed.list()['guests'] for c in g['channels'] if c['worker']]


with e2e.Bed() as bed:
    bed.xvfb()
    bed.daemon([])
    lost = gears(bed, 'lost')
    e2e.wait_for(lambda: workers(bed), 20, 'no worker')
    victim = workers(bed)[0]
    other = gears(bed, 'other')
    e2e.wait_for(lambda: frames(lost) and frames(other), 30, 'no frames')

    os.kill(victim, signal.SIGKILL)
    e2e.wait_for(lambda: 'xengpu:' in text(lost), 1.5, 'nothing is said within a second')
    if 'worker on the host died' not in text(lost):
        e2e.fail('the reason is not named: ' + text(lost))
    before = frames(other)
    time.sleep(1)
    if lost.poll() is not None:
        e2e.fail(f'the program ended with {lost.returncode}')
    e2e.wait_for(lambda: frames(other) > before, 15, 'the other program stands still')
    if text(lost).count('xengpu:') != 1:
        e2e.fail('not one line but: ' + text(lost))
    if 'xengpu:' in text(other):
        e2e.fail('the other program was told something: ' + text(other))
    for p in (lost, other):
        p.terminate()
        if p.wait(5) not in (-signal.SIGTERM, 128 + signal.SIGTERM):
            e2e.fail(f'ends with {p.returncode} when told to')
