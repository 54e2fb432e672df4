#!/usr/bin/env python3
"""make xen-check always comes to a verdict: its limits, and what it does when this machine is busy (tests/xen/run.py, lib/runner.py), without QEMU."""
import os
import subprocess
import sys
import time
import types

ROOT = os.environ.get('XG_ROOT', '.')
sys.path[:0] = [os.path.join(ROOT, 'tests/xen'), os.path.join(ROOT, 'tests/xen/lib'), os.path.join(ROOT, 'tests/lib')]
import e2e
import run
import speed

sys.modules['guest'] = types.ModuleType('guest')   # talks to a console
with open(os.path.join(ROOT, 'tests/xen/lib/runner.py')) as f:
    source = f.read()
runner = types.ModuleType('runner')
runner.__file__ = os.path.join(ROOT, 'tests/xen/lib/runner.py')
exec(compile(source.removesuffix('main()\n'), 'runner.py', 'exec'), runner.__dict__)  # all but its last line


def must(condition, text):
    if not condition:
        e2e.fail(text)


def limits():
    """(stage, part of the processor, how slow, seconds in this stage and in all, what is said)"""
    for stage, had, slow, quiet, total, expected in (
            ('dom0', 1, 1, 100, 100, ''),
            ('dom0', 1, 1, 130, 130, 'Dom0 is not up after 120 s, although this machine was free'),
            ('dom0', 0.5, 1, 230, 230, ''),
            ('dom0', 0.1, 1, 370, 370, 'Dom0 is not up after 360 s. QEMU had 10 % of the processor time it wanted: this machine is too busy'),
            ('guests', 1, 2.4, 470, 500, ''),
            ('guests', 0.1, 2.4, 510, 700, 'the guests are not up after 500 s. QEMU had 10 %'),
            ('cases', 1, 1, 350, 700, ''),
            ('cases', 1, 1, 370, 700, 'nothing has happened for 360 s'),
            ('cases', 0.2, 5, 800, 1100, 'the limit of 1080 s for the whole run is reached. QEMU had 20 %'),
            ('cases', 1, 1, 1, 1100, 'the limit of 1080 s for the whole run is reached, although')):
        run.START = time.monotonic() - total
        report = run.Report(1, slow)
        report.stage = stage
        said = run.too_long(report, had, run.LIMIT, time.monotonic() - quiet, 1)
        must(said.startswith(expected) and bool(said) == bool(expected), f'{stage}, {had}, {quiet} s: {said!r}, should be {expected!r}')


def repeats():
    """A case that failed is run once more only where others held the machine up; its verdict then says so."""
    for failures, readings, runs, passed, word in (
            (0, [(0, 0), (10, 90)], 1, True, None),
            (1, [(0, 0), (10, 0)], 1, False, 'broken'),                                        # the machine was free
            (1, [(0, 0), (10, 90), (10, 90), (20, 180)], 2, True, None),
            (2, [(0, 0), (10, 90), (10, 90), (20, 180)], 2, False, 'cannot be judged: QEMU had 10 %'),
            (2, [(0, 0), (10, 90), (10, 90), (110, 91)], 2, False, 'broken')):                 # ... the second time
        told, done = [], []
        left, published = [failures], iter(readings)

        def run_case(bed, name, left=left, done=done):
            done.append(name)
            left[0] -= 1
            return (left[0] < 0, 1.0, '' if left[0] < 0 else 'broken')
        runner.run_case = run_case
        runner.tell = lambda told=told, **what: told.append(what)
        runner.speed = types.SimpleNamespace(had=speed.had, words=speed.words, BUSY=speed.BUSY,
                                             published=lambda _, published=published: next(published))
        bed = types.SimpleNamespace(notes=[])
        got, _, text = runner.judge_case(bed, 'x')
        must(len(done) == runs and got == passed, f'{failures} failures: run {len(done)} times, passed {got}')
        must(text == '' if word is None else text.startswith(word), f'{failures} failures: {text!r}, should begin with {word!r}')
        must(runs == 1 or 'while this machine was busy' in ' '.join(bed.notes), f'the verdict does not say why it is the second: {bed.notes}')


def meter():
    """Two processes that both want the only processor they may use have half of it each."""
    spin = [sys.executable, '-c', 'import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\nwhile True: pass']
    both = [subprocess.Popen(spin), subprocess.Popen(spin)]
    try:
        m = speed.Meter(both[0].pid)
        time.sleep(1)
        before = m.read()
        time.sleep(2)
        part = speed.had(before, m.read())
        must(0 < part < 0.8, f'had {part} of a processor that two want')
        m.publish(os.environ['TMPDIR'])
        must(speed.published(os.environ['TMPDIR'])[0] >= before[0], 'what was published is not read')
    finally:
        for p in both:
            p.kill()
            p.wait()
    must(speed.had((0, 0), speed.published('/nowhere')) == 1, 'nothing measured is nothing waited for')


limits()
repeats()
meter()
