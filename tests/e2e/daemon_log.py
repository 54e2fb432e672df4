#!/usr/bin/env python3
# The log: each line has a time and a level, or the journal's prefix where the journal is; applications' starts and ends are events, and tell what
# ended them and what they used; a normal end is no complaint.
# san: address
# limit: 120
import fcntl
import mmap
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

PLAIN = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (info|warning|error) xengpud: \S.*')
JOURNAL = re.compile(r'<[346]>xengpud: \S.*')


def check_lines(text, form):
    for line in text.splitlines():
        if not form.fullmatch(line) and not re.search('Sanitizer|softcuda', line):
            e2e.fail(f'not a line as it should be: {line!r}')


def tool(bed, *args):
    r = bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40)
    if r.returncode:
        e2e.fail(f'{args}: {r.stderr}')


def says(bed, pattern, seconds=10):
    e2e.wait_for(lambda: re.search(pattern, bed.log_text()), seconds, lambda: f'no line {pattern!r} in\n{bed.log_text()}')


def noise(app):
    """What no frontend writes: the index page of the first ring is all ones."""
    size = 3 * raw.PAGE
    with mmap.mmap(app.fds[0], size) as m:
        m[raw.PAGE:2 * raw.PAGE] = b'\xff' * raw.PAGE
    for fd in app.fds[1:]:
        os.write(fd, (1).to_bytes(8, 'little'))


