"""kill -9 of one worker in the middle of its work: what its program is told and when, what the neighbour notices, and whether the memory is back."""
import os
import signal
import time

import busy
import e2e
import shares

TOLD = 1.0  # seconds within which a program learns that its device is lost
NEIGHBOUR, VICTIM = 5.0, 50.0  # ms
AROUND, AROUND_QUICK = 1.5, 0.7  # seconds before and after that are compared
MIB = 64


def gpu_memory(bed):
    """MiB in use on the first GPU as the driver says, or None."""
    if not bed.gpu:
        return None
    r = bed.run(['nvidia-smi', '--id=0', '--query-gpu=memory.used', '--format=csv,noheader,nounits'], timeout=20)
    return int(r.stdout) if r.returncode == 0 and r.stdout.strip().isdigit() else None


def neighbour_report(bed, report, what, pieces, killed, until, around, foreign):
    """foreign: processors that other processes used meanwhile."""
    settled = killed + 0.2
    before = pieces.completed(killed - around, killed) / around
    after = pieces.completed(settled, until) / (until - settled)
    usual, gap = pieces.longest_gap(killed - around, killed), pieces.longest_gap(killed - 0.1, killed + 1)
    p99 = busy.percentile(pieces.latencies(killed - around, killed), 0.99)
    # Alone it has the whole device; where that is a processor, it depends on what else the machine has to do.
    good, judged = after > before and gap < usual + TOLD, bed.gpu or foreign < shares.FOREIGN
    report.result(f'{what}: the neighbour', 'ok' if good else 'failed' if judged else 'note',
                  f'{before:.0f} pieces of {NEIGHBOUR} ms a second before, {after:.0f} after; longest gap {usual * 1e3:.0f} ms before, '
                  f'{gap * 1e3:.0f} ms around it; p99 before {p99 * 1e3:.0f} ms'
                  + ('' if good or judged else f'; not judged, other processes used {foreign:.1f} processors'))


def memory_report(bed, report, what, before, held):
    def back():
        now['listed'] = busy.listed(bed, 'victim')['memory_bytes'] >> 20
        now['gpu'] = gpu_memory(bed)
        return now['listed'] == 0 and (now['gpu'] is None or now['gpu'] <= before['gpu'] + 16)
    now, start = {}, time.monotonic()
    try:
        e2e.wait_for(back, 5, 'not back')
        outcome = 'ok'
    except e2e.BedError:
        outcome = 'failed'
    text = f'by xengpu: {held["listed"]} MiB held, {now["listed"]} MiB {time.monotonic() - start:.1f} s later'
    if now['gpu'] is not None:
        text += f'; by the driver: {before["gpu"]} MiB before it came, {held["gpu"]} with it, {now["gpu"]} afterwards'
    report.result(f'{what}: its memory', outcome, text)


def kill(bed, report, what, victim_of, neighbour_of, ms, around):
    """victim_of: Calibrated of the program whose worker is killed."""
    neighbour = busy.Guest(bed, neighbour_of, 'neighbour', NEIGHBOUR)
    neighbour.wait_at_work()
    before = {'listed': 0, 'gpu': gpu_memory(bed)}
    victim = busy.Guest(bed, victim_of, 'victim', ms, mib=MIB)
    victim.wait_at_work()
    time.sleep(around + 0.2)
    held = {'listed': busy.listed(bed, 'victim')['memory_bytes'] >> 20, 'gpu': gpu_memory(bed)}
    worker = busy.workers(bed, 'victim')[0]
    killed = time.time()
    os.kill(worker, signal.SIGKILL)
    status = victim.wait(10)
    since, cpu = time.time(), shares.cpu_seconds()  # only now: what has died is nobody's
    lost = victim.lost()
    took = lost[1] - killed if lost else None
    said = victim.text().splitlines()
    report.result(f'{what}: its program', 'ok' if status == 3 and lost and took < TOLD else 'failed',
                  f'{lost[0]} after {took:.3f} s' if lost else f'status {status}, no error: {said[-1:]}')
    report.log('\n'.join(said[-4:]))
    time.sleep(around)
    memory_report(bed, report, what, before, held)
    until = time.time()
    machine, own = (b - a for a, b in zip(cpu, shares.cpu_seconds()))
    neighbour_report(bed, report, what, neighbour.stop(), killed, until, around, max(0, machine - own) / (until - since))
    again = busy.Guest(bed, victim_of, 'victim', ms, seconds=0)
    status = again.wait(busy.STARTS)
    report.result(f'{what}: a new program of its guest', 'ok' if status == 0 else 'failed', 'works' if status == 0 else
                  f'status {status}: {again.text().strip()}')


def around(quick):
    return AROUND_QUICK if quick else AROUND


def guests_attach(bed):
    if not bed.daemon_process:
        bed.daemon()
    for name in 'neighbour', 'victim':
        busy.attach(bed, name)
