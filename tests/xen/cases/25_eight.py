# Eight guests compute at the same time, each has an eighth of the device; when three of them go at once the others share what is left, and nothing
# stays behind.
# limit: 600
# on request
import re
import time

import host

GUESTS, GONE, SECONDS = 8, 3, 20
MEMORY = 192        # MiB: all of them beside Dom0 in what QEMU gives the machine
KERNEL_MS = 20
LEAST = 0.9         # of what is due


def shares(bed, guests):
    """What part of the device each had in some seconds, and for how long it wanted nothing: on this machine even a guest waits for a processor."""
    def look():
        listed = {g['name']: g for g in bed.daemon.list()['guests']}
        return [(listed[g.name]['device_time_ns'], listed[g.name]['wait_time_ns']) for g in guests]
    began, before = time.monotonic_ns(), look()
    time.sleep(SECONDS * host.SLOW)
    took, after = time.monotonic_ns() - began, look()
    used = [a[0] - b[0] for a, b in zip(after, before)]
    idle = [max(0, took - u - (a[1] - b[1])) for u, a, b in zip(used, after, before)]
    bed.note(f'{len(guests)} guests: ' + ' '.join(f'{100 * u / sum(used):.1f}' for u in used) + f' % of {sum(used) / took:.2f}')
    must(sum(used) > 0.5 * took, f'the device was not used: {used} of {took}')
    due = sum(used) / len(guests)
    for g, u, i in zip(guests, used, idle):
        must(u + i >= LEAST * due, f'{g.name} had {u / 1e9:.2f} s, its part is {due / 1e9:.2f} s, and it wanted nothing for {i / 1e9:.2f} s')


def run(bed):
    rounds = re.search(r'^rounds \S+ (\d+)', bed.direct('cuda_busy', 'calibrate', str(KERNEL_MS)), re.M)[1]
    more = [bed.guest(f'more{i}', memory=MEMORY) for i in range(GUESTS - 2)]
    for g in more:
        g.agent_start()
        bed.daemon.attach(g)
    for g in more:
        bed.daemon.connected(g)
    guests = [bed.one, bed.two, *more]
    jobs = [bed.remote(g, 'cuda_busy', 'run', rounds, '100000', '8') for g in guests]
    for job in jobs:
        job.expect('rounds', 120)
    shares(bed, guests)
    for g in more[:GONE]:
        g.destroy()
    host.wait_for(lambda: not any(bed.daemon.guest(g.name) for g in more[:GONE]), 30, 'the daemon lets go of those that are gone')
    shares(bed, guests[:2] + more[GONE:])
    must(all(job.running() for g, job in zip(guests, jobs) if g not in more[:GONE]), 'what the others run was disturbed')
    for g, job in zip(guests, jobs):
        if g not in more[:GONE]:
            job.kill()
            job.wait(30)
    bed.works(more[-1])
    for g in more[GONE:]:
        g.destroy()
    host.wait_for(lambda: not any(bed.daemon.guest(g.name) for g in more), 30, 'the daemon lets go of all')
    bed.nothing_left()
