#!/usr/bin/env python3
# The container recipe of docs/xengpu.md, as it stands there: OpenGL and CUDA in a container with namespaces of its own, which goes on through restarts
# of the daemon, detach and attach. The guests' directories stay, and links in them are not followed.
# limit: 180
import os
import shutil
import signal
import stat
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
from containers import Container, recipe


def bubblewrap(bed, *more):
    """The recipe with this build's libraries, this daemon's sockets and the tests' programs, as a user of its own."""
    paths = {'/run/xengpu/web': f'{bed.sockets}/web', '/usr/local/lib/xengpu/lib': f'{bed.plain}/lib', 'PROGRAM': 'sh'}
    words = [paths.get(w, w) for w in recipe('bwrap')]
    tests = [w for d in ('programs', 'kernels') for w in ('--ro-bind', f'{bed.plain}/tests/{d}', f'/tests/{d}')]
    return words[:-1] + ['--uid', '1234', '--gid', '1234', '--setenv', 'XG_KERNELS', '/tests/kernels', *tests, *more, words[-1]]


def inode(path):
    st = os.stat(path)
    return st.st_dev, st.st_ino


with e2e.Bed() as bed:
    # A machine may have no user namespaces to give, as in a chroot.
    r = bed.run(['bwrap', '--unshare-all', '--uid', '1234', '--ro-bind', '/', '/', 'true'])
    if r.returncode:
        e2e.skip(f'bubblewrap makes no containers here: {r.stderr.strip()}')
    web = f'{bed.sockets}/web'
    config = os.path.join(bed.tmp, 'x.conf')
    with open(config, 'w') as f:
        f.write('[pgpu x]\ncuda = softcuda\ngl = surfaceless\n[guest web]\nweight = 100\n')
    os.makedirs(bed.sockets, 0o755)
    os.umask(0o077)  # as some daemons are started

    def start():
        daemon = bed.daemon(['--config', config])
        e2e.wait_for(lambda: any(g['state'] == 'connected' for g in bed.list()['guests']), 30, 'guest web does not come up')
        return daemon

    def tool(*args):
        r = bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40)
        if r.returncode:
            e2e.fail(f'{args}: {r.stderr}')

    programs = ['gl_frames 3']
    if os.path.exists(f'{bed.plain}/tests/kernels/vectoradd.ptx'):
        programs += ['cuda_vectoradd', 'cuda_memory']
    wanted = {}
    for p in programs:
        r = bed.direct([f'{bed.plain}/tests/programs/{p.split()[0]}', *p.split()[1:]], {'XG_KERNELS': f'{bed.plain}/tests/kernels'})
        if r.returncode or not r.stdout:
            e2e.fail(f'{p}, directly: status {r.returncode}: {r.stderr}')
        wanted[p] = r.stdout

    daemon = start()
    identity = inode(web)
    container = Container(bed, bubblewrap(bed))

    def works(when):
        for p in programs:
            status, out = container.say(f'/tests/programs/{p}')
            if status or out.rstrip() != wanted[p].rstrip():
                e2e.fail(f'{when}: {p}: status {status}: {out}')

    def looks_right(when):
        if inode(web) != identity:
            e2e.fail(f'{when}: the directory was made anew')
        if stat.S_IMODE(os.stat(web).st_mode) != 0o755 or stat.S_IMODE(os.stat(f'{web}/agent.sock').st_mode) != 0o600:
            e2e.fail(f'{when}: {os.stat(web)}, {os.stat(web + "/agent.sock")}')

    status, out = container.say('id -u; echo /run/xengpu/*; touch /run/xengpu/x')
    if out.split()[:2] != ['1234', '/run/xengpu/agent.sock'] or status == 0:
        e2e.fail(f'what the container sees: {out}')
    works('a new container')
    looks_right('a new container')
    guests = bed.list()['guests']
    if [g['name'] for g in guests] != ['web'] or not guests[0]['device_time_ns']:
        e2e.fail(f'not by guest web: {guests}')

    # the daemon ends, in order or not: who runs is told, and the next programs work
    for how in (signal.SIGTERM, signal.SIGKILL):
        container.say('rm -f /tmp/running; /tests/programs/gl_frames 0 >/tmp/running 2>&1 &')
        e2e.wait_for(lambda: container.say('grep -q frame.5 /tmp/running')[0] == 0, 30, 'the program does not get under way')
        os.kill(daemon.pid, how)
        daemon.wait(20)
        bed.processes.remove(daemon)
        status, out = container.say('wait; tail -n 1 /tmp/running')
        if 'lost: 0x300e' not in out:
            e2e.fail(f'a program that was running says {out}')
        status, out = container.say('/tests/programs/gl_frames 1')
        if status == 0:
            e2e.fail(f'without a daemon: {out}')
        daemon = start()
        works(f'after the daemon was restarted ({how.name})')
        looks_right('after a restart')

    tool('detach', 'web')
    if os.listdir(web):
        e2e.fail(f'detached, but there is {os.listdir(web)}')
    tool('attach', 'web', 'weight=200')
    works('detached and attached again')
    looks_right('detached and attached again')

    # what the operator made of a directory stays
    os.chmod(web, 0o711)
    tool('detach', 'web')
    tool('attach', 'web')
    if stat.S_IMODE(os.stat(web).st_mode) != 0o711:
        e2e.fail('the mode of the directory was changed')
    works('the mode of the directory was changed')

    # a container of another user: only where the guest is everybody's, and then it is the directory's matter
    os.chmod(web, 0o755)
    if os.geteuid() == 0 and shutil.which('setpriv') and e2e.others_reach(bed.plain):
        stranger = Container(bed, ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *bubblewrap(bed)])
        status, out = stranger.say('/tests/programs/gl_frames 3')
        if status == 0 or 'no permission to use the agent' not in out:
            e2e.fail(f"a container of another user in root's guest: status {status}: {out}")
        tool('detach', 'web')
        tool('attach', 'web', 'user=everybody')
        status, out = stranger.say('/tests/programs/gl_frames 3')
        if status or out.rstrip() != wanted['gl_frames 3'].rstrip():
            e2e.fail(f'a container of another user: status {status}: {out}')
        os.chmod(web, 0o750)
        status, out = stranger.say('/tests/programs/gl_frames 3')
        if status == 0 or 'no permission to use the agent' not in out:
            e2e.fail(f'one that may not reach the socket: status {status}: {out}')
        os.chmod(web, 0o755)

    # links: none is followed, and a socket takes the place of one
    victim, elsewhere = f'{bed.tmp}/victim', f'{bed.tmp}/elsewhere'
    with open(victim, 'w') as f:
        f.write('untouched')
    os.mkdir(elsewhere)
    tool('detach', 'web')
    os.symlink(victim, f'{web}/agent.sock')
    os.symlink(elsewhere, f'{bed.sockets}/linked')
    tool('attach', 'web')
    if not stat.S_ISSOCK(os.lstat(f'{web}/agent.sock').st_mode) or stat.S_IMODE(os.stat(victim).st_mode) != 0o600 or \
            open(victim).read() != 'untouched':
        e2e.fail('a link in the place of a socket was followed')
    works('a link in the place of a socket')
    r = bed.xengpu('attach', 'linked', '--socket-dir', bed.sockets)
    if r.returncode != 1 or f'{bed.sockets}/linked: Not a directory' not in r.stderr or os.listdir(elsewhere):
        e2e.fail(f'a link in the place of a directory: status {r.returncode}: {r.stderr}, {os.listdir(elsewhere)}')
    os.mkdir(f'{bed.sockets}/foreign')
    if os.geteuid() == 0:
        os.chown(f'{bed.sockets}/foreign', 1234, 1234)
        r = bed.xengpu('attach', 'foreign', '--socket-dir', bed.sockets)
        if r.returncode != 1 or 'belongs to another user' not in r.stderr:
            e2e.fail(f'the directory of another user: status {r.returncode}: {r.stderr}')

    # not more of them than a bound, and those that are in use are not taken
    for i in range(1024):
        os.mkdir(f'{bed.sockets}/old-{i}')
        os.utime(f'{bed.sockets}/old-{i}', (1000 + i, 1000 + i))
    tool('attach', 'new')
    left = {d for d in os.listdir(bed.sockets) if d.startswith('old-')}
    if 'old-0' in left or 'old-1023' not in left or len(left) < 1020:
        e2e.fail(f'{len(left)} directories are kept')
    works('many directories')
