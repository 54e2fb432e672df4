#!/usr/bin/env python3
# The GPU bundle: made of this build, moved, and run on the devices that are here, the short form of each step; then in a root that has nothing but
# libc and a shell, as an ordinary user. What is wrong with one step does not touch the others, nor the report.
# limit: 400
# alone
import ast
import ctypes
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT, BUILD, TMP = os.environ['XG_ROOT'], os.environ['XG_BUILD'], os.environ['TMPDIR']
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
sys.path.insert(0, os.path.join(ROOT, 'tests/gpu'))
import bed  # noqa: E402
import e2e  # noqa: E402
import kernel_log  # noqa: E402
import pair  # noqa: E402
import report  # noqa: E402

OUTCOMES = ('ok', 'failed', 'absent', 'note')
LIMIT = 60 << 20
QUICKLY = 60        # seconds, on a machine with two idle processors
# Steps that go wrong, and what the report must say of each; an empty text: nothing is wrong.
STEPS = {
    'good': ("assert 0 < bed.left() <= 3\n    report.result('one', 'ok', 'two\\n lines', value=0.12345, other='x')", ''),
    'hangs': ("import subprocess, time\n    report.result('before', 'ok')\n    subprocess.Popen(['sleep', '331'], start_new_session=True)\n"
              "    print('hangs in vain')\n    time.sleep(332)", 'no end after 3 s; was running:'),
    'crashes': ("import os, signal\n    report.result('before', 'ok')\n    os.kill(os.getpid(), signal.SIGSEGV)", 'killed by SIGSEGV'),
    'raises': ("raise ValueError('such a thing')", 'ValueError: such a thing'),
    'exits': ("import sys\n    sys.exit(7)", 'exit status 7: it says nothing'),
    'silent': ('pass', 'it told nothing'),
    'stuck': ("told = []\n    report.log = told.append\n    bed.run(['sleep', '334'], timeout=0.5)\n"
              "    assert 'sleep 334' in told[0] and 'system call' in told[0], told\n    report.result('x', 'ok')", ''),
    'leaves': ("import os\n    report.result('x', 'ok')\n    os.system('setsid -f sleep 333')", 'left processes behind'),
    'wrong': ("report.result('x', 'fine')", "ValueError: x: no outcome is called 'fine'"),
    'syntax': ('this is no Python', 'SyntaxError'),
    'daemonless': ("bed.daemon(['--nonsense'])", 'BedError: xengpud ended with 2'),
}
BARE = '''"""In the bare root."""
import sys
QUICK = LIMIT = 40

def run(bed, report, quick):
    bed.daemon()
    for where, r in (('guest', bed.guest('one', [bed.program('cuda_vectoradd')])), ('direct', bed.direct([bed.program('cuda_vectoradd')]))):
        report.result(f'cuda {where}', 'ok' if r.returncode == 0 else 'failed', r.stderr, output=r.stdout)
    bed.xvfb()
    r = bed.run([bed.program('xshot'), bed.tmp + '/x.png'])
    report.result('X', 'ok' if r.returncode == 0 else 'failed', r.stderr)
    r = bed.run([sys.executable, '-c', 'import json, ctypes, sys; print(sys.version_info[:2])'])
    report.result('python', 'ok' if r.returncode == 0 else 'failed', r.stderr)
    r = bed.run([bed.root + '/build/bin/xengpu-bench', '--version'], {'XG_PYTHON': sys.executable})
    report.result('bench', 'ok' if r.stdout.startswith('xengpu-bench ') else 'failed', r.stderr)
'''
wrong = []


def expect(condition, text):
    if not condition:
        wrong.append(text)


def make(output, *args):
    return subprocess.run([sys.executable, f'{ROOT}/tests/gpu/bundle.py', '--build', BUILD, '--output', output, *args], capture_output=True, text=True)


def own_glibc():
    libc = ctypes.CDLL(None)
    libc.gnu_get_libc_version.restype = ctypes.c_char_p
    return libc.gnu_get_libc_version().decode()


def write_steps(folder):
    os.makedirs(folder)
    for name, (text, _) in STEPS.items():
        with open(f'{folder}/{name}.py', 'w') as f:
            f.write(f'"""What {name}."""\nLIMIT = 60\nQUICK = 3\n\n\ndef run(bed, report, quick):\n    {text}\n')
    with open(f'{folder}/slow.py', 'w') as f:
        f.write('"""Not in the short form."""\n\n\ndef run(bed, report, quick):\n    report.result("x", "failed")\n')


