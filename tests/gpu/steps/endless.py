"""A kernel that runs for 20 s in one guest, and what the other gets: without xengpu (the device's own time slicing), with it, and when stuck-seconds ends it."""
import re
import time

import busy
import e2e

LIMIT = 80
QUICK = 40

NEIGHBOUR = 1.0  # ms
UNIT = 50.0      # ms; the long kernel is so many times as much work
NEVER = 300      # stuck-seconds
SLACK = 2.0      # seconds that ending a worker, and the other's next piece, may take


def configure(bed, seconds):
    """stuck-seconds is live: a daemon that runs reads it again."""
    if not bed.daemon_process:
        bed.endless_config = bed.config(f'[daemon]\nstuck-seconds = {seconds}\n')
        bed.daemon(['--config', bed.endless_config])
        return
    with open(bed.endless_config) as f:
        text = f.read()
    with open(bed.endless_config, 'w') as f:
        f.write(re.sub(r'stuck-seconds = \d+', f'stuck-seconds = {seconds}', text))
    r = bed.xengpu('reload', '--socket-dir', bed.sockets, timeout=20)
    if r.returncode:
        raise e2e.BedError(f'xengpu reload: {r.stderr.strip()}')


def beside(bed, report, cuda, seconds, direct):
    """(the neighbour's Pieces, the long one's Guest, from when, until when)"""
    neighbour = busy.Guest(bed, cuda, 'neighbour', NEIGHBOUR, depth=1, direct=direct)
    neighbour.wait_at_work()
    time.sleep(0.5)
    since = time.time()
    long = busy.Guest(bed, cuda, 'endless', seconds * 1e3, seconds=0, depth=1, direct=direct)
    long.wait(seconds * 3 + busy.STARTS)
    until = time.time()
    time.sleep(0.5)
    return neighbour.stop(60), long, since, until


def figures(pieces, since, until):
    lat = pieces.latencies(since, until)
    return {'pieces_per_second': pieces.completed(since, until) / (until - since), 'p50_s': busy.percentile(lat, 0.5),
            'p99_s': busy.percentile(lat, 0.99), 'longest_s': max(lat, default=0.0), 'share_of_device': pieces.used(since, until) / (until - since)}


def text_of(f):
    return f'the other gets {100 * f["share_of_device"]:.0f} % of the device, {f["pieces_per_second"]:.0f} pieces of {NEIGHBOUR} ms a second; ' \
           f'p50 {f["p50_s"] * 1e3:.1f}, p99 {f["p99_s"] * 1e3:.1f}, longest {f["longest_s"] * 1e3:.0f} ms'


def log_lines(bed, seen):
    return [line for line in bed.log_text()[seen:].splitlines() if 'endless' in line]


def ends_by_itself(bed, report, cuda, seconds, direct):
    """Nobody stops it: the other waits for it as long as the device cannot do both, and no longer."""
    if not direct:
        configure(bed, NEVER)
    pieces, long, since, until = beside(bed, report, cuda, seconds, direct)
    f = figures(pieces, since, until)
    ended = long.process.returncode == 0
    good = ended and (direct or f['longest_s'] < until - since + SLACK)
    what = f'a kernel of {seconds} s, {"without xengpu" if direct else "not stopped"}'
    report.result(what, 'failed' if not good else 'note' if direct else 'ok',
                  f'it ended after {until - since:.1f} s; {text_of(f)}' if ended else f'status {long.process.returncode}: {long.text().strip()}',
                  seconds=round(until - since, 2))
    report.log(f'{what}: {f}')


def is_stopped(bed, report, cuda, seconds, stuck):
    configure(bed, stuck)
    seen = len(bed.log_text())
    pieces, long, since, until = beside(bed, report, cuda, seconds, False)
    f, lost, log = figures(pieces, since, until), long.lost(), log_lines(bed, seen)
    said = [line for line in log if 'does not give the device back' in line]
    limit = stuck + SLACK
    good = long.process.returncode == 3 and lost and said and f['longest_s'] < limit
    report.result(f'a kernel of {seconds} s, stuck-seconds = {stuck}', 'ok' if good else 'failed',
                  f'{lost[0] if lost else "not stopped"} after {until - since:.1f} s (status {long.process.returncode}); {text_of(f)}',
                  seconds=round(until - since, 2))
    report.log('\n'.join(log + long.text().splitlines()[-3:]) + f'\n{f}')
    again = busy.Guest(bed, cuda, 'endless', NEIGHBOUR, seconds=0)
    status = again.wait(busy.STARTS)
    report.result('a new program of the guest that was stopped', 'ok' if status == 0 else 'failed',
                  'works' if status == 0 else f'status {status}: {again.text().strip()}')


def is_interrupted(bed, report, cuda, seconds, stuck):
    """softcuda stops inside a kernel where another guest's turn has come: nobody is ended, and the other waits for milliseconds."""
    configure(bed, stuck)
    pieces, long, since, until = beside(bed, report, cuda, seconds, False)
    f = figures(pieces, since, until)
    good = long.process.returncode == 0 and f['longest_s'] < 1 and f['share_of_device'] > 0.2
    report.result(f'a kernel of {seconds} s, interrupted', 'ok' if good else 'failed',
                  f'it ended after {until - since:.1f} s (status {long.process.returncode}); {text_of(f)}', seconds=round(until - since, 2))
    report.log(f'{f}')


def run(bed, report, quick):
    try:
        cuda = busy.Calibrated(bed, 'cuda_busy', NEIGHBOUR, UNIT)
    except busy.Absent as e:
        report.result('a kernel without end', 'absent', str(e))
        return
    bed.env['SOFTCUDA_TIMEOUT_MS'] = '0'  # only the scheduler ends a kernel
    configure(bed, NEVER)
    for name in 'neighbour', 'endless':
        busy.attach(bed, name)
    if not bed.gpu:
        is_interrupted(bed, report, cuda, 3 if quick else 6, 1)
        return
    if quick:
        is_stopped(bed, report, cuda, 6, 1)
        return
    ends_by_itself(bed, report, cuda, 4, True)
    ends_by_itself(bed, report, cuda, 20, False)
    is_stopped(bed, report, cuda, 20, 4)
