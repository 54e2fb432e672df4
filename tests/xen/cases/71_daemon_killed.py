# kill -9 of xengpud: programs of all guests lose the device within a second; a daemon that is started again serves the running guests,
# whose agents are the same as before; nothing is left. The same when it is stopped in order.
# limit: 300
import time

import host


def run(bed):
    for how in ('killed', 'stopped'):
        victims = [bed.steady(bed.one), bed.steady(bed.two)]
        for v in victims:
            v.expect('frame 3', 60)
        workers = [c['worker'] for g in ('one', 'two') for c in bed.daemon.channels(g)]
        start = time.monotonic()
        if how == 'killed':
            bed.daemon.kill()
        else:
            bed.daemon.stop()
        for v in victims:
            bed.lost(v, start, f'gl_frames, daemon {how}')
        host.wait_for(lambda: not any(host.alive(w) for w in workers), 10, 'workers outlive the daemon')
        bed.daemon.start()
        for g in (bed.one, bed.two):
            must(g.agent.running(), f'the agent of {g.name} has ended')
            bed.daemon.connected(g)
            bed.works(g)
        bed.nothing_left()
