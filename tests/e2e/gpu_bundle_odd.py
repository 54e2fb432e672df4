#!/usr/bin/env python3
# The GPU bundle where something is odd: its surroundings, its files, where the report goes, and how a run ends. Whatever it is, a run says
# what is wrong in a line, and leaves nothing behind.
# limit: 200
# alone
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT, BUILD, TMP = os.environ['XG_ROOT'], os.environ['XG_BUILD'], os.environ['TMPDIR']
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e  # noqa: E402

BUNDLE, OUT, STEPS, STAGES = (f'{TMP}/{n}' for n in ('bundle', 'out', 'steps', 'stages'))
FAST = '''"""A guest."""
LIMIT = QUICK = 40

def run(bed, report, quick):
    bed.daemon()
    r = bed.guest('one', [bed.program('cuda_vectoradd')])
    report.result('guest', 'ok' if r.returncode == 0 else 'failed', r.stderr)
    print(bed.sockets)
'''
SLOW = '''"""Has a display, and sleeps."""
import subprocess
import time
LIMIT = QUICK = 40

def run(bed, report, quick):
    bed.xvfb()
    subprocess.Popen(['sleep', '351'], start_new_session=True)
    report.result('display', 'ok', bed.env['DISPLAY'])
    time.sleep(352)
'''
WRITER = '''import sys
sys.path.insert(0, sys.argv[1])
import report
whole = {'xengpu': '-', 'started': '-', 'gpu': False, 'quick': False, 'seconds': 0, 'steps': []}
sys.exit(any(report.write(sys.argv[2], whole) for _ in range(300)))
'''
wrong = []


def expect(condition, text):
    if not condition:
        wrong.append(text)


def make():
    libc = ctypes.CDLL(None)
    libc.gnu_get_libc_version.restype = ctypes.c_char_p
    own = libc.gnu_get_libc_version().decode()
    r = subprocess.run([sys.executable, f'{ROOT}/tests/gpu/bundle.py', '--build', BUILD, '--output', BUNDLE,
                        '--glibc', '2.35' if own == '2.36' else own], capture_output=True, text=True)
    if r.returncode:
        e2e.fail(f'bundle.py: status {r.returncode}: {r.stderr}')
    for folder in (OUT, STEPS, STAGES):
        os.mkdir(folder)
        os.chmod(folder, 0o755)
    for name, text in (('fast', FAST), ('slow', SLOW)):
        with open(f'{STEPS}/{name}.py', 'w') as f:
            f.write(text)


def run(*args, **kw):
    kw.setdefault('stdout', subprocess.PIPE)
    return subprocess.run([f'{BUNDLE}/run', '--steps', STEPS, '--output', OUT, *args], stderr=subprocess.PIPE, text=True, **kw)


def check_surroundings():
    long = f'{TMP}/{"x" * 60}'
    os.mkdir(long)
    os.chmod(long, 0o755)
    usual = {**os.environ, 'TMPDIR': '/tmp'}
    for env in ({}, {'PATH': ''}, {'PATH': '/nonexistent'}, {**usual, 'TMPDIR': long}, {**usual, 'TMPDIR': '/proc'},
                {**usual, 'LD_PRELOAD': 'nonsense.so'}, {**usual, 'LD_LIBRARY_PATH': '/nonsense::'}, {**usual, 'PYTHONHOME': '/nonsense'}):
        different = {k: v for k, v in env.items() if os.environ.get(k) != v}
        if ('PYTHONHOME' in env or env.get('PATH') == '/nonexistent') and not os.path.exists(f'{BUNDLE}/sys/python/bin/python3'):
            continue
        r = run('fast', env=env)
        # Only what the shell itself was started with may complain of LD_PRELOAD.
        said = [line for line in r.stderr.splitlines() if 'LD_PRELOAD' not in line]
        expect(r.returncode == 0 and not said and len(r.stderr.splitlines()) < 3, f'with {different}: status {r.returncode}: {r.stdout} {r.stderr}')
    with open(f'{STEPS}/latin.py', 'w', encoding='utf-8') as f:
        f.write('"""Größe."""\n\n\ndef run(bed, report, quick):\n    report.result("größe", "ok", "\\udcff")\n')
    r = run('latin', env={**usual, 'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'})
    expect(r.returncode == 0 and '1 ok' in r.stdout, f'another character set: status {r.returncode}: {r.stdout} {r.stderr}')
    os.unlink(f'{STEPS}/latin.py')