def sleepers():
    return e2e.running(('sleep 331', 'sleep 332', 'sleep 333'))


def read_report(folder):
    with open(f'{folder}/report.json') as f:
        whole = json.load(f)
    with open(f'{folder}/report.txt') as f:
        return whole, f.read()


def check_form(whole, page):
    expect(whole['format'] == 1 and whole['xengpu'] == e2e.release() and isinstance(whole['gpu'], bool), f'head of the report: {str(whole)[:300]}')
    for s in whole['steps']:
        expect(s['about'] and s['results'] and s['seconds'] >= 0, f"step {s['name']}: {str(s)[:300]}")
        for r in s['results']:
            expect(set(r) == {'name', 'outcome', 'text', 'figures'} and r['outcome'] in OUTCOMES, f"{s['name']}: {r}")
            expect(r['name'] in page and r['outcome'] in page, f"{s['name']}: {r['name']} is not in report.txt")


def check_whole(bundle):
    """Every step of the short form, with those that go wrong."""
    os.environ.pop('PYTHONUNBUFFERED', None)  # whatever is set here, what a step printed before it hung is kept
    out, steps = f'{TMP}/report', f'{TMP}/steps'
    os.makedirs(out)
    write_steps(steps)
    r = subprocess.run([f'{bundle}/run', '--list', '--steps', steps], capture_output=True, text=True)
    expect(r.returncode == 0, f'--list: {r.stderr}')
    listed = [line.split()[0] for line in r.stdout.splitlines() if 'not in the short form' not in line]
    start = time.monotonic()
    r = subprocess.run([f'{bundle}/run', '--quick', '--steps', steps, '--output', out], capture_output=True, text=True)
    seconds = time.monotonic() - start
    expect(r.returncode == 1, f'with steps that fail: status {r.returncode}\n{r.stderr}')
    expect(not r.stderr, f'said on standard error: {r.stderr}')
    whole, page = read_report(out)
    check_form(whole, page)
    names = [s['name'] for s in whole['steps']]
    expect(names == listed and set(STEPS) < set(names) and 'machine' in names and 'slow' not in names, f'steps that ran: {names}, listed: {listed}')
    lines = r.stdout.splitlines()
    for s in whole['steps']:
        failed = [x for x in s['results'] if x['outcome'] == 'failed']
        for x in s['results']:
            expect(any(line.startswith(s['name']) and x['outcome'] in line and x['name'] in line for line in lines),
                   f"not on standard output: {s['name']} {x}")
        if s['name'] in STEPS:
            text = STEPS[s['name']][1]
            expect([x['name'] for x in failed] == (['(the step)'] if text else []) and (not text or text in failed[0]['text']),
                   f"{s['name']}: {failed}")
        for x in failed if s['name'] not in STEPS else ():
            wrong.append(f"{s['name']}: {x['name']}: {x['text']}\n" + s['output'][-2000:])
    good = next(s for s in whole['steps'] if s['name'] == 'good')
    expect(good['results'] == [{'name': 'one', 'outcome': 'ok', 'text': 'two\n lines', 'figures': {'value': 0.12345, 'other': 'x'}}], f'good: {good}')
    expect('two lines, value 0.1235, other x' in r.stdout and 'hangs in vain' in page, 'text of results')
    expect(any(x['name'] == 'before' for s in whole['steps'] if s['name'] == 'hangs' for x in s['results']), 'what a step told before it hung is lost')
    own = sum(s['seconds'] for s in whole['steps'] if s['name'] not in STEPS)
    print(f'the steps took {own:.0f} s, all {seconds:.0f} s')
    for s in whole['steps']:
        print(f"    {s['name']:12} {s['seconds']:6.1f} s")
    if own > QUICKLY:
        print(f'more than {QUICKLY} s: this machine is slow, or a step is')


