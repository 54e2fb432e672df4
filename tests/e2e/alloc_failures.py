#!/usr/bin/env python3
# Memory that runs out, at each place where the daemon, its spawner, an agent or a worker asks for some: a guest gets an error that says so, nobody crashes or
# hangs, and what comes next works. XG_RUNS: how many places of each are tried, spread over all; 0: every one. XG_PROGRAMS: others.
# limit: 300
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

NOBODY, DAEMON, WORKER, AGENT, SPAWNER = range(5)
runs = int(os.environ.get('XG_RUNS', '12'))
PROGRAMS = os.environ.get('XG_PROGRAMS', 'cuda_vectoradd cuda_streams cuda_module gl_modern gl_share').split()
CONFIGURATION = '[pgpu gpu0]\n[type default]\n[type small]\nweight = 5\n[guest nobody]\ntype = small\npgpu = gpu0\n'


class Failing:
    def __init__(self, path):
        self.path = path
        self.set(NOBODY)

    def set(self, whose, before=0xffffffff):
        with open(self.path, 'r+b' if os.path.exists(self.path) else 'w+b') as f:
            f.write(struct.pack('<IIII', whose, before, 0, 0))

    def place(self, program):
        with open(self.path, 'rb') as f:
            place = hex(struct.unpack('<4I', f.read(16))[3])
        try:
            return subprocess.run(['addr2line', '-fse', program, place], capture_output=True, text=True).stdout.replace('\n', ' ')
        except OSError:
            return place

    def calls(self):
        with open(self.path, 'rb') as f:
            return struct.unpack('<III', f.read(12))[2]


def operate(bed, n):
    """What the daemon does for a guest; whether all of it worked."""
    socket = ['--socket-dir', bed.sockets]
    good = bed.xengpu('attach', f'g{n}', *socket, timeout=30).returncode == 0
    try:
        apps = [raw.App(f'{bed.sockets}/g{n}/agent.sock', timeout=20) for _ in range(2)]
        good &= all(a.status == 0 for a in apps)
        for a in apps:
            a.close()
    except (OSError, EOFError):
        good = False
    for command in (['list'], ['types'], ['set', f'g{n}', 'weight=2'], ['reload']):
        good &= bed.xengpu(*command, *socket, timeout=30).returncode == 0
    good &= bed.xengpu('detach', f'g{n}', *socket, timeout=30).returncode == 0
    return good


