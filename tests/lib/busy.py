"""Guests that keep a device busy in pieces of known length (tests/programs/cuda_busy.c, gl_busy.c), and what became of each piece.

    cuda = Calibrated(bed, 'cuda_busy', 5, 50)         how much work lasts 5 ms and 50 ms when nobody else uses the device
    g = Guest(bed, cuda, 'a', 5)                       starts; Guest.direct(...) does the same without xengpu
    pieces = g.stop()                                  when each was sent, complete, and on the device: seconds of the day
    pieces.used(since, until)                          device time by the device's own clock
"""
import array
import os
import re
import signal
import subprocess
import time

import e2e

STARTS = 30  # seconds: a first context on a GPU takes some


class Absent(Exception):
    """What is needed is not on this machine."""


class Calibrated:
    def __init__(self, bed, program, *lengths):
        self.program = bed.program(program)
        self.is_gl = program == 'gl_busy'
        r = bed.direct([self.program, 'calibrate', *map(str, lengths)], timeout=30)
        if r.returncode:
            raise Absent(f'{program} without xengpu: status {r.returncode}: {r.stderr.strip()}')
        self.offset = int(re.search(r'^offset (-?\d+)', r.stdout, re.M)[1])
        self.rounds = {float(ms): int(n) for ms, n in re.findall(r'^rounds (\S+) (\d+)', r.stdout, re.M)}

    def command(self, ms, seconds, depth, mib, path):
        # A length that was not asked for is a multiple of one that was.
        rounds = self.rounds.get(ms) or int(max(self.rounds.values()) * ms / max(self.rounds))
        more = [path] if self.is_gl else [str(depth), str(mib), path]
        return [self.program, 'run', str(rounds), str(seconds), *more]


class Guest:
    """A program at work. `ms`: the length of a piece; `depth`: how many are under way at a time."""

    def __init__(self, bed, calibrated, name, ms, seconds=600, depth=3, mib=0, direct=False):
        self.bed, self.name, self.ms, self.offset, self.is_gl = bed, name, ms, calibrated.offset, calibrated.is_gl
        base = os.path.join(bed.tmp, f'busy-{name}-{time.monotonic_ns()}')
        self.path, self.out, self.err = f'{base}.pieces', f'{base}.out', f'{base}.err'
        command = calibrated.command(ms, seconds, depth, mib, self.path)
        env = bed.direct_env(command[0]) if direct else None
        with open(self.out, 'w') as out, open(self.err, 'w') as err:
            self.process = bed.start(command if direct else bed.as_guest(name, command), env, stdout=out, stderr=err)

    def text(self):
        with open(self.out) as out, open(self.err) as err:
            return out.read() + err.read()

    def at_work(self):
        if self.process.poll() is not None:
            raise e2e.BedError(f'{self.name} ended with {self.process.returncode}: {self.text().strip()}')
        return 'rounds' in self.text()

    def wait_at_work(self, seconds=STARTS):
        e2e.wait_for(self.at_work, seconds, f'{self.name} does nothing for {seconds} s')

    def wait(self, seconds):
        """Its status, or None if it goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def lost(self):
        """(name of the error, seconds of the day) of the call that failed first, or None."""
        found = re.search(r'^lost (\S+) at (\S+)', self.text(), re.M)
        return (found[1], float(found[2])) if found else None

    def stop(self, seconds=30):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        status = self.wait(seconds)
        if status != 0:
            raise e2e.BedError(f'{self.name} ended with {status}: {self.text().strip()}')
        return Pieces(self.path, self.offset)


class Pieces:
    def __init__(self, path, offset):
        """`offset`: ns that the host's clock is before the device's."""
        values = array.array('q')
        with open(path, 'rb') as f:
            values.frombytes(f.read())
        os.unlink(path)
        self.sent = [v / 1e9 for v in values[0::4]]
        self.complete = [v / 1e9 for v in values[1::4]]
        self.begin = [(v + offset) / 1e9 for v in values[2::4]]
        self.end = [(v + offset) / 1e9 for v in values[3::4]]

    def __len__(self):
        return len(self.sent)

    def used(self, since, until):
        return sum(max(0.0, min(e, until) - max(b, since)) for b, e in zip(self.begin, self.end))

    def work(self, since, until):
        """Pieces done then, those at the edges in part."""
        return sum(max(0.0, min(e, until) - max(b, since)) / max(e - b, 1e-9) for b, e in zip(self.begin, self.end))

    def completed(self, since, until):
        return sum(1 for c in self.complete if since <= c < until)

    def latencies(self, since, until):
        """Of those that were sent then, from there until the host had them back."""
        return [c - s for s, c in zip(self.sent, self.complete) if since <= s < until]

    def longest_gap(self, since, until):
        """The longest time in which nothing was completed."""
        at = [since, *(c for c in self.complete if since <= c < until), until]
        return max(b - a for a, b in zip(at, at[1:]))

    def overlap(self, other, since, until):
        """Time in which both were on the device."""
        total, k = 0.0, 0
        for b, e in zip(self.begin, self.end):
            b, e = max(b, since), min(e, until)
            while k < len(other) and other.end[k] <= b:
                k += 1
            for m in range(k, len(other)):
                if other.begin[m] >= e:
                    break
                total += max(0.0, min(e, other.end[m], until) - max(b, other.begin[m]))
        return total


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def attach(bed, name, *settings):
    r = bed.xengpu('attach', name, *settings, '--socket-dir', bed.sockets, timeout=40)
    if r.returncode:
        raise e2e.BedError(f'xengpu attach {name}: {r.stderr.strip()}')


def change(bed, name, *settings):
    r = bed.xengpu('set', name, *settings, '--socket-dir', bed.sockets, timeout=20)
    if r.returncode:
        raise e2e.BedError(f'xengpu set {name}: {r.stderr.strip()}')


def detach(bed, *names):
    for name in names:
        bed.xengpu('detach', name, '--socket-dir', bed.sockets, timeout=40)


def listed(bed, name):
    return next(g for g in bed.list()['guests'] if g['name'] == name)


def workers(bed, name):
    return [c['worker'] for c in listed(bed, name)['channels'] if c['worker']]