def check_pairs():
    """One program at a time, each with an end; after two that have none the rest is not run. Xid lines are found in the kernel's log."""
    path, log = f'{TMP}/pairs', f'{TMP}/kmsg'
    with bed.GpuBed(BUILD) as b:
        b.daemon()
        p = pair.Pairs(b, report.Report(path), time.monotonic() + 60, False, most=2, alone=True)
        p.compare('works', [b.program('cuda_vectoradd')])
        p.compare('hangs', ['/bin/sleep', '9'])
        p.compare('late', [b.program('cuda_vectoradd')])
    with open(path) as f:
        found = {r['name']: r for r in map(json.loads, f) if 'name' in r}
    expect(found['works']['outcome'] == 'ok', f"a pair: {found['works']}")
    expect(found['hangs']['outcome'] == 'failed' and 'no end after 2 s' in found['hangs']['text'], f"both hang: {found['hangs']}")
    expect(found['late']['text'] == 'not run: 2 programs before it did not end', f"after two that hung: {found['late']}")
    os.mkfifo(log)
    fd = os.open(log, os.O_RDWR)
    kernel = kernel_log.KernelLog(log)
    expect(kernel.new() is None, 'a log that cannot be read is empty')
    kernel.fd = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    expect(kernel.new() == [], 'an empty log')
    os.write(fd, b'6,1,5,-;NVRM: Xid (PCI:0000:00:06): 109, pid=5\n SUBSYSTEM=x\n')
    expect(kernel.new() == ['NVRM: Xid (PCI:0000:00:06): 109, pid=5'] and kernel.new() == [], 'an Xid line')
    os.write(fd, b'6,2,5,-;usb 1-1: new device\n')
    expect(kernel.new() == [], 'another line is taken for an Xid')


def check_choice(bundle):
    """One step alone; a name that is none; a report that can only go elsewhere."""
    r = subprocess.run([f'{bundle}/run', 'machine'], cwd=TMP, capture_output=True, text=True)
    expect(r.returncode == 0 and os.path.exists(f'{bundle}/report.json'), f'machine alone: status {r.returncode}: {r.stdout} {r.stderr}')
    whole, page = read_report(bundle)
    check_form(whole, page)
    expect([s['name'] for s in whole['steps']] == ['machine'] and 'commit' in whole['bundle'], f"one step: {whole['steps']} {whole['bundle']}")
    r = subprocess.run([f'{bundle}/run', '--seconds', '2', 'machine'], cwd=TMP, capture_output=True, text=True)
    expect(r.returncode == 1 and 'not begun: the 2 s for all steps are over' in r.stdout, f'--seconds 2: status {r.returncode}: {r.stdout}')
    r = subprocess.run([f'{bundle}/run', 'nobody'], capture_output=True, text=True)
    expect(r.returncode == 2 and 'no step is called nobody; there are machine' in r.stderr, f'a name that is none: {r.returncode} {r.stderr}')


