"""A program run on the device itself and as a guest, and what the two have in common."""
import concurrent.futures
import json
import os
import sys
import time

import e2e
from report import ABSENT, FAILED, NOTE, OK

sys.path.insert(0, os.path.join(e2e.ROOT, 'bench'))
import table  # noqa: E402
import xengpu_bench  # noqa: E402


def tell_row(report, row):
    """As a row of `make bench`: medians, the median of the pairs' ratios, their range."""
    report.log(json.dumps(row.json()))
    if row.error:
        report.result(row.name, FAILED, row.error)
        return
    figures = {side: f'{table.number(table.middle(values))} {row.unit}' for side, values in (('direct', row.direct), ('remoted', row.remoted)) if values}
    ratios = row.ratios()
    if ratios:
        figures['ratio'] = round(xengpu_bench.median(ratios), 3)
        if len(ratios) > 1:
            figures['pairs'] = f'{min(ratios):.3f} .. {max(ratios):.3f}'
    report.result(row.name, NOTE, **figures)


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ''


def what_went_wrong(text):
    """Of what a program wrote: the first line that speaks of an error, as Xlib's does, else the last."""
    return next((line.strip() for line in text.splitlines() if 'rror' in line), last_line(text))


def hung(run):
    return 'no end after' in run.stderr  # as Bed.run says it


def said(run):
    """A run that went wrong, in a line."""
    how = f'signal {-run.returncode}' if run.returncode < 0 else f'status {run.returncode}'
    return f'{how}: {what_went_wrong(run.stderr) or what_went_wrong(run.stdout) or "says nothing"}'


def first_difference(a, b):
    """Of two lists of lines; '' if they are equal."""
    for i in range(max(len(a), len(b))):
        x, y = (side[i] if i < len(side) else '(nothing)' for side in (a, b))
        if x != y:
            return f'line {i + 1}: {x[:120]!r} directly, {y[:120]!r} as a guest'
    return ''


def working(bed):
    """Whether any worker of the daemon's is there."""
    return any(c['worker'] for g in bed.list()['guests'] for c in g['channels'])


def wait_alone(bed, seconds=5):
    """Until the device is nobody's: the workers of guests whose programs have ended are gone too."""
    if bed.daemon_process:
        e2e.wait_for(lambda: not working(bed), seconds, 'a worker does not end though its program has')


def around(a, b, lines=12):
    """What two lists of lines have from a little before their first difference on."""
    at = next((i for i in range(max(len(a), len(b))) if a[i:i + 1] != b[i:i + 1]), 0)
    return at, a[max(0, at - lines):at + 2 * lines], b[max(0, at - lines):at + 2 * lines]


class Pairs:
    """`until`: when the step has to be through. The short form leaves out what it finds no time for; the whole one fails there.
    `most`: seconds for one program. `alone`: a program has the device for itself, whatever it is compared with."""
    LEAST = 5   # seconds; with less left, no program is started
    HANGS = 2   # then the device is taken as lost to this step

    def __init__(self, bed, report, until, quick, guest='one', most=60, alone=False):
        self.bed, self.report, self.until, self.quick, self.guest, self.most, self.alone = bed, report, until, quick, guest, most, alone
        self.hangs = 0

    def seconds(self):
        return max(2, min(self.most, self.until + 2 - time.monotonic()))

    def wait_alone(self):
        try:
            wait_alone(self.bed)
        except e2e.BedError as e:
            self.hangs += 1
            self.report.log(str(e))

    def lost(self):
        return self.hangs >= self.HANGS

    def side(self, remoted, command, env=None):
        if self.alone:
            self.wait_alone()
        r = self.bed.guest(self.guest, command, env, self.seconds()) if remoted else self.bed.direct(command, env, self.seconds())
        self.hangs += hung(r)
        return r

    def both(self, command, env=None, together=True, remoted=None):
        """(direct, remoted), at the same time if nothing that one does can disturb the other. `remoted`: the guest's command, if another."""
        remoted = remoted or command
        if self.alone or not together:
            return self.side(False, command, env), self.side(True, remoted, env)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            guest = pool.submit(self.side, True, remoted, env)
            return self.side(False, command, env), guest.result()

    def details(self, name, direct, remoted):
        for side, r in (('directly', direct), ('as a guest', remoted)):
            self.report.log(f'{name} {side}: status {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-2000:]}')
        at, a, b = around(direct.stdout.splitlines(), remoted.stdout.splitlines())
        if a or b:
            both = '\n'.join(['directly:', *a, 'as a guest:', *b])
            self.report.log(f'{name}, about line {at + 1}, {both}')

    def left_out(self, name, command):
        """Whether it cannot be run, which is told."""
        if not os.path.exists(command[0]):
            self.report.result(name, ABSENT, f'{os.path.basename(command[0])} is not in the bundle')
        elif self.lost():
            self.report.result(name, FAILED, f'not run: {self.hangs} programs before it did not end')
        elif time.monotonic() + self.LEAST > self.until:
            self.report.result(name, NOTE if self.quick else FAILED, 'not run: the step had no time left')
        else:
            return False
        return True

    def compare(self, name, command, env=None, together=True, wild=False):
        """One result: the same status and output both ways, or how they differ. `wild`: it may be more than the driver itself can stand."""
        if self.left_out(name, command):
            return
        direct, remoted = self.both(command, env, together)
        different = first_difference(direct.stdout.splitlines(), remoted.stdout.splitlines())
        n = len(direct.stdout.splitlines())
        if direct.returncode or remoted.returncode or different:
            self.details(name, direct, remoted)
        if wild and direct.returncode < 0 and not hung(direct):
            self.report.result(name, NOTE, f'the driver itself dies directly: {said(direct)}; as a guest {said(remoted) if remoted.returncode else "the program ends well"}')
        elif direct.returncode and remoted.returncode:
            same = direct.returncode == remoted.returncode and not different and not hung(direct)
            self.report.result(name, NOTE if same else FAILED, f'directly {said(direct)}; as a guest ' + ('the same' if same else said(remoted)))
        elif direct.returncode or remoted.returncode:
            self.report.result(name, FAILED, f'only directly: {said(direct)}' if direct.returncode else f'only as a guest: {said(remoted)}')
        elif different:
            self.report.result(name, FAILED, f'other output as a guest: {different}')
        else:
            self.report.result(name, OK, f'same output, {n} line{"s" * (n != 1)}')

    def remoted_only(self, name, command, why, env=None):
        if self.left_out(name, command):
            return
        r = self.side(True, command, env)
        if r.returncode:
            self.report.log(f'{name} as a guest: status {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-2000:]}')
        self.report.result(name, FAILED if r.returncode else OK, f'as a guest only, as {why}' + (f': {said(r)}' if r.returncode else ''))
