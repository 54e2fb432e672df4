#!/usr/bin/env python3
"""make demo: two guests share one device at the same time. `gl` draws with an unmodified OpenGL program, `cuda` computes with unmodified
CUDA programs; both are compared with direct runs on the same device. Exit status 0 only if all of it holds."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e  # noqa: E402
import shares  # noqa: E402

SCENE = 'shading:shading=phong'
PICTURE = ['glmark2', '-b', f'{SCENE}:duration=1000']
PICTURE_AT = 200  # questions to the clock, about as many frames
LOAD = 'refract'  # a scene whose frames are heavy enough that the device is what everything waits for
TOGETHER = 10     # seconds over which device time is compared, and how much longer each time that this does not settle it
LONGEST = 40
JOBS = ['vectoradd', 'matmul', 'blackscholes', 'nbody', 'histogram', 'reduction']
FAIR = 0.05       # how much of it may lie between two equal guests
IDLE = 0.5        # of the time: a guest that had less to do than this shows nothing

began = time.monotonic()


def say(text):
    print(f'[{time.monotonic() - began:5.1f} s] {text}', flush=True)


class Report:
    """What is shown at the end; each line holds or does not."""

    def __init__(self):
        self.lines, self.good = [], True

    def add(self, what, text, holds=True):
        self.good &= holds
        self.lines.append(f"  {'ok ' if holds else 'NOT OK':3} {what:16} {text}")

    def show(self):
        print('\n' + '\n'.join(self.lines))
        print('\nall of it holds' if self.good else '\nnot all of it holds', flush=True)


class CudaBatch(threading.Thread):
    """Runs the jobs as guest `cuda`, round after round until told to stop, and compares what each prints with the direct run."""

    def __init__(self, bed, jobs, expected):
        super().__init__(daemon=True)
        self.bed, self.jobs, self.expected = bed, jobs, expected
        self.enough = threading.Event()
        self.done, self.wrong = 0, []

    def run(self):
        first = True
        while first or not self.enough.is_set():
            for name, command in self.jobs:
                if not first and self.enough.is_set():
                    break
                r = self.bed.guest('cuda', command)
                if r.returncode != 0:
                    self.wrong.append(f'{name}: status {r.returncode}: {(r.stderr or r.stdout).strip()[-200:]}')
                elif r.stdout != self.expected[name]:
                    self.wrong.append(f'{name}: other numbers')
                self.done += 1
            first = False
            if self.wrong:
                break


def renderer(bed, guest):
    command = ['glxinfo', '-B']
    r = bed.guest('gl', command) if guest else bed.run(command)
    m = re.search(r'OpenGL renderer string: (.*)', r.stdout)
    if not m:
        raise e2e.BedError(f'glxinfo {"as a guest " if guest else ""}names no renderer: {(r.stderr or r.stdout).strip()[-300:]}')
    return m[1]


def same_results(bed, jobs, expected, out, report):
    """Both guests at work, and what each made is compared with its direct run."""
    batch = CudaBatch(bed, jobs, expected)
    batch.start()
    remoted = os.path.join(out, 'demo.png')
    bed.frame(remoted, PICTURE, PICTURE_AT, guest='gl')
    frames = bed.guest('gl', ['glmark2', '-b', f'{SCENE}:duration=5'])
    batch.enough.set()
    batch.join(120)
    equal, how = bed.images_equal(os.path.join(out, 'direct.png'), remoted)
    report.add('picture', f'of guest gl, and of a direct run: {how}', equal)
    m = re.search(r'FPS: (\d+)', frames.stdout)
    report.add('frames', f'{m[1]} per second, glmark2 {SCENE}' if m else f'glmark2 says no frame rate: {(frames.stdout + frames.stderr)[-200:]}', bool(m))
    report.add('jobs', f'{batch.done} done by guest cuda meanwhile', batch.done >= len(jobs) and not batch.is_alive())
    report.add('numbers', 'equal to those of direct runs' if not batch.wrong else '; '.join(batch.wrong[:3]), not batch.wrong)


def share(bed, load, report):
    """Both guests always have work: heavy frames, kernels without a pause. What they got is compared until it is clear."""
    guests = ('gl', 'cuda')
    seconds = LONGEST + 15
    glmark2 = bed.start(bed.as_guest('gl', ['glmark2', '-b', f'{LOAD}:duration={seconds}']), stdout=subprocess.DEVNULL)
    cuda = bed.start(bed.as_guest('cuda', [*load, str(seconds)]))
    time.sleep(3)
    before, verdict = shares.Look(bed.list(), guests), shares.UNCLEAR
    while verdict == shares.UNCLEAR:
        time.sleep(TOGETHER)
        got = shares.Span(before, shares.Look(bed.list(), guests))
        verdict, why = got.judge(dict.fromkeys(guests, 1), FAIR)
        if got.seconds >= LONGEST:
            break
        if verdict == shares.UNCLEAR:
            say(f'{why}: not clear yet')
    alive = glmark2.poll() is None and cuda.poll() is None
    for p in (glmark2, cuda):
        bed.stop(p)

    total = max(1e-9, got.total())
    had_work = {g: 1 - got.lack[g] / got.seconds for g in guests}
    for g in guests:
        report.add(f'device, {g}', f'{got.used[g]:.2f} s of {got.seconds:.1f} s: {100 * got.used[g] / total:.1f} % of what was used; '
                   f'it had work {100 * had_work[g]:.0f} % of the time', got.used[g] > 0)
    if got.machine_busy():
        report.add('machine', f'busy with other things: they used {got.foreign:.1f} of {os.cpu_count()} processors')
    report.add('fairness', *fairness(alive, verdict, why, got, min(had_work.values())))


def fairness(alive, verdict, why, got, had_work):
    """(text, whether it holds)"""
    used = list(got.used.values())
    text = f'device times differ by {100 * abs(used[0] - used[1]) / max(1e-9, sum(used)):.1f} % (at most {100 * FAIR:.0f} %)'
    if not alive:
        return f'{text}; but a program ended too early', False
    if had_work < IDLE:
        return f'not to be told: a guest had work only {100 * had_work:.0f} % of the time. ' + \
            ('Try again when the machine is less busy' if got.machine_busy() else 'The machine was idle enough for more'), False
    if verdict == shares.UNCLEAR:
        return f'{text}; no fault of the sharing: {why}' if got.machine_busy() else f'{text}: {why}', got.machine_busy()
    return f'{text}: {why}' if why else text, verdict == shares.FAIR


def demo(bed, out):
    report = Report()
    program = f'{bed.build}/tests/programs/cuda_job'
    jobs = [(name, [program, name]) for name in JOBS]

    bed.xvfb()
    say('direct runs, to compare with')
    bed.frame(os.path.join(out, 'direct.png'), PICTURE, PICTURE_AT)
    expected = {}
    for name, command in jobs:
        r = bed.direct(command)
        if r.returncode != 0 or not r.stdout:
            raise e2e.BedError(f'{name}, directly: status {r.returncode}: {(r.stderr or r.stdout).strip()[-300:]}')
        expected[name] = r.stdout

    say('xengpud --local')
    bed.daemon()
    report.add('gl, served by', renderer(bed, True))
    cuda = [p['cuda']['name'] for p in bed.list()['pgpus'] if p['cuda']]
    report.add('cuda, served by', ', '.join(cuda) or 'nothing', bool(cuda))
    say(f'two guests at once: gl draws ({PICTURE[0]}), cuda computes ({", ".join(JOBS)})')
    same_results(bed, jobs, expected, out, report)
    say(f'both as fast as they can, for {TOGETHER} s or until it is clear what each gets, at most {LONGEST} s')
    share(bed, [program, 'nbody'], report)
    listed = bed.list()
    pgpu = {g['name']: g['pgpu'] for g in listed['guests']}
    report.add('one device', f"both guests are on {pgpu['gl']}", pgpu['gl'] == pgpu['cuda'])
    report.add('PNG', os.path.join(out, 'demo.png'))
    report.show()
    return report.good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', default='build')
    parser.add_argument('--output', help='where the pictures go (BUILD/demo)')
    args = parser.parse_args()
    out = os.path.abspath(args.output or os.path.join(args.build, 'demo'))
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    try:
        with e2e.Bed(args.build) as bed:
            try:
                return 0 if demo(bed, out) else 1
            except (e2e.BedError, subprocess.TimeoutExpired, OSError) as e:
                print(f'make demo: {e}', file=sys.stderr)
                if log := bed.log_text():
                    print('xengpud said:\n' + log[-3000:], file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        print('make demo: stopped', file=sys.stderr)
        return 130


sys.exit(main())
