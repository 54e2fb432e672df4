#!/usr/bin/env python3
# What a worker that its application has taken over finds: addresses that are not the daemon's, nobody else's processes, and its own end.
# limit: 120
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

ESCAPED = f'xg-escaped-{os.getpid()}'


def tool(bed, *args):
    r = bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40)
    if r.returncode:
        e2e.fail(f'{args}: {r.stderr}')


def workers(bed):
    return [c['worker'] for g in bed.list()['guests'] for c in g['channels']]


def open_app(bed, guest):
    """An application, and the process of its worker."""
    before = workers(bed)
    app = raw.App(f'{bed.sockets}/{guest}/agent.sock')
    new = []

    def started():
        new[:] = [w for w in workers(bed) if w and w not in before]
        return new
    e2e.wait_for(started, 10, 'no worker')
    return app, new[0]


def places(pid):
    """Where a process has the program, the C library, its heap and its stack."""
    found = {}

    def whole():  # not at once in one that has just been executed
        found.clear()
        with open(f'/proc/{pid}/maps') as f:
            for line in f:
                name = re.search(r'(xengpud|libc\.so\.6|\[heap\]|\[stack\])', line)
                if name:
                    found.setdefault(name[1], line.split('-')[0])
        return len(found) == 4
    e2e.wait_for(whole, 5, lambda: f'process {pid}: {found}')
    return found


def executed(pid):
    with open(f'/proc/{pid}/cmdline') as f:
        return f.read().startswith('xengpu-worker')


def layout(bed, daemon):
    apps = [open_app(bed, g) for g in ('one', 'one', 'two')]
    e2e.wait_for(lambda: all(executed(w) for _, w in apps), 5, 'workers are not executed')
    seen = {}
    for pid in [daemon.pid] + [w for _, w in apps]:
        for name, address in places(pid).items():
            other = seen.setdefault((name, address), pid)
            if other != pid:
                e2e.fail(f'{name} lies at {address} in processes {other} and {pid}')
    for app, _ in apps:
        app.close()


def ended(pid):
    """Gone, or gone but for who waits for it."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


def spawner_killed(bed, daemon):
    app, worker = open_app(bed, 'one')
    with open(f'/proc/{worker}/status') as f:
        spawner = int(re.search(r'PPid:\s+(\d+)', f.read())[1])
    os.kill(spawner, signal.SIGKILL)
    e2e.wait_for(lambda: ended(worker), 5, 'a worker outlives its spawner')
    if daemon.wait(10) != 1 or 'the spawner died' not in bed.log_text():
        e2e.fail(f'the daemon without its spawner: status {daemon.returncode}\n{bed.log_text()}')
    app.close()


def said(bed, pattern, seconds=10):
    e2e.wait_for(lambda: re.search(pattern, bed.log_text()), seconds, lambda: f'no line {pattern!r} in\n{bed.log_text()}')


def escape(bed, what, *args):
    """A daemon whose guest 'bad' has a worker that tries `what`, beside one of the guest 'good'; that one's application and process."""
    config = os.path.join(bed.tmp, 'escape.conf')
    with open(config, 'w') as f:
        f.write(f'[pgpu x]\ncuda = {bed.plain}/tests/programs/libescaping_driver.so\ngl = none\n')
    bed.env.update(XG_ESCAPE=what, XG_ESCAPED=str(os.getpid()), LD_LIBRARY_PATH=f'{bed.plain}/lib/softcuda')
    bed.daemon(['--config', config, *args])
    del bed.env['LD_LIBRARY_PATH']
    for name in ('good', 'bad'):
        tool(bed, 'attach', name)
    app, worker = open_app(bed, 'good')
    bed.start(bed.as_guest('bad', [f'{bed.plain}/tests/programs/cuda_vectoradd']))
    return app, worker


def lives_on(bed, app, worker, what):
    if bed.daemon_process.poll() is not None or ended(worker) or app.hung_up(0.3):
        e2e.fail(f'{what}: a worker got at others\n{bed.log_text()}')
    tool(bed, 'list')


def spaces():
    """Whether this user may make the namespaces that a worker is put into."""
    return shutil.which('unshare') and subprocess.run(['unshare', '-Ur', '--fork', '--pid', '--mount-proc', 'true'], stderr=subprocess.DEVNULL).returncode == 0


