#!/usr/bin/env python3
"""The runner sees tests that fail, crash, hang, leave processes behind or upset a sanitizer, and cleans up after all of them."""
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.environ.get('XG_ROOT') or os.path.abspath('.')
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e  # noqa: E402

SCRIPTS = {
    'pass': 'echo not shown; exit 0',
    'skip': 'echo no such thing here; exit 77',
    'fail': 'echo the reason; exit 3',
    'crash': 'kill -SEGV $$',
    'hang': '# limit: 1\nsleep 317 & sleep 318',
    'leak': 'sleep 319 & exit 0',
    'detached': 'setsid -f sleep 320; exit 0',
    'nohup': '(setsid nohup setsid sleep 321 >/dev/null 2>&1 &) ; exit 0',
    'ending': '(sleep 0.3) & exit 0',
    'alone1': '# alone\n[ -z "$(ls $XG_MARKS)" ] && touch $XG_MARKS/1 && sleep 0.3 && rm $XG_MARKS/1',
    'alone2': '# alone\n[ -z "$(ls $XG_MARKS)" ] && touch $XG_MARKS/2 && sleep 0.3 && rm $XG_MARKS/2',
    'tmp': '[ -d "$TMPDIR" ] && [ -z "$(ls "$TMPDIR")" ] && [ -z "${LD_PRELOAD:-}" ] && touch "$TMPDIR/x"',
    'stdin': 'read -r line && exit 1; exit 0',
    'sandboxed': '# san: address\n[ -z "$XG_VARIANT" ] || echo "x.c:1: runtime error: a shift" >"$TMPDIR/xengpud.log"',
    'sanitizer': '# san: address\n[ -z "$XG_VARIANT" ] || echo a finding >"$TMPDIR/sanitizer.child.17"',
}
EXPECTED = {
    'e2e/fail': 'FAILED|exit status 3|the reason',
    'e2e/crash': 'FAILED|killed by SIGSEGV',
    'e2e/hang': 'FAILED|no end after 1 s|sleep 317',
    'e2e/leak': 'FAILED|left processes behind|sleep 319',
    'e2e/detached': 'FAILED|left processes behind|sleep 320',
    'e2e/nohup': 'FAILED|left processes behind|sleep 321',
    'unit/test_missing': 'FAILED|cannot start',
    'e2e/sanitizer [asan]': 'FAILED|a sanitizer reported|a finding',
    'e2e/pass': 'ok', 'e2e/ending': 'ok', 'e2e/alone1': 'ok', 'e2e/alone2': 'ok', 'e2e/tmp': 'ok', 'e2e/stdin': 'ok',
    'e2e/sandboxed [asan]': 'FAILED|a sanitizer reported|a shift',
    'e2e/sanitizer': 'ok', 'e2e/sandboxed': 'ok',
    'e2e/skip': 'skipped|no such thing here',
}


def report_of(output, title):
    """The lines about one test: its own, and the indented ones below it."""
    lines = output.splitlines()
    for i, line in enumerate(lines):
        words = line.split(' s  ', 1)
        if line.startswith('[') and len(words) == 2 and words[1].split(':')[0] == title:
            end = i + 1
            while end < len(lines) and lines[end].startswith('    '):
                end += 1
            return '\n'.join(lines[i:end])
    return ''


def sleepers():
    return e2e.running({f'sleep {n}' for n in range(317, 322)})


def run(where, *args):
    # Names that start with XG_ do not reach a test: the folder of marks is passed by its text.
    return subprocess.run([sys.executable, f'{ROOT}/tests/run.py', '--source', where, '--build', f'{where}/build', *args],
                          capture_output=True, text=True, timeout=50)


def main():
    where = tempfile.mkdtemp()
    os.makedirs(f'{where}/tests/unit')
    os.makedirs(f'{where}/tests/e2e')
    os.makedirs(f'{where}/marks')
    open(f'{where}/tests/unit/test_missing.c', 'w').close()
    for name, text in SCRIPTS.items():
        with open(f'{where}/tests/e2e/{name}.sh', 'w') as f:
            f.write('#!/bin/bash\n' + text.replace('$XG_MARKS', f'{where}/marks') + '\n')
    wrong = []

    start = time.monotonic()
    whole = run(where, '--asan', f'{where}/asan', '-j2', 'e2e/', 'unit/')
    last = whole.stdout.rstrip().splitlines()[-1]
    # unit/test_missing fails in both builds
    if last != '8 passed, 10 failed, 1 skipped' or whole.returncode != 1:
        wrong.append(f'closing line {last!r}, status {whole.returncode}')
    for title, parts in EXPECTED.items():
        text = report_of(whole.stdout, title)
        for part in parts.split('|'):
            if part not in text:
                wrong.append(f'{title}: {part!r} is not in {text!r}')
    if 'not shown' in whole.stdout:
        wrong.append('the output of a test that passed was shown')
    if time.monotonic() - start > 40:
        wrong.append('took longer than the limits of the tests')
    if left := sleepers():
        wrong.append(f'still running: {left}')

    good = run(where, 'e2e/pass', 'e2e/tmp')
    if good.returncode != 0 or good.stdout.rstrip().splitlines()[-1] != '2 passed, 0 failed':
        wrong.append(f'two good tests: {good.returncode} {good.stdout!r}')
    if run(where, 'e2e/nobody').returncode != 2:
        wrong.append('a name that no test has is not refused')

    # A runner that is stopped takes its tests with it.
    with open(f'{where}/tests/e2e/long.sh', 'w') as f:
        f.write('setsid sleep 317 & sleep 318\n')
    runner = subprocess.Popen([sys.executable, f'{ROOT}/tests/run.py', '--source', where, '--build', f'{where}/build', 'e2e/long'],
                              stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while len(sleepers()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    runner.terminate()
    runner.wait(10)
    if left := sleepers():
        wrong.append(f'a stopped runner left {left}')

    for line in wrong:
        print(line)
    if wrong:
        print(whole.stdout)
        print(whole.stderr)
    return 1 if wrong else 0


sys.exit(main())
