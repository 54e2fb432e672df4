#!/usr/bin/env python3
"""Runs the tests, each in a process of its own with a time limit, and ends with the line "N passed, N failed".

run.py [--build DIR] [--asan DIR] [--tsan DIR] [-j N] [--list] [NAME...]

NAME is the start of a test's name: unit/test_ring, e2e/, "unit". With no NAME all run. --asan and --tsan name the builds with
sanitizers; tests that are meant for them run there as well. Only what failed shows its output. See tests/README.md.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUPERVISE = os.path.join(ROOT, 'tests/lib/supervise.py')
LIMIT = 60          # seconds, for a test that says nothing
SLOWER = {'': 1, 'asan': 3, 'tsan': 5}
SKIP = 77
REPORT = re.compile(r"(Address|UndefinedBehavior|Thread|Leak)Sanitizer|: runtime error: ")
TAIL = 200          # lines of output shown of a failed test


class Test:
    def __init__(self, name, variant, command, tags):
        self.name, self.variant, self.command = name, variant, command
        self.title = f'{name} [{variant}]' if variant else name
        self.alone = 'alone' in tags
        self.limit = float(tags.get('limit', LIMIT)) * SLOWER[variant]


def read_tags(path):
    """{'limit': '90', 'alone': '', 'san': 'thread'} from the first lines of a test's source."""
    tags = {}
    with open(path, errors='replace') as f:
        for _, line in zip(range(40), f):
            if m := re.match(r'^[\s/*#]*(limit|san)\s*:\s*([\w, ]+)', line):
                tags[m[1]] = m[2].strip()
            elif re.match(r'^\s*(?:/\*|//|#)\s*alone\s*(?:\*/)?\s*$', line):
                tags['alone'] = ''
    return tags


def find_tests(source, builds):
    """All tests below `source`/tests, for each build that there is."""
    tests = []
    for path in sorted(glob.glob(os.path.join(source, 'tests/unit/test_*.c'))):
        tags, base = read_tags(path), os.path.basename(path)[:-2]
        for variant, build in builds.items():
            if variant != 'tsan' or 'thread' in tags.get('san', ''):
                tests.append(Test(f'unit/{base}', variant, [os.path.join(build, 'tests/unit', base)], tags))
    for path in sorted(glob.glob(os.path.join(source, 'tests/e2e/*'))):
        if not path.endswith(('.sh', '.py')):
            continue
        tags, base = read_tags(path), os.path.splitext(os.path.basename(path))[0]
        run = ['bash', path] if path.endswith('.sh') else [sys.executable, path]
        for variant in builds:
            if variant == '' or (variant == 'asan' and 'address' in tags.get('san', '')):
                tests.append(Test(f'e2e/{base}', variant, run, tags))
    return tests


def environment(test, builds, tmp):
    env = {k: v for k, v in os.environ.items() if not k.startswith(('LD_', 'XENGPU_', 'XG_', 'MAKE', 'MFLAGS', 'DISPLAY'))}
    env.update(XG_ROOT=ROOT, XG_BUILD=builds.get(test.variant, ''), XG_PLAIN_BUILD=builds.get('', builds.get(test.variant, '')),
               XG_VARIANT=test.variant, TMPDIR=tmp, HOME=tmp, LC_ALL='C.UTF-8', PYTHONDONTWRITEBYTECODE='1',
               PYTHONPATH=os.path.join(ROOT, 'tests/lib'), XDG_RUNTIME_DIR=tmp, MESA_SHADER_CACHE_DIR=os.path.join(tmp, 'mesa'))
    if test.variant == 'asan':
        # A report in a process that the test does not watch must not get lost: reports go to files, and each is a failure.
        whole = test.name.startswith('e2e/')
        common = f'log_path={tmp}/sanitizer:log_exe_name=1' if whole else 'color=never'
        env['ASAN_OPTIONS'] = f'{common}:detect_leaks={0 if whole else 1}:detect_stack_use_after_return=1:abort_on_error=0'
        env['UBSAN_OPTIONS'] = f'{common}:print_stacktrace=1:halt_on_error=1'
        env['LSAN_OPTIONS'] = f'suppressions={ROOT}/tests/lib/lsan.supp:print_suppressions=0'
    if test.variant == 'tsan':
        env['TSAN_OPTIONS'] = 'halt_on_error=1:second_deadlock_stack=1'
        env['XG_NO_ASLR'] = '1'
    return env


