"""Two guests at once on the one device, weights 1:1 and 1:3: their shares by the scheduler's clock, by the device's own, and by the work done."""
import time

import beside
import busy

LIMIT = 60
QUICK = 25

HANGS = 2           # pairs that do not end; then the device is taken as lost to the step
LENGTHS = (0.3, 5.0, 50.0)  # ms
CAP, CAP_TOLERANCE = 30, 0.02
PAIRS = ((5.0, 5.0), (0.3, 50.0), (50.0, 0.3))


def without_xengpu(bed, report, cuda, lengths, seconds):
    """What the device's own time slicing gives two processes: for comparison."""
    guests = [busy.Guest(bed, cuda, f'direct-{i}', ms, direct=True) for i, ms in enumerate(lengths)]
    for g in guests:
        g.wait_at_work()
    since = time.time()
    time.sleep(seconds)
    until = time.time()
    pieces = [g.stop() for g in guests]
    used = [p.used(since, until) for p in pieces]
    done = [p.work(since, until) * ms / 1e3 for p, ms in zip(pieces, lengths)]
    report.result(f'{lengths[0]} ms beside {lengths[1]} ms, without xengpu', 'note',
                  f'the second has {beside.percent(used[1] / max(sum(used), 1e-9))} by the device, {beside.percent(done[1] / max(sum(done), 1e-9))} of the work',
                  work_of_one_alone=round(sum(done) / (until - since), 3),
                  both_at_once_s=round(pieces[0].overlap(pieces[1], since, until), 3))


def capped(bed, report, cuda, seconds):
    """A guest alone, with a cap: what it has of the device."""
    busy.attach(bed, 'capped', f'cap={CAP}')
    g = busy.Guest(bed, cuda, 'capped', 5.0)
    try:
        g.wait_at_work(beside.PATIENCE)
        time.sleep(0.5)
        since, before = time.time(), busy.listed(bed, 'capped')['device_time_ns']
        time.sleep(seconds)
        until, after = time.time(), busy.listed(bed, 'capped')['device_time_ns']
        has = {'the scheduler': (after - before) / 1e9 / (until - since), 'the device': g.stop(beside.PATIENCE).used(since, until) / (until - since)}
        good = all(abs(part - CAP / 100) <= CAP_TOLERANCE for part in has.values())
        report.result(f'a guest with cap={CAP}, alone', 'ok' if good or not bed.gpu else 'failed',
                      ', '.join(f'{beside.percent(part)} by {who}' for who, part in has.items()))
    finally:
        bed.stop(g.process, 0)
        busy.detach(bed, 'capped')


def run(bed, report, quick):
    seconds = 1 if quick else 2
    try:
        cuda = busy.Calibrated(bed, 'cuda_busy', *LENGTHS)
    except busy.Absent as e:
        report.result('two guests', 'absent', str(e))
        return
    if not bed.daemon_process:
        bed.daemon()
    pairs = PAIRS[:1] if quick else PAIRS
    alone = {(ms, False): beside.rate_alone(bed, cuda, ms, 0.7) for ms in sorted({x for p in pairs for x in p})}
    for ms, _ in alone:
        report.result(f'{ms} ms alone', 'note', f'{alone[ms, False]:.1f} pieces a second')
    stuck = 0
    for a, b in pairs:
        if stuck == HANGS:
            report.result(f'{a} ms beside {b} ms', 'failed', f'not run: {stuck} pairs before it did not end')
        elif beside.room(bed, report, f'{a} ms beside {b} ms', seconds):
            stuck += not beside.pair(bed, report, f'{a} ms beside {b} ms', ((cuda, a), (cuda, b)), alone, seconds)
    if not quick and stuck < HANGS and beside.room(bed, report, 'a guest with a cap', seconds):
        capped(bed, report, cuda, seconds)
    if bed.gpu and not quick and stuck < HANGS and beside.room(bed, report, 'without xengpu', seconds):
        without_xengpu(bed, report, cuda, (0.3, 50.0), 2)