def killing(bed):
    app, worker = escape(bed, 'kill')
    with open(f'/proc/{worker}/status') as f:
        numbers = re.search(r'NSpid:\s+(.*)', f.read())[1].split()
    # In one it is alone, and finds nobody.
    calls = ('kill', 'tgkill', 'tkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo', 'prlimit64')
    for call in calls[:1] if numbers[-1] == '1' else calls:
        said(bed, rf'warning xengpud: bad: cuda_vectoradd \(worker \d+\): the sandbox refuses system call {call} \(\d+\), arguments ')
    lives_on(bed, app, worker, 'kill')
    with open(f'/proc/{worker}/limits') as f:
        limits = f.read()
    if not re.search(r'Max core file size +1 +1 ', limits) or re.search(r'Max open files +0 ', limits):
        e2e.fail(f'limits of a worker: {limits}')
    # An end in order is one, whatever process 1 is to the kernel.
    begun = time.monotonic()
    app.close()
    said(bed, r'good: raw \(process \d+\) ended: it closed its channel')
    e2e.wait_for(lambda: ended(worker), 5, 'a worker does not end')
    if time.monotonic() - begun > 0.45:
        print(f'the end took {time.monotonic() - begun:.2f} s')
    bed.stop(bed.daemon_process)
    return numbers[-1] == '1'


def looking(bed):
    app, _ = escape(bed, 'look')
    own = r'bad: cuda_vectoradd \(worker \d+\): '
    said(bed, own + r'the sandbox refuses system call mkdir \(83\)')
    said(bed, own + r'the sandbox refuses system call rmdir')
    if os.path.exists(f'/dev/shm/{ESCAPED}'):
        e2e.fail('a worker made a file')
    app.close()
    bed.stop(bed.daemon_process)
    # the same calls, allowed and told
    app, _ = escape(bed, 'look', '--sandbox=report')
    own += 'sandbox report: '
    said(bed, own + r'it could not open /etc/hostname for reading')
    said(bed, own + f'it could not make the file /dev/shm/{ESCAPED}')
    said(bed, own + rf'system call mkdir \(83\) of /tmp/{ESCAPED} would be refused')
    said(bed, own + rf'system call rmdir \(84\) of /tmp/{ESCAPED} would be refused')
    e2e.wait_for(lambda: os.path.exists(f'/dev/shm/{ESCAPED}'), 5, 'report refuses as well')
    os.unlink(f'/dev/shm/{ESCAPED}')
    if re.search('could not open /(usr|proc|sys)', bed.log_text()):
        e2e.fail(f'what is allowed is reported: {bed.log_text()}')
    app.close()
    bed.stop(bed.daemon_process)


def flooding(bed):
    before = len(bed.log_text().splitlines())
    app, worker = escape(bed, 'flood')
    said(bed, 'the sandbox refuses system call mkdir')
    said(bed, 'the sandbox refuses so many of its system calls that each one has to wait now')
    lives_on(bed, app, worker, 'flood')
    used = []
    for _ in range(2):
        with open(f'/proc/{bed.daemon_process.pid}/stat') as f:
            used.append(sum(int(n) for n in f.read().rsplit(')', 1)[1].split()[11:13]))
        time.sleep(1)
    if used[1] - used[0] > 30 * os.sysconf('SC_CLK_TCK') // 100:
        e2e.fail(f'a flood of refused calls costs the daemon {used[1] - used[0]} ticks in a second')
    if len(bed.log_text().splitlines()) - before > 40:
        e2e.fail(f'a flood of refused calls is one of lines:\n{bed.log_text()}')
    app.close()
    bed.stop(bed.daemon_process)


def scribbling(bed):
    app, worker = escape(bed, 'page', '--test-mode')
    said(bed, r"error xengpud: bad: a worker wrote numbers that are out of range into the scheduler's page: \d+ were corrected; the guest's workers are ended")
    said(bed, r'bad: cuda_vectoradd \(process \d+\) ended')
    lives_on(bed, app, worker, 'garbage in the page')
    bad = next(g for g in bed.list()['guests'] if g['name'] == 'bad')
    if bad['memory_bytes'] or bad['wants'] or bad['channels']:
        e2e.fail(f'left of a page of garbage: {bad}')
    r = bed.guest('good', [f'{bed.plain}/tests/programs/burn', '1000000', '0.5', 'call'])
    if r.returncode:
        e2e.fail(f'another guest, afterwards: {r.stderr}')
    app.close()
    bed.stop(bed.daemon_process)


with e2e.Bed() as bed:
    daemon = bed.daemon()
    for name in ('one', 'two'):
        tool(bed, 'attach', name)
    layout(bed, daemon)
    spawner_killed(bed, daemon)
    killing(bed)
    looking(bed)
    flooding(bed)
    scribbling(bed)

# To the kernel a daemon of an ordinary user's, its agents and all workers are the same. If we may not become one we are one.
if os.geteuid() == 0 and e2e.others_reach(bed.build):
    home = tempfile.mkdtemp(prefix='xengpu-', dir='/tmp')  # ours is closed to others
    os.chown(home, 65534, 65534)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    try:
        with e2e.Bed(tmp=home) as bed:
            if killing(bed) != bool(spaces()):
                e2e.fail('a worker is not alone where it could be, or the other way round')
    finally:
        shutil.rmtree(home, ignore_errors=True)
