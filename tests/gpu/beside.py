"""Two guests that keep one device busy at the same time, and what each has of it: by the scheduler's clock, by the device's own, and by the work done."""
import time

import busy
import e2e
import shares

PATIENCE = 8        # seconds until a program on a GPU begins, or ends
TOLERANCE = 0.05    # of the smaller share
WEIGHTS = ((100, 100), (100, 300))


def rate_alone(bed, calibrated, ms, seconds):
    """Pieces per second of a guest that has the device for itself."""
    g = busy.Guest(bed, calibrated, 'alone', ms)
    g.wait_at_work()
    since = time.time()
    time.sleep(seconds)
    until = time.time()
    return g.stop().work(since, until) / (until - since)


class Moment:
    def __init__(self, bed, names):
        self.look, self.time = shares.Look(bed.list(), names), time.time()


def percent(x):
    return f'{100 * x:.1f} %'


def judge(bed, span, weights, device, longest):
    """(outcome, why). `device`: device time of each by its own clock, or None where there is none to go by; `longest`: a piece, in seconds."""
    verdict, why = span.judge(weights, TOLERANCE)
    if verdict == shares.FAIR and device:
        entitled = {n: sum(device.values()) * w / sum(weights.values()) for n, w in weights.items()}
        least = min(weights, key=lambda n: device[n] - entitled[n])
        short = entitled[least] - device[least]
        if short > TOLERANCE * min(entitled.values()) + longest:
            verdict, why = shares.UNFAIR, f"by the device's own clock {least} got {short:.2f} s less than its share, by the scheduler's it did not"
    if verdict == shares.FAIR:
        return 'ok', ''
    if not bed.gpu and span.machine_busy():
        return 'note', f'; not judged, other processes used {span.foreign:.1f} processors: {why}'
    return ('failed', f': {why}') if verdict == shares.UNFAIR else ('note', f': not clear: {why}')


def span_report(bed, report, what, guests, weights, before, after, pieces, alone):
    names = [g.name for g in guests]
    span = shares.Span(before.look, after.look)
    since, until = before.time, after.time
    used = {n: p.used(since, until) for n, p in zip(names, pieces)}
    work = [p.work(since, until) / (until - since) / alone[g.ms, g.is_gl] for g, p in zip(guests, pieces)]
    # llvmpipe's time stamps are those of the last tile, and softcuda's kernels stand still in between.
    device = used if bed.gpu else None
    outcome, why = judge(bed, span, dict(zip(names, weights)), device, max(g.ms for g in guests) / 1e3)
    first, second = names
    waits = [busy.percentile(p.latencies(since, until), 0.99) for p in pieces]
    share = span.used[second] / max(span.total(), 1e-9)
    by_device = used[second] / max(sum(used.values()), 1e-9)
    overlap = pieces[0].overlap(pieces[1], since, until)
    report.result(f'{what}, {weights[0] // 100}:{weights[1] // 100}', outcome,
                  f'the second is due {percent(weights[1] / sum(weights))}, has {percent(share)} by the scheduler, '
                  f'{percent(by_device) if device else "no clock tells"} by the device, {percent(work[1] / max(sum(work), 1e-9))} of the work'
                  f'{why}', work_of_one_alone=round(sum(work), 3), both_at_once_s=round(overlap, 3),
                  p99_first_ms=round(1e3 * waits[0], 1), p99_second_ms=round(1e3 * waits[1], 1))
    report.log(f'{what}, {weights}: {span.seconds:.2f} s; scheduler {span.used}, device {used}, turns {span.turn}, nothing to do {span.lack}, '
               f'work of one alone {work}; other processes used {span.foreign:.2f} processors')


def pair(bed, report, what, kinds, alone, seconds, steps=WEIGHTS):
    """kinds: (Calibrated, ms) of each. Whether both began and ended; if not, that is told."""
    names = 'first', 'second'
    for n in names:
        busy.attach(bed, n, 'weight=100')
    guests = [busy.Guest(bed, c, n, ms) for n, (c, ms) in zip(names, kinds)]
    try:
        at_work(bed, report, what, guests, alone, seconds, steps)
        return True
    except e2e.BedError as e:
        report.result(what, 'failed', str(e)[:300])
        return False
    finally:
        for g in guests:
            bed.stop(g.process, 0)
        busy.detach(bed, *names)


def at_work(bed, report, what, guests, alone, seconds, steps):
    """The weights change while they run."""
    names, patience = [g.name for g in guests], PATIENCE if bed.gpu else busy.STARTS
    for g in guests:
        g.wait_at_work(patience)
    moments = []
    for weights in steps:
        for n, w in zip(names, weights):
            busy.change(bed, n, f'weight={w}')
        time.sleep(0.3)
        before = Moment(bed, names)
        time.sleep(seconds)
        moments.append((weights, before, Moment(bed, names)))
    pieces = [g.stop(patience) for g in guests]
    for weights, before, after in moments:
        span_report(bed, report, what, guests, weights, before, after, pieces, alone)


def room(bed, report, what, seconds):
    """Whether a pair ends before the step does: its starts, both weights, its end."""
    if bed.left() > 2 * seconds + 6:
        return True
    report.result(what, 'note', 'not run: no time left')
    return False
