"""Dom0's part of the test: starts the daemon and two guests, runs every case, writes progress and verdicts for the host to read.

A case is a file in cases/: a comment that says what it proves, `limit: SECONDS` (default 60) and a function run(bed). It fails by
raising. Cases run in the order of their names, all in one boot; what one breaks is made whole again before the next (Bed.mend).
"""
import importlib.util
import json
import os
import re
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest as guests  # noqa: E402
import host  # noqa: E402
import speed  # noqa: E402

LOST_SECONDS = 1.0
# On an idle machine Dom0 takes 14 s to get here, and both guests with their agents 35 s more.
DOM0_SECONDS, GUESTS_SECONDS, SLOW_MAX = 25, 60, 5
GUESTS_LIMIT = 180, 480     # seconds on an idle machine, and at most
CASES = f'{host.HOUSE}/xen/cases'


class TooLong(Exception):
    """A case ran into its limit."""


def tell(**what):
    """A line for the host, as it happens."""
    with open(f'{host.LOGS}/progress', 'a') as f:
        f.write(json.dumps(what) + '\n')
        f.flush()
        os.fsync(f.fileno())


class Bed:
    """What a case stands on: bed.daemon, bed.one and bed.two, both attached and with their agents running."""

    def __init__(self):
        self.daemon = host.Daemon()
        self.one, self.two = guests.Guest('one'), guests.Guest('two')
        self.more = []
        self.notes, self.rest, self.frames = [], None, None

    def note(self, text):
        """Shown with the verdict: something measured."""
        host.log(f'note: {text}')
        self.notes.append(text)

    def guest(self, name, **options):
        """One more, for this case; without a device."""
        g = guests.Guest(name, **options)
        self.more.append(g)
        g.start()
        return g

    def mend(self):
        """Everything as a case may expect it, however the last one left it."""
        both = (self.one, self.two)
        for g in self.more:
            if g.alive():
                g.destroy()
        self.more = []
        if not self.daemon.running():
            self.daemon.start()
        for g in both:
            if not g.alive():
                g.start(wait=False)
        for g in both:
            g.wait_up()
            for job in [j for j in g.jobs.values() if j.running() and j is not g.agent]:
                job.kill()
                job.wait(20)
            if g.agent is None or not g.agent.running():
                g.agent_start()
        for g in both:
            if not self.daemon.guest(g.name):
                self.daemon.attach(g)
            self.daemon.connected(g)
        for g in both:
            host.wait_for(lambda g=g: not self.daemon.channels(g.name), 20, f'{g.name} still has channels')

        if self.rest is None:
            self.rest = host.Holdings(self.daemon)

    def nothing_left(self, before=None):
        """All that there is to leak is as it was `before`, or when the first case began; it may take a moment to go."""
        before = before or self.rest
        for g in (self.one, self.two):
            host.wait_for(lambda g=g: not self.daemon.channels(g.name), 20, f'{g.name} still has channels')
        until = time.monotonic() + 10 * host.SLOW
        while True:
            now = host.Holdings(self.daemon)
            wrong = now.differences(before)
            if not wrong:
                return now
            must(time.monotonic() < until, f'left behind: {wrong}')

    # --- programs, directly and in guests ---------------------------------------------------------------------------------------------

    def program(self, name):
        return f'{host.PROGRAMS}/{name}'

    def remote(self, g, name, *args, env=None):
        """A program of tests/programs as an application in a guest: a Job."""
        return g.remote([self.program(name), *args], dict({'XG_KERNELS': host.KERNELS}, **(env or {})))

    def direct(self, name, *args, env=None):
        """The same in Dom0 on the device itself; must succeed. What it said."""
        status, out = host.direct([self.program(name), *args], env=env)
        must(status == 0, f'{name} ends with {status} in Dom0 itself: {out[-2000:]}')
        return out

    # --- work that goes on while others die ---------------------------------------------------------------------------------------------

    def steady(self, g):
        """A program that draws without end."""
        if self.frames is None:
            self.frames = [line.split()[2] for line in self.direct('gl_frames', '8').splitlines()]
        return self.remote(g, 'gl_frames', '0')

    def steady_end(self, job):
        """It still draws, and all that it drew is right."""
        last = job.out.count('\n')
        job.expect(f'frame {last + 2} ', 60)
        must(job.running(), f'a program that nothing happened to has ended: {job.out[-300:]}')
        job.kill()
        job.wait(20)
        self.frames_good(job)

    def frames_good(self, job):
        lines = job.out[:job.out.rfind('\n')].splitlines()
        for i, line in enumerate(line for line in lines if line.startswith('frame')):
            must(line == f'frame {i} {self.frames[i % 8]}', f'{job.guest.name}: frame {i} is {line!r}')

    def lost(self, job, start, what):
        """It ends with the error of a lost device, within a second of `start`; until then all was right."""
        r = job.wait(20)
        took = job.ended_at - start
        self.note(f'{what}: lost after {took:.2f} s')
        must('lost: ' in r.out and r.status in (0, 3), f'{what} does not notice that the device is lost: {r}')
        self.frames_good(job)
        must(took < LOST_SECONDS * host.SLOW, f'{what}: lost only after {took:.2f} s')

    def works(self, g):
        """A new program in this guest gives what it gives in Dom0."""
        job = self.remote(g, 'cuda_matmul', '64')
        got, want = job.wait(60), self.direct('cuda_matmul', '64')
        must(got.status == 0 and got.out == want, f'{g.name}: a new program: {got}, in Dom0 {want!r}')


