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

    def note(self, text):
        """Shown with the verdict: something measured."""
        host.log(f'note: {text}')
        self.notes.append(text)

    notes = []

    def mend(self):
        """Everything as a case may expect it, however the last one left it."""
        both = (self.one, self.two)
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
    return int(m[1]) if m else 60


def on_alarm(*_):
    raise TooLong()


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


def main():
    with open(f'{host.LOGS}/wanted') as f:
        wanted = f.read().split()
    signal.signal(signal.SIGALRM, on_alarm)
    tell(say='Dom0 is up')
    bed = Bed()
    names = sorted(n[:-3] for n in os.listdir(CASES) if n.endswith('.py') and (not wanted or n.startswith(tuple(wanted))))
    try:
        signal.alarm(180)
        bed.mend()
        signal.alarm(0)
        tell(say='both guests are up, their agents connected')
    except Exception:  # pylint: disable=broad-except
        signal.alarm(0)
        host.log(traceback.format_exc())
        tell(say=f'the guests and the daemon do not come up:\n{traceback.format_exc()}')
    for name in names:
        tell(case=name)
        passed, seconds, text = run_case(bed, name)
        tell(case=name, passed=passed, seconds=round(seconds, 1), text=text, notes=bed.notes)
    tell(end=True)


main()
