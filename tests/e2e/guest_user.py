#!/usr/bin/env python3
# Whose a guest is: the user who is told to have it, else the one who attached it, and nobody else; connections that say nothing keep nobody waiting.
# san: address
# limit: 120
import os
import resource
import socket
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

NOBODY = 65534


def tool(bed, *args, status=0):
    r = bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40)
    if r.returncode != status:
        e2e.fail(f'{args}: status {r.returncode}: {r.stderr}')
    return r.stderr


def socket_is(bed, name, owner, mode):
    st = os.stat(f'{bed.sockets}/{name}/agent.sock')
    if (st.st_uid, stat.S_IMODE(st.st_mode)) != (owner, mode):
        e2e.fail(f"{name}: the socket is user {st.st_uid}'s, mode {stat.S_IMODE(st.st_mode):o}")
    user = next(g for g in bed.list()['guests'] if g['name'] == name)['user']
    if user != (owner if mode == 0o600 else None):
        e2e.fail(f'{name}: list says that its user is {user}')


def reaches(bed, name, uid):
    """Whether a program of that user gets a channel."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os._exit(raw.App(f'{bed.sockets}/{name}/agent.sock').status != 0)
        except PermissionError:
            os._exit(2)
        except BaseException:
            os._exit(3)
    status = os.waitpid(pid, 0)[1] >> 8
    if status not in (0, 2):
        e2e.fail(f'{name}, user {uid}: {status}')
    return status == 0


def silence(bed):
    """More connections than wait at a time, none of which says anything: a program is served at once."""
    path = f'{bed.sockets}/own/agent.sock'
    silent = []
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(path)
        silent.append(s)
    for _ in range(3):
        begun = time.monotonic()
        app = None
        while not app:
            try:
                app = raw.App(path)
            except BlockingIOError:  # raw's socket does not wait for room among those that are to be accepted
                time.sleep(0.01)
        took = time.monotonic() - begun
        if app.status or took > 2:
            e2e.fail(f'beside silent connections: status {app.status} after {took:.1f} s')
        app.close()
    for s in silent:
        s.close()


def descriptors_of(bed, pid):
    """When nothing of what was there before is on its way out any more: workers that end, clients that have left."""
    def listed():
        return set(map(int, os.listdir(f'/proc/{pid}/fd')))

    def still():
        before = listed()
        time.sleep(0.3)
        return before == listed()
    e2e.wait_for(lambda: not any(g['channels'] for g in bed.list()['guests']), 20, 'workers outlive their programs')
    e2e.wait_for(still, 20, f'the descriptors of process {pid} do not stand still')
    return listed()


def descriptors(bed, path, pid, line):
    """A process that has no descriptor left says so, and goes on when it has one."""
    try:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    except PermissionError:  # of another user, which takes CAP_SYS_RESOURCE
        print(f'the limits of process {pid} cannot be changed here')
        return
    if soft != hard:
        e2e.fail(f'process {pid} may have {soft} descriptors, and could have {hard}')
    taken = descriptors_of(bed, pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(taken) + 1)) - taken), hard))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if 'control' in path else socket.SOCK_SEQPACKET) as s:
        s.connect(path)
        e2e.wait_for(lambda: line in bed.log_text(), 5, lambda: f'no {line!r} in\n{bed.log_text()}')
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    bed.list()


def agent_of(name, sockets):
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline') as f:
                if f'{sockets}/{name}/agent.sock' in f.read().split('\0'):
                    return int(pid)
        except OSError:
            pass
    e2e.fail(f'{name} has no agent')


with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')
    with open(config, 'w') as f:
        f.write('[guest own]\n[guest open]\nuser = everybody\n' + (f'[guest given]\nuser = {NOBODY}\n' if os.geteuid() == 0 else ''))
    bed.daemon(['--config', config])
    e2e.wait_for(lambda: all(g['state'] == 'connected' for g in bed.list()['guests']), 30, 'guests are not ready')
    socket_is(bed, 'own', os.geteuid(), 0o600)
    socket_is(bed, 'open', os.stat(f'{bed.sockets}/open/agent.sock').st_uid, 0o666)
    tool(bed, 'attach', 'asked')
    socket_is(bed, 'asked', os.geteuid(), 0o600)
    if 'there is no such user' not in tool(bed, 'attach', 'x', 'user=no-such-user', status=1):
        e2e.fail('a user who does not exist')
    silence(bed)
    descriptors(bed, f'{bed.sockets}/control.sock', bed.daemon_process.pid,
                "a connection cannot be accepted: Too many open files; LimitNOFILE in the service's unit, or 'ulimit -n', allows more")
    descriptors(bed, f'{bed.sockets}/own/agent.sock', agent_of('own', bed.sockets), 'own: no application can connect: Too many open files; LimitNOFILE')
    if raw.App(f'{bed.sockets}/own/agent.sock').status:
        e2e.fail('no channel when there are descriptors again')
    if os.geteuid() == 0:
        socket_is(bed, 'given', NOBODY, 0o600)
        tool(bed, 'attach', 'named', 'user=nobody')
        socket_is(bed, 'named', NOBODY, 0o600)
        got = {(name, uid): reaches(bed, name, uid) for name in ('own', 'open', 'given', 'named') for uid in (NOBODY, 1234)}
        if [k for k, v in got.items() if v] != [('open', NOBODY), ('open', 1234), ('given', NOBODY), ('named', NOBODY)]:
            e2e.fail(f'who may use which guest: {got}')
    elif 'only a daemon that root runs' not in tool(bed, 'attach', 'x', 'user=0', status=1):
        e2e.fail("another user's guest")

    # Root asks an ordinary user's daemon: the guest is that user's, who could not give it away.
    if os.geteuid() == 0 and e2e.others_reach(bed.build):
        bed.sockets = os.path.join(bed.tmp, 'nobody')
        os.mkdir(bed.sockets)
        os.chown(bed.sockets, NOBODY, NOBODY)
        become = 'import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])'
        bed.start([sys.executable, '-c', become, f'{bed.build}/bin/xengpud', '--local', '--socket-dir', bed.sockets])
        e2e.wait_for(lambda: bed.xengpu('list', '--socket-dir', bed.sockets).returncode == 0, 20, "an ordinary user's daemon does not answer")
        tool(bed, 'attach', 'asked')
        socket_is(bed, 'asked', NOBODY, 0o600)
        if 'only a daemon that root runs' not in tool(bed, 'attach', 'x', 'user=0', status=1):
            e2e.fail("another user's guest")
