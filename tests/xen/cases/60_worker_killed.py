# kill -9 of a worker: its program gets the error of a lost device within a second, another of the same guest and one of the other guest
# draw on, a new program works, nothing is left.
# limit: 240
import os
import signal
import time

import host


def run(bed):
    steady, same = bed.steady(bed.one), bed.steady(bed.two)
    same.expect('frame 2', 60)
    for name, args, sign in (('gl_frames', ('0',), 'frame 3'), ('cudarem_lost', ('/tmp/up.lost',), '')):
        before = {c['worker'] for c in bed.daemon.channels('two')}
        victim = bed.remote(bed.two, name, *args)
        if sign:
            victim.expect(sign, 60)
        else:
            host.wait_for(lambda: 'yes' in bed.two.run('test -e /tmp/up.lost && echo yes').out, 60, f'{name} does not get under way')
        worker = next(c['worker'] for c in bed.daemon.channels('two') if c['worker'] not in before)
        start = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        bed.lost(victim, start, name)
    bed.works(bed.two)
    bed.steady_end(same)
    bed.steady_end(steady)
    bed.nothing_left()
