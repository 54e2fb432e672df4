"""Two OpenGL programs at the same time: how many frames a second each draws beside the other, and what the kernel logs meanwhile."""
import time

import busy
import e2e
import kernel_log
import pair
from report import ABSENT, NOTE

LENGTH = 5.0        # ms, a frame
SECONDS = 3
STARTS = 6          # seconds until both draw
WORST = 14          # seconds that a pair takes which does not end
# The last is what a driver may not survive, so nothing comes after it.
PAIRS = (('two programs of one guest', (('one', False), ('one', False))),
         ('two guests', (('one', False), ('two', False))),
         ('two programs without xengpu', (('direct-1', True), ('direct-2', True))))


def draw(bed, calibrated, who, seconds):
    """[frames per second, or why there are none], of each of these (name, without xengpu) while all draw."""
    pair.wait_alone(bed)
    guests = [busy.Guest(bed, calibrated, name, LENGTH, direct=direct) for name, direct in who]
    try:
        e2e.wait_for(lambda: all([g.at_work() for g in guests]), STARTS, 'not both begin to draw')
        since = time.time()
        time.sleep(seconds)
        until = time.time()
        return [rate(g, since, until) for g in guests]
    except e2e.BedError as e:
        return [str(e)] * len(guests)
    finally:
        for g in guests:
            bed.stop(g.process, 0)


def rate(guest, since, until):
    try:
        return guest.stop(2).completed(since, until) / (until - since)
    except e2e.BedError as e:
        return str(e)


def tell(bed, report, until):
    try:
        calibrated = busy.Calibrated(bed, 'gl_busy', LENGTH)
    except busy.Absent as e:
        report.result('at once', ABSENT, str(e))
        return
    kernel = kernel_log.KernelLog()
    alone = {direct: draw(bed, calibrated, ((f'alone-{direct}', direct),), 1)[0] for direct in (False, True)}
    for what, who in PAIRS:
        if time.monotonic() + WORST > until:
            report.result(f'at once: {what}', NOTE, 'not run: no time left')
            continue
        kernel.new()
        rates = draw(bed, calibrated, who, SECONDS)
        xids = kernel.new()
        report.log('\n'.join(xids or []))
        report.result(f'at once: {what}', NOTE, '; '.join(dict.fromkeys(r for r in rates if isinstance(r, str))),
                      frames_per_s=' and '.join(f'{r:.0f}' if isinstance(r, float) else 'none' for r in rates),
                      alone=f'{alone[who[0][1]]:.0f}' if isinstance(alone[who[0][1]], float) else alone[who[0][1]],
                      xids='the log cannot be read' if xids is None else len(xids))