def check_output():
    with open('/dev/full', 'w') as full:
        r = run('fast', stdout=full)
        expect(r.returncode == 0 and not r.stderr and os.path.exists(f'{OUT}/report.txt'), f'output to a full disk: {r.returncode} {r.stderr}')
    os.unlink(f'{OUT}/report.json')
    os.mkdir(f'{OUT}/report.json')
    r = run('fast')
    expect(r.returncode == 1 and 'no report: ' in r.stdout and not r.stderr, f'no report: {r.returncode} {r.stdout} {r.stderr}')
    expect(os.listdir(OUT) == ['report.json'] or sorted(os.listdir(OUT)) == ['report.json', 'report.txt'], f'in its folder: {os.listdir(OUT)}')
    os.rmdir(f'{OUT}/report.json')
    for args, text in ((('--output', '/etc/passwd'), 'run: --output /etc/passwd: '), (('--steps', '/nonexistent'), 'is not a folder')):
        r = run('fast', *args)
        expect(r.returncode != 0 and text in r.stderr and 'Traceback' not in r.stderr, f'{args}: {r.returncode} {r.stderr}')
    writers = [subprocess.Popen([sys.executable, '-c', WRITER, f'{ROOT}/tests/gpu', OUT]) for _ in range(2)]
    expect([w.wait() for w in writers] == [0, 0], 'two runs with one folder for reports are in each other\'s way')


def check_damage():
    for name in ('build/tests/programs/cuda_vectoradd', 'tests/lib/e2e.sh'):
        os.rename(f'{BUNDLE}/{name}', f'{TMP}/{os.path.basename(name)}')
    with open(f'{BUNDLE}/tests/lib/e2e.sh', 'w') as f:
        f.write('#!/bin/sh\n')
    r = run('fast')
    expect(r.returncode == 1 and 'not what it was when the bundle was made: build/tests/programs/cuda_vectoradd, tests/lib/e2e.sh\n' in r.stdout,
           f'a damaged bundle: {r.returncode} {r.stdout} {r.stderr}')
    for name in ('build/tests/programs/cuda_vectoradd', 'tests/lib/e2e.sh'):
        os.replace(f'{TMP}/{os.path.basename(name)}', f'{BUNDLE}/{name}')
    r = run('fast')
    expect(r.returncode == 0, f'mended: {r.returncode} {r.stdout} {r.stderr}')
    os.truncate(f'{BUNDLE}/bundle.json', 50)
    r = run('fast')
    expect(r.returncode == 1 and r.stderr.startswith('run: the bundle is not whole') and 'Traceback' not in r.stderr, f'bundle.json: {r.stderr}')


def left():
    return os.listdir(STAGES) + e2e.running(('sleep 351', 'sleep 352'))


def check_end(number, ready):
    """A run that gets the signal once ready() holds."""
    p = subprocess.Popen([f'{BUNDLE}/run', '--steps', STEPS, '--output', OUT, 'slow'], env={**os.environ, 'TMPDIR': STAGES},
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    e2e.wait_for(ready, 30, 'a run does not come as far as it should')
    p.send_signal(number)
    text, said = p.communicate(timeout=30)
    displays = [line.split(':')[-1].strip() for line in text.splitlines() if line.startswith('slow')]
    if number != signal.SIGKILL:
        expect(p.returncode == 130 and text.endswith('stopped\n') and not said, f'signal {number}: status {p.returncode}: {text} {said}')
        rest = left()
        expect(not rest, f'signal {number} leaves {rest}')
    e2e.wait_for(lambda: not left(), 20, lambda: f'signal {number} leaves {left()}')
    for d in displays:
        expect(not os.path.exists(f'/tmp/.X11-unix/X{d}') and not os.path.exists(f'/tmp/.X{d}-lock'), f'signal {number} leaves the display {d}')


def check_ends():
    def copying():
        return bool(os.listdir(STAGES))

    def sleeping():
        return bool(e2e.running(('sleep 351',)))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        check_end(number, copying)
        check_end(number, lambda: sleeping() and time.sleep(0.3) is None)


def main():
    if not shutil.which('dpkg') or not shutil.which('Xvfb'):
        e2e.skip('the bundle is made of Debian packages, which are not installed here')
    if len(STAGES) > 40:
        print(f'{STAGES} is too long a name for temporary files: how runs end is not tried')
    make()
    check_surroundings()
    check_output()
    if len(STAGES) <= 40:
        check_ends()
    check_damage()
    for text in wrong:
        print('WRONG:', text)
    return 1 if wrong else 0


sys.exit(main())