def must(condition, text):
    if not condition:
        raise AssertionError(text() if callable(text) else text)


def load(name):
    spec = importlib.util.spec_from_file_location(name, f'{CASES}/{name}.py')
    module = importlib.util.module_from_spec(spec)
    module.must = must
    spec.loader.exec_module(module)
    return module


def limit_of(name):
    with open(f'{CASES}/{name}.py') as f:
        m = re.search(r'^# limit: (\d+)', f.read(), re.M)
    return int((int(m[1]) if m else 60) * host.SLOW)


def on_alarm(*_):
    raise TooLong()


def judge_case(bed, name):
    """(passed, seconds, words). A case that failed while others held the machine up is run once more; it says so either way."""
    notes = []
    for again in (False, True):
        before = speed.published(host.LOGS)
        passed, seconds, text = run_case(bed, name)
        had = speed.had(before, speed.published(host.LOGS))
        bed.notes = notes + bed.notes
        if passed or had >= speed.BUSY:
            break
        notes = [f'failed while this machine was busy ({speed.words(had)})' + ('' if again else '; once more')]
        if again:
            text = f'cannot be judged: {speed.words(had)} meanwhile. The failure:\n{text}'
        else:
            tell(say=f'xen/{name} {notes[0]}: {text.splitlines()[0]}')
            slow_down(1, 1 / had, 'processor time')
    return passed, seconds, text


def run_case(bed, name):
    """(passed, seconds, words)"""
    start, limit = time.monotonic(), limit_of(name)
    bed.notes = []
    host.log(f'--- {name}')
    signal.alarm(limit)
    try:
        bed.mend()
        start = time.monotonic()
        signal.alarm(limit)
        load(name).run(bed)
        signal.alarm(0)
        return True, time.monotonic() - start, ''
    except TooLong:
        text = f'no end after {limit} s\n{traceback.format_exc()}'
    except Exception as e:  # pylint: disable=broad-except
        text = f'{e}\n{traceback.format_exc()}' if not isinstance(e, AssertionError) else f'{e}\n{traceback.format_exc(limit=-2)}'
    finally:
        signal.alarm(0)
    host.log(f'{name} failed: {text}')
    return False, time.monotonic() - start, text


def slow_down(given, factor, what):
    """Limits are for a machine that does nothing else; on a busy one they grow, up to a bound."""
    factor = given * min(factor, SLOW_MAX)
    if factor > host.SLOW:
        host.SLOW = factor
        tell(say=f'this machine is slow or busy ({what}): all limits times {factor:.1f}', slow=factor)


def main():
    with open(f'{host.LOGS}/wanted') as f:
        order = json.load(f)
    wanted, host.SLOW = order['names'], order['slow']
    signal.signal(signal.SIGALRM, on_alarm)
    tell(say='Dom0 is up', stage='guests')
    start = time.monotonic()
    slow_down(order['slow'], start / DOM0_SECONDS, 'the boot')  # its clock began when its kernel did
    bed = Bed()
    names = sorted(n[:-3] for n in os.listdir(CASES) if n.endswith('.py') and (not wanted or n.startswith(tuple(wanted))))
    try:
        signal.alarm(int(min(GUESTS_LIMIT[0] * host.SLOW, GUESTS_LIMIT[1] * order['slow'])))
        bed.mend()
        signal.alarm(0)
        tell(say='both guests are up, their agents connected', stage='cases')
        slow_down(order['slow'], (time.monotonic() - start) / GUESTS_SECONDS, 'the boot of the guests')
    except Exception:  # pylint: disable=broad-except
        signal.alarm(0)
        host.log(traceback.format_exc())
        tell(say=f'the guests and the daemon do not come up:\n{traceback.format_exc()}', stage='cases')
    for name in names:
        tell(case=name)
        passed, seconds, text = judge_case(bed, name)
        tell(case=name, passed=passed, seconds=round(seconds, 1), text=text, notes=bed.notes)
    tell(end=True)


main()