def places(count):
    step = max(1, count // runs) if runs else 1
    return range(0, count, step)


bad = []


def run(bed, program):
    """(status, output, which may be anything); None: no end."""
    p = bed.start(bed.as_guest('guest', program), stdout=subprocess.PIPE)
    try:
        out, _ = p.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        bed.stop(p)
        return None, ''
    bed.stop(p)
    return p.returncode, out.decode(errors='replace')


def well(bed, what, log):
    """What is new in the log, at and behind `log`; where that ends."""
    if bed.daemon_process.poll() is not None:
        e2e.fail(f'{what}: the daemon ended with {bed.daemon_process.returncode}:\n{bed.log_text()[-3000:]}')
    text = bed.log_text()
    bad.extend(f'{what}: {line}' for line in text[log:].splitlines() if 'died of signal' in line or 'Sanitizer' in line or 'runtime error' in line)
    return len(text)


def application(bed, guest):
    """What becomes of an application: '' if it is served."""
    try:
        app = raw.App(f'{bed.sockets}/{guest}/agent.sock', timeout=20)
    except (OSError, EOFError) as e:
        return f'no answer: {e}'
    try:
        if app.status:
            return f'{app.status}: {app.text}'
        return 'hung up' if app.hung_up(0.3) else ''
    finally:
        app.close()


def helper(bed, fail, whose, name, program):
    """Each place of an agent, or of the spawner, on a guest of its own: who felt it was told that it was for want of memory."""
    socket = ['--socket-dir', bed.sockets]
    count, failed, log, n = 1, 0, len(bed.log_text()), -1
    while n < count:
        guest = f'{name}{n + 1}'
        fail.set(whose, n if n >= 0 else 0xffffffff)
        attached = bed.xengpu('attach', guest, *socket, timeout=30)
        said = [application(bed, guest) for _ in range(2)]
        calls, place = fail.calls(), fail.place(f'{bed.build}/bin/{program}') if n >= 0 else ''
        fail.set(NOBODY)
        count = calls if n < 0 else count
        text = bed.log_text()[log:]
        log = well(bed, f"{name}'s {n}, {place}", log)
        what = f"{name}'s {n}, {place}: {attached.stderr}{said}"
        if attached.returncode or any('no answer' in s for s in said):
            bad.append(what)
        elif n >= 0 and calls > n and 'memory' not in text + ''.join(said):
            bad.append(f'{what}: nothing says that memory ran out:\n{text}')
        failed += any(said)
        if application(bed, guest):
            bad.append(f'{what}: the next application is not served')
        bed.xengpu('detach', guest, *socket, timeout=30)
        n += 1
    if count < 3:
        e2e.fail(f"{count} calls of the {name}'s: the library is not in it")
    print(f'{name}: {count} places, {failed} were noticed')


with e2e.Bed() as bed:
    fail = Failing(f'{bed.tmp}/fail')
    os.chmod(f'{bed.tmp}/fail', 0o666)
    bed.env.update(LD_PRELOAD=f'{bed.plain}/tests/tools/libfailalloc.so', XG_FAIL_FILE=f'{bed.tmp}/fail')
    with open(f'{bed.tmp}/conf', 'w') as f:
        f.write(CONFIGURATION)
    bed.daemon(['--config', f'{bed.tmp}/conf'])
    del bed.env['LD_PRELOAD']

    fail.set(DAEMON)
    if not operate(bed, 0):
        e2e.fail('nothing works')
    count, failed, log = fail.calls(), 0, 0
    if count < 10:
        e2e.fail(f'{count} calls of the daemon: the library is not in it')
    for n in places(count):
        fail.set(DAEMON, n)
        failed += not operate(bed, n + 1)
        place = fail.place(f'{bed.build}/bin/xengpud')
        fail.set(NOBODY)
        log = well(bed, f"the daemon's {n}, {place}", log)
        bed.xengpu('detach', f'g{n + 1}', '--socket-dir', bed.sockets, timeout=30)
    if not operate(bed, 0):
        e2e.fail(f'nothing works afterwards:\n{bed.log_text()[-3000:]}')
    print(f'daemon: {len(places(count))} of {count} places, {failed} were noticed')

    helper(bed, fail, AGENT, 'agent', 'xengpu-agent')
    helper(bed, fail, SPAWNER, 'spawner', 'xengpud')

    if bed.xengpu('attach', 'guest', '--socket-dir', bed.sockets, timeout=30).returncode:
        e2e.fail('no guest')
    for name in PROGRAMS:
        program = [f'{bed.build}/tests/programs/{name}']
        fail.set(WORKER)
        r = bed.guest('guest', program)
        if r.returncode:
            e2e.fail(f'{name}: {r.returncode}: {r.stdout}{r.stderr}')
        count, failed = fail.calls(), 0
        if count < 10:
            e2e.fail(f"{count} calls of a worker's: the library is not in it")
        for n in places(count):
            fail.set(WORKER, n)
            status, out = run(bed, program)
            place = fail.place(f'{bed.build}/bin/xengpud')
            fail.set(NOBODY)
            log = well(bed, f"{name}: the worker's {n}, {place}", log)
            if status is None or status < 0 or status >= 128:
                bad.append(f"{name}: the worker's {n}, {place}: status {status}: {out[-500:]}")
            failed += status != 0
        if bed.guest('guest', program).returncode:
            e2e.fail(f'{name} does not work afterwards')
        print(f'{name}: {len(places(count))} of {count} places, {failed} runs failed')
    if bad:
        e2e.fail('\n'.join(bad))
