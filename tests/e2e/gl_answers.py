#!/usr/bin/env python3
# A guest answers by itself for what no host refuses: enables, blending, the program in use. Its worker stands still meanwhile.
# limit: 90
import contextlib
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

PROGRAM = os.path.join(os.environ.get('XG_BUILD', 'build'), 'tests/programs/gl_answers')


def workers(bed):
    return [c['worker'] for g in bed.list()['guests'] for c in g['channels'] if c['worker']]


def text(path):
    with open(path) as f:
        return f.read()


with e2e.Bed() as bed:
    got = bed.direct([PROGRAM])
    if got.returncode:
        e2e.fail('directly: ' + got.stdout + got.stderr)
    bed.daemon([])
    out, go = os.path.join(bed.tmp, 'out'), os.path.join(bed.tmp, 'go')
    with open(out, 'w') as f:
        p = bed.start(bed.as_guest('gl', [PROGRAM, go]), stdout=f)
    e2e.wait_for(lambda: 'ready' in text(out), 30, 'not ready')
    worker = workers(bed)[0]
    os.kill(worker, signal.SIGSTOP)
    try:
        open(go, 'w').close()
        e2e.wait_for(lambda: 'answered' in text(out), 20, 'it waits for the worker')
    finally:
        with contextlib.suppress(ProcessLookupError):  # a worker is killed, stopped or not, when its application has ended
            os.kill(worker, signal.SIGCONT)
    if p.wait(20):
        e2e.fail('as a guest: ' + text(out))
