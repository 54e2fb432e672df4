# A guest that sends events, writes its node, or rewrites the pages that it shares, as fast as it can: what the daemon and its workers use
# of the processor stays below a tenth, and the neighbour draws as fast as beside a guest that merely computes, or writes a node that is
# nobody's concern (nine tenths of that at least).
# limit: 240
import os
import re
import time

import host

HOSTILE = ['python3', f'{host.HOUSE}/xen/lib/hostile.py']
SECONDS, TRIES, BOUND, SHARE = 4, 3, 0.10, 0.9


def processor_time(pids):
    """Seconds of each thread so far: {(process, thread): seconds}."""
    used = {}
    for p in pids:
        try:
            for t in os.listdir(f'/proc/{p}/task'):
                with open(f'/proc/{p}/task/{t}/schedstat') as f:
                    used[p, int(t)] = int(f.read().split()[0]) * 1e-9
        except OSError:
            pass
    return used


class Neighbour:
    """It draws all the time."""

    def __init__(self, bed):
        self.bed = bed
        self.job = bed.remote(bed.two, 'gl_loop', '1000')
        self.job.expect('rounds', 60)

    def rate(self, begin, end):
        """Frames per second between these times."""
        last, frames, seconds = None, 0, 0
        for n, t in re.findall(r'rounds (\d+) until ([0-9.]+)', self.job.out):
            t = float(t)
            if last and last > begin and t < end:
                frames, seconds = frames + int(n), seconds + t - last
            last = t
        must(self.job.running(), f'the neighbour has ended: {self.job.out[-300:]}')
        must(seconds > 1, f'from {begin} to {end} the neighbour did nothing: {self.job.out[-1000:]}')
        return frames / seconds

    def beside(self, what, user):
        """Its rate while the other guest does that, and what the daemon uses of a processor meanwhile, without the neighbour's worker."""
        job = self.bed.one.spawn(HOSTILE + [what, str(SECONDS)], user=user)
        job.expect('storm', 30)
        theirs = {c['worker'] for c in self.bed.daemon.channels('two')}
        pids = self.bed.daemon.pids()
        before = used = processor_time(pids)
        began = time.monotonic()
        while job.running():   # a worker's time must be read while it lives
            time.sleep(0.2)
            used = {**used, **processor_time(pids)}
        took = time.monotonic() - began
        result = job.wait(60)
        must(result.status == 0, f'{what}: {result}')
        used = {t: (used[t] - before.get(t, 0)) / took for t in used if t[0] not in theirs}
        host.log({t: f'{100 * u:.1f} %' for t, u in used.items() if u > 0.001})
        used = sum(used.values())
        begin, end = (float(re.search(rf'{word} ([0-9.]+)', result.out)[1]) for word in ('from', 'until'))
        rate = self.rate(begin + 0.5, end)
        host.log(f'{what}: {rate:.1f} frames/s, daemon {100 * used:.1f} % of a processor; {result.out}')
        return rate, used

    def compare(self, usual, storm, user):
        """In turns, until it holds: the machine below is not ours alone."""
        most, best = 0, 0
        for _ in range(TRIES):
            calm, _ = self.beside(usual, user)
            rate, used = self.beside(storm, user)
            most, best = max(used, most), max(rate / calm, best)
            if best >= SHARE:
                break
        self.bed.note(f'{storm}: {100 * best:.0f} % of the frames, the daemon uses at most {100 * most:.1f} % of a processor')
        return [f'{storm}: the daemon uses {100 * most:.1f} % of a processor'] * (most >= BOUND) + \
            [f'{storm}: {100 * best:.0f} % of the frames beside {usual}'] * (best < SHARE)


def run(bed):
    neighbour = Neighbour(bed)
    wrong = neighbour.compare('busy', 'kick', 'user')
    wrong += neighbour.compare('busy', 'scrawl', 'user')
    bed.one.agent_kill()
    wrong += neighbour.compare('busy', 'events', 'root')
    wrong += neighbour.compare('scribble', 'store', 'root')
    must(not wrong, '; '.join(wrong))