with e2e.Bed() as bed:
    bed.env['TZ'] = 'XST-5:30'  # a sandboxed worker has no files to find this in
    daemon = bed.daemon(['--test-mode'])
    tool(bed, 'attach', 'web')

    # an application's life: so many times 1 ms of device time, or a little more
    r = bed.guest('web', [f'{bed.plain}/tests/programs/burn', '1000000', '0.5', 'call'])
    if r.returncode:
        e2e.fail(f'burn: {r.stderr}')
    says(bed, r' info xengpud: web: burn \(process \d+\) started; its worker is process \d+\n')
    says(bed, r' info xengpud: web: burn \(process \d+\) ended: it closed its channel; it had used (\d+\.\d+) s')
    used = float(re.search(r'it had used (\d+\.\d+) s', bed.log_text())[1])
    burnt = int(re.search(r'\d+', r.stdout)[0])
    if not burnt or not 0.001 * burnt - 0.001 <= used < 0.001 * burnt + 2:
        e2e.fail(f'{burnt} ms of device time became {used} s')

    # one that is killed has closed its channel too: the kernel did it
    app = raw.App(f'{bed.sockets}/web/agent.sock', 'line\nbreak')
    app.close()
    says(bed, r' info xengpud: web: line\?break \(process \d+\) ended: it closed its channel')

    # a worker that is killed, and one whose application breaks the protocol, say so from within the sandbox
    app = raw.App(f'{bed.sockets}/web/agent.sock', 'killed')
    e2e.wait_for(lambda: all(c['worker'] for c in bed.list()['guests'][0]['channels']), 10, 'no worker')
    os.kill(bed.list()['guests'][0]['channels'][0]['worker'], signal.SIGKILL)
    says(bed, r' warning xengpud: web: killed \(process \d+\) ended: its worker died of signal 9')
    app.close()
    app = raw.App(f'{bed.sockets}/web/agent.sock', 'noisy')
    noise(app)
    says(bed, r'\+05:30 warning xengpud: web: noisy \(worker \d+\): ring 0: protocol error')
    says(bed, r'noisy \(process \d+\) ended: the application broke the protocol')
    app.close()

    # a guest that is detached while it works
    app = raw.App(f'{bed.sockets}/web/agent.sock', 'last')
    tool(bed, 'detach', 'web')
    says(bed, r' info xengpud: web: last \(process \d+\) ended: its device was closed')
    says(bed, r' info xengpud: web: agent: the daemon closed the device\n')  # nothing is wrong
    app.close()
    bed.stop(daemon)
    check_lines(bed.log_text(), PLAIN)
    if re.search('unreadable|malformed', bed.log_text()):
        e2e.fail(f'normal ends are complained of: {bed.log_text()}')

    # a worker that misuses its standard error: each line is in its own guest's name, none is lost that was there, and there are not too many
    config = os.path.join(bed.tmp, 'x.conf')
    with open(config, 'w') as f:
        f.write(f'[pgpu x]\ncuda = {bed.plain}/tests/programs/libnoisy_driver.so\ngl = none\n')
    daemon = bed.daemon(['--config', config])
    before = bed.log_text()
    tool(bed, 'attach', 'web')
    says(bed, f' info xengpud: pgpu x: CUDA: 2026-01-01T00:00:00.000.00:00 error xengpud: other: forged\n')  # by the child that looks at it
    says(bed, f' error xengpud: pgpu x: CUDA: an error\n')
    app = raw.App(f'{bed.sockets}/web/agent.sock', 'driven')
    own = r'xengpud: web: driven \(worker \d+\): '
    says(bed, f' info {own}2026-01-01T00:00:00.000.00:00 error xengpud: other: forged\n')
    says(bed, f' info {own}.\\[2Ja terminal')
    says(bed, f' error {own}an error\n')
    says(bed, f' info {own}<9>no level\n')
    says(bed, f' info {own}line 50\n')
    app.close()
    bed.stop(daemon)
    lines = re.findall(own + 'line', bed.log_text())
    if not bed.log_text().startswith(before) or not 50 < len(lines) <= 250:
        e2e.fail(f'{len(lines)} lines of a flood; what was there before is {"" if bed.log_text().startswith(before) else "not "}there')
    check_lines(bed.log_text(), PLAIN)

    # programs of another release, again and again: the agent's lines are no more than the daemon's would be
    daemon = bed.daemon()
    tool(bed, 'attach', 'web')
    before = len(bed.log_text().splitlines())
    for _ in range(1000):
        raw.App(f'{bed.sockets}/web/agent.sock', version=99).close()
    tool(bed, 'detach', 'web')
    bed.stop(daemon)
    lines = [l for l in bed.log_text().splitlines()[before:] if ' web: agent: ' in l and 'speaks protocol version 99' in l]
    if not 150 < len(lines) < 800:
        e2e.fail(f'{len(lines)} lines of a thousand refused programs')

    # a log that nobody reads: lines are lost, and counted, and nobody waits
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    daemon = bed.start([f'{bed.build}/bin/xengpud', '--local', '--socket-dir', bed.sockets], stderr=write)
    e2e.wait_for(lambda: bed.xengpu('list', '--socket-dir', bed.sockets).returncode == 0, 20, 'no daemon with a pipe')
    tool(bed, 'attach', 'web')
    for _ in range(60):
        raw.App(f'{bed.sockets}/web/agent.sock', 'unread').close()
    tool(bed, 'list')
    text = os.read(read, 65536).decode()
    tool(bed, 'detach', 'web')
    bed.stop(daemon)
    os.close(write)
    with os.fdopen(read) as f:
        rest = f.read()
    check_lines(text + rest, PLAIN)
    if text.count('unread') > 50 or not re.search(r' warning xengpud: \d+ lines could not be written here', rest):
        e2e.fail(f'{text.count("unread")} lines in a small pipe, and then {rest}')

    # without standard input, output and error: what the daemon opens must not take their places, and be written into
    program = [f'{bed.build}/bin/xengpud', '--local', '--socket-dir', bed.sockets]
    daemon = bed.start(['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', *program])
    e2e.wait_for(lambda: bed.xengpu('list', '--socket-dir', bed.sockets).returncode == 0, 20, 'no daemon without standard error')
    places = [os.readlink(f'/proc/{daemon.pid}/fd/{n}') for n in range(3)]
    if places != 3 * ['/dev/null']:
        e2e.fail(f'descriptors 0 to 2 are {places}')
    tool(bed, 'attach', 'web')
    app = raw.App(f'{bed.sockets}/web/agent.sock', 'quiet')
    noise(app)
    e2e.wait_for(lambda: app.hung_up(0.1), 10, 'a protocol error is not noticed')
    app.close()
    tool(bed, 'detach', 'web')
    bed.stop(daemon)

    # the journal, and something else than the journal of a service that was started with it
    os.unlink(bed.log)
    with open(bed.log, 'w') as f:
        at = os.fstat(f.fileno())
    bed.env['JOURNAL_STREAM'] = f'{at.st_dev}:{at.st_ino}'
    daemon = bed.daemon()
    tool(bed, 'attach', 'web')
    app = raw.App(f'{bed.sockets}/web/agent.sock', 'quiet')
    noise(app)
    says(bed, r'<4>xengpud: web: quiet \(worker \d+\): ring 0: protocol error')
    app.close()
    bed.stop(daemon)
    check_lines(bed.log_text(), JOURNAL)
    bed.env['JOURNAL_STREAM'] = f'{at.st_dev}:{at.st_ino + 1}'
    os.truncate(bed.log, 0)
    bed.stop(bed.daemon())
    check_lines(bed.log_text(), PLAIN)