def check_stop(bundle):
    """A run that is told to stop takes everything with it, and reports what it has."""
    out = f'{TMP}/stopped'
    os.makedirs(out)
    p = subprocess.Popen([f'{bundle}/run', '--steps', f'{TMP}/steps', '--output', out, 'machine', 'hangs'], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while 'sleep 331' not in sleepers() and time.monotonic() < until:
        time.sleep(0.05)
    p.terminate()
    text = p.communicate(timeout=20)[0]
    expect(p.returncode == 130 and text.endswith('stopped\n'), f'stopped: status {p.returncode}: {text[-200:]}')
    whole, _ = read_report(out)
    expect([s['name'] for s in whole['steps']] == ['machine', 'hangs'], 'a stopped run reports what it has')


def check_stubborn(bundle):
    """A supervisor that cannot even be asked to end, as one whose step hangs in the kernel."""
    steps = f'{TMP}/stubborn'
    os.makedirs(steps)
    with open(f'{steps}/stubborn.py', 'w') as f:
        f.write('"""Stops its supervisor."""\nimport os\nimport signal\nimport time\nLIMIT = 3\n\n\ndef run(bed, report, quick):\n'
                '    os.kill(os.getppid(), signal.SIGSTOP)\n    time.sleep(334)\n')
    r = subprocess.run([sys.executable, '-c', f'import sys\nsys.path.insert(0, {bundle!r} + "/tests/gpu")\nsys.argv = ["run", "--steps", {steps!r}, '
                        f'"--output", {TMP!r}, "stubborn"]\nimport run\nrun.STUBBORN = 1\nsys.exit(run.main())'], capture_output=True, text=True)
    expect(r.returncode == 1 and 'no end 1 s after its limit of 3 s, whatever was done' in r.stdout, f'stubborn: {r.returncode} {r.stdout} {r.stderr}')


def bare_root(bundle, *more):
    """bwrap's words for a root with libc, libstdc++, a shell and three programs; the bundle is read-only there."""
    lib = os.path.dirname(os.path.realpath('/lib64/ld-linux-x86-64.so.2'))
    words = ['bwrap', '--unshare-all', '--die-with-parent', '--tmpfs', '/', '--dir', '/tmp', '--dir', '/reports', '--proc', '/proc', '--dev', '/dev',
             '--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64', '--symlink', 'usr/bin', '/bin', '--clearenv',
             '--setenv', 'PATH', '/usr/bin', '--chdir', '/reports']
    for name in ('ld-linux-x86-64.so.2', 'libc.so.6', 'libm.so.6', 'libdl.so.2', 'librt.so.1', 'libpthread.so.0', 'libstdc++.so.6', 'libgcc_s.so.1'):
        path = next(p for p in (f'{lib}/{name}', f'/usr/lib/x86_64-linux-gnu/{name}') if os.path.exists(p))
        words += ['--ro-bind', os.path.realpath(path), f'/usr/lib/x86_64-linux-gnu/{name}']
    words += ['--ro-bind', os.path.realpath('/lib64/ld-linux-x86-64.so.2'), '/usr/lib64/ld-linux-x86-64.so.2']
    for name in ('sh', 'env', 'cat', 'dirname'):
        words += ['--ro-bind', os.path.realpath(shutil.which(name)), f'/usr/bin/{name}']
    return words + ['--ro-bind', bundle, '/opt/the bundle', *more]


def check_bare(bundle, user):
    steps = f'{TMP}/bare-steps'
    os.makedirs(steps, exist_ok=True)
    with open(f'{steps}/bare.py', 'w') as f:
        f.write(BARE)
    more = ['--ro-bind', steps, '/steps', *(['--uid', user] if user else [])]
    if not os.path.exists(f'{bundle}/sys/python/bin/python3'):
        print("the bundle has no python3: the machine's own is lent to the bare root")
        more += ['--ro-bind', '/usr', '/usr']
    if subprocess.run([*bare_root(bundle, *more), 'sh', '-c', ':'], capture_output=True).returncode:
        print('bubblewrap makes no containers here: the bundle is not tried in a bare root')
        return
    r = subprocess.run([*bare_root(bundle, *more), 'sh', '-c', '"/opt/the bundle/run" --steps /steps machine bare; echo $?; cat report.json'],
                       capture_output=True, text=True)
    text, _, data = r.stdout.partition('\n{\n')
    expect(text.endswith('/reports/report.txt\n0'), f'in a bare root, user {user}: {text} {r.stderr} {data[-3000:] if "failed" in text else ""}')
    if data:
        whole = json.loads('{\n' + data)
        if os.path.exists(f'{bundle}/sys/python/bin/python3'):
            taken = {'libX11.so.6', 'libEGL.so.1', 'libGLdispatch.so.0', 'Xvfb', 'glmark2', 'python3'}
            expect(taken <= set(whole['taken']), f"taken: {whole['taken']}")
        outputs = {x['figures'].get('output') for s in whole['steps'] for x in s['results'] if x['name'].startswith('cuda ')}
        expect(len(outputs) == 1 and None not in outputs, f'cuda_vectoradd in a bare root: {outputs}')


VENDOR = '''"""OpenGL by a vendor that glvnd does not find by itself."""
QUICK = LIMIT = 40

def run(bed, report, quick):
    bed.daemon()
    for program in (['gl_frames', '2'], ['cuda_vectoradd']):
        command = [bed.program(program[0]), *program[1:]]
        for where, r in (('as a guest', bed.guest('one', command)), ('directly', bed.direct(command))):
            report.result(f'{program[0]} {where}', 'ok' if r.returncode == 0 else 'failed', r.stderr, output=r.stdout)
    report.log(bed.log_text())
'''


def check_vendor(bundle, whole_driver):
    """Mesa's EGL and softcuda in the place of NVIDIA's driver, which lies in a folder of its own; or no CUDA, and no JSON file for glvnd.
    The machine's libEGL.so.1 is broken, so the bundle's glvnd is used, and its libpng16.so.16 loads and lacks everything, as one that is too old."""
    mesa, egl, png = (os.path.realpath(f'/usr/lib/x86_64-linux-gnu/{n}') for n in ('libEGL_mesa.so.0', 'libEGL.so.1', 'libpng16.so.16'))
    steps, out, driver = (f'{TMP}/vendor-{whole_driver}/{n}' for n in ('steps', 'out', 'driver'))
    for folder in (steps, out, f'{driver}/lib64', f'{driver}/share/glvnd/egl_vendor.d'):
        os.makedirs(folder)
    with open(f'{steps}/vendor.py', 'w') as f:
        f.write(VENDOR)
    shutil.copyfile(mesa, f'{driver}/lib64/libEGL_nvidia.so.0')
    subprocess.run(['gcc', '-shared', '-o', f'{TMP}/vendor-{whole_driver}/empty.so', '-Wl,-soname,libpng16.so.16', '-x', 'c', '/dev/null'], check=True)
    if whole_driver:
        shutil.copyfile(f'{BUILD}/lib/softcuda/libcuda.so.1', f'{driver}/lib64/libcuda.so.1')
        with open(f'{driver}/share/glvnd/egl_vendor.d/10_nvidia.json', 'w') as f:
            json.dump({'file_format_version': '1.0.0', 'ICD': {'library_path': 'libEGL_nvidia.so.0'}}, f)
    words = ['bwrap', '--unshare-all', '--uid', '0', '--gid', '0', '--die-with-parent', '--dev-bind', '/', '/', '--tmpfs', '/usr/share/glvnd',
             '--tmpfs', '/usr/local', '--ro-bind', driver, '/usr/local/nvidia', '--ro-bind', '/dev/null', egl,
             '--ro-bind', f'{TMP}/vendor-{whole_driver}/empty.so', png, '--dev', '/dev',
             '--ro-bind', f'{steps}/vendor.py', '/dev/nvidiactl', '--setenv', 'LD_LIBRARY_PATH', '']
    if subprocess.run([*words, 'true'], capture_output=True).returncode:
        print('bubblewrap makes no containers here: a vendor in a folder of its own is not tried')
        return
    python = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable
    r = subprocess.run([*words, python, f'{bundle}/tests/gpu/run.py', '--steps', steps, '--output', out, 'machine', 'vendor'],
                       capture_output=True, text=True)
    whole, page = read_report(out)
    results = [x for s in whole['steps'] if s['name'] == 'vendor' for x in s['results']]
    outputs = {x['figures'].get('output') for x in results}
    # A /dev/nvidiactl without a driver that works is told. With one, programs of the direct side are given no softcuda.
    failed = [x['name'] for s in whole['steps'] for x in s['results'] if x['outcome'] == 'failed']
    expect(failed == ([] if whole_driver else ['driver']) and len(results) == 4 and len(outputs) == 2 and whole['gpu'] == whole_driver and
           {'libEGL.so.1', 'libpng16.so.16'} <= set(whole['taken']),
           f'a driver, whole {whole_driver}: status {r.returncode}, taken {whole["taken"]}, {r.stderr}\n{page}\n{whole["steps"][-1]["log"]}')


def check_python(bundle):
    """Python 3.8 understands all of it."""
    for path in glob.glob(f'{bundle}/**/*.py', recursive=True):
        with open(path) as f:
            try:
                ast.parse(f.read(), feature_version=(3, 8))
            except SyntaxError as e:
                if '/sys/' not in path:
                    wrong.append(f'{path}: not Python 3.8: {e}')


def main():
    if not shutil.which('dpkg') or not shutil.which('Xvfb'):
        e2e.skip('the bundle is made of Debian packages, which are not installed here')
    # On a newer Debian the build itself needs its glibc; what is checked there is all but that.
    glibc = '2.35' if own_glibc() in ('2.35', '2.36') else own_glibc()
    made, bundle = f'{TMP}/made', f'{TMP}/moved to/a place'
    r = make(made, '--glibc', glibc)
    if r.returncode:
        e2e.fail(f'bundle.py: status {r.returncode}: {r.stderr}')
    print(r.stdout.strip())
    size = int(subprocess.run(['du', '-sb', made], capture_output=True, text=True).stdout.split()[0])
    expect(size <= LIMIT, f'{size} bytes, more than 60 MiB')
    os.makedirs(os.path.dirname(bundle))
    os.rename(made, bundle)

    for args, text in ((('--limit', '10'), 'more than 10; the biggest: '), (('--glibc', '2.20'), 'newer than glibc 2.20: build/bench/programs/')):
        r = make(made, '--glibc', glibc, *args)
        left = glob.glob(f'{made}*')
        expect(r.returncode == 1 and text in r.stderr and not left, f'{args}: status {r.returncode}: {r.stderr} {left}')
    check_python(bundle)
    check_pairs()
    for check, *args in ((check_whole,), (check_choice,), (check_stop,), (check_stubborn,), (check_bare, ''), (check_bare, '1234'),
                         (check_vendor, True), (check_vendor, False)):
        start = time.monotonic()
        check(bundle, *args)
        print(f'{check.__name__}: {time.monotonic() - start:.1f} s')
    expect(not sleepers(), f'still running: {sleepers()}')
    left = [n for n in os.listdir(TMP) if n.startswith('xengpu-gpu-')]
    expect(not left, f'left in the temporary folder: {left}')
    for text in wrong:
        print('WRONG:', text)
    return 1 if wrong else 0


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(main())