class Run:
    """One test that is running."""

    def __init__(self, test, builds, logs):
        self.test = test
        self.tmp = tempfile.mkdtemp(prefix='xg-')
        os.chmod(self.tmp, 0o755)  # workers may run as another user
        self.log = os.path.join(logs, test.title.replace('/', '-').replace(' ', '') + '.log')
        self.result = self.log + '.json'
        for old in (self.log, self.result):
            if os.path.exists(old):
                os.unlink(old)
        self.process = subprocess.Popen(
            [sys.executable, SUPERVISE, str(test.limit), self.log, self.result, '--', *test.command], cwd=ROOT,
            env=environment(test, builds, self.tmp), stdin=subprocess.DEVNULL, start_new_session=True)

    def finish(self):
        """('passed' | 'failed' | 'skipped', why, seconds); the supervisor has ended."""
        reports = self.collect_reports()
        shutil.rmtree(self.tmp, ignore_errors=True)
        try:
            with open(self.result) as f:
                result = json.load(f)
        except (OSError, ValueError):
            return 'failed', f'the supervisor ended with {self.process.returncode} and no result', 0
        os.unlink(self.result)
        status, seconds = result['status'], result['seconds']
        if result['timeout']:
            running = ''.join('\n    was running: ' + t for t in result['leftovers'])
            return 'failed', f'no end after {self.test.limit:g} s' + running, seconds
        if status < 0:
            return 'failed', f'killed by {signal.Signals(-status).name}', seconds
        if status not in (0, SKIP):
            return 'failed', f'exit status {status}', seconds
        if reports:
            return 'failed', 'a sanitizer reported', seconds
        if result['leftovers']:
            return 'failed', 'left processes behind:' + ''.join('\n    ' + t for t in result['leftovers']), seconds
        return ('skipped' if status == SKIP else 'passed'), self.last_line() if status == SKIP else '', seconds

    def collect_reports(self):
        """What sanitizers said in any process of the test, added to its output: in files of their own, or in a daemon's log."""
        found = False
        for path in sorted(glob.glob(os.path.join(self.tmp, 'sanitizer*')) + glob.glob(os.path.join(self.tmp, '**/*.log'), recursive=True)):
            try:
                with open(path, errors='replace') as f:
                    text = f.read()
            except OSError:
                continue
            if os.path.basename(path).startswith('sanitizer') or (self.test.variant and REPORT.search(text)):
                found = True
                with open(self.log, 'a') as log:
                    log.write(f'--- {os.path.basename(path)}\n{text}')
        return found

    def last_line(self):
        lines = self.output()
        return lines[-1].strip()[:120] if lines else 'does not say why'

    def output(self):
        try:
            with open(self.log, errors='replace') as f:
                return f.read().splitlines()
        except OSError:
            return []


class Runner:
    def __init__(self, builds, logs, jobs):
        self.builds, self.logs, self.jobs = builds, logs, jobs
        self.running, self.counts, self.failed, self.times = [], {'passed': 0, 'failed': 0, 'skipped': 0}, [], []
        self.total = self.done = 0

    def run(self, tests):
        """Those that may share the machine first, then the others one by one."""
        os.makedirs(self.logs, exist_ok=True)
        self.total = len(tests)
        for queue, jobs in (([t for t in tests if not t.alone], self.jobs), ([t for t in tests if t.alone], 1)):
            while queue or self.running:
                while queue and len(self.running) < jobs:
                    self.running.append(Run(queue.pop(0), self.builds, self.logs))
                self.wait_one()

    def wait_one(self):
        while True:
            for run in self.running:
                if run.process.poll() is not None:
                    self.running.remove(run)
                    self.report(run, *run.finish())
                    return
            time.sleep(0.02)

    def report(self, run, verdict, why, seconds):
        self.done += 1
        self.counts[verdict] += 1
        self.times.append((seconds, run.test.title))
        shown = {'passed': 'ok', 'failed': 'FAILED', 'skipped': 'skipped'}[verdict]
        print(f'[{self.done:3}/{self.total}] {shown:7} {seconds:6.1f} s  {run.test.title}' + (f': {why}' if why else ''), flush=True)
        if verdict == 'failed':
            self.failed.append(run.test.title)
            lines = run.output()
            if len(lines) > TAIL:
                print(f'    | ({len(lines) - TAIL} lines before these: {run.log})')
            for line in lines[-TAIL:]:
                print('    | ' + line, flush=True)

    def stop(self):
        for run in self.running:
            run.process.terminate()
        for run in self.running:
            run.process.wait()
            shutil.rmtree(run.tmp, ignore_errors=True)


def main():
    os.chdir(ROOT)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help="start of a test's name")
    parser.add_argument('--build', default='build', help='the plain build')
    parser.add_argument('--asan', help='the build with SAN=address,undefined')
    parser.add_argument('--tsan', help='the build with SAN=thread')
    parser.add_argument('--only', choices=('asan', 'tsan'), help='run only the tests of that build')
    parser.add_argument('--source', default=ROOT, help='where tests/ is, for testing this program')
    parser.add_argument('-j', type=int, default=min(2, os.cpu_count() or 1), metavar='N', help='tests at a time')
    parser.add_argument('--list', action='store_true', help='names only')
    args = parser.parse_args()

    builds = {'': os.path.abspath(args.build)}
    builds.update({v: os.path.abspath(d) for v, d in (('asan', args.asan), ('tsan', args.tsan)) if d})
    tests = [t for t in find_tests(args.source, builds)
             if (not args.names or t.name.startswith(tuple(args.names))) and args.only in (None, t.variant)]
    if args.list:
        for t in tests:
            print(t.title)
        return 0
    if not tests:
        print('run.py: no test is called that', file=sys.stderr)
        return 2

    runner = Runner(builds, os.path.join(builds[''], 'test-logs'), max(1, args.j))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    try:
        runner.run(tests)
    except KeyboardInterrupt:
        print('\nstopped', flush=True)
        return 130
    finally:
        runner.stop()
    if len(runner.times) > 5:
        slowest = ', '.join(f'{title} {s:.0f} s' for s, title in sorted(runner.times, reverse=True)[:5])
        print(f'{time.monotonic() - start:.0f} s in all; slowest: {slowest}')
    for title in runner.failed:
        print(f'failed: {title}')
    skipped = f", {runner.counts['skipped']} skipped" if runner.counts['skipped'] else ''
    print(f"{runner.counts['passed']} passed, {runner.counts['failed']} failed{skipped}", flush=True)
    return 1 if runner.counts['failed'] else 0


sys.exit(main())
