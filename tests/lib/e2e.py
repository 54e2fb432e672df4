"""For whole-program tests in Python, the demo and the benchmarks: a private daemon, guests, an X server; the counterpart of e2e.sh.

with Bed() as bed:                      everything started through it is stopped at the end, whatever happens
    bed.daemon(['--config', FILE])      xengpud --local; waits until it answers
    bed.xvfb()                          an X server of its own
    bed.guest('a', CMD)                 runs CMD as guest a: subprocess.CompletedProcess
    bed.start(bed.as_guest('a', CMD))   the same without waiting: subprocess.Popen
    bed.direct(CMD)                     runs CMD on the device itself (softcuda for CUDA)
    bed.list()                          what `xengpu list --json` says
"""
import glob
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class BedError(Exception):
    """Something a test stands on does not work."""


def release():
    """What --version says after a program's name."""
    with open(os.path.join(ROOT, 'protocol/version.h')) as f:
        text = f.read()
    return '{} (protocol {})'.format(re.search(r'XG_RELEASE +"(.*)"', text)[1], re.search(r'XG_PROTOCOL_VERSION +(\d+)', text)[1])


def children(pid):
    """All below it, by their names."""
    found = []
    try:
        with open(f'/proc/{pid}/task/{pid}/children') as f:
            for child in map(int, f.read().split()):
                with open(f'/proc/{child}/comm') as c:
                    found.append((child, c.read().strip()))
                found += children(child)
    except OSError:
        pass
    return found


def fail(text):
    print(f'FAIL: {text}', file=sys.stderr)
    sys.exit(1)


def skip(text):
    print(text)
    sys.exit(77)


def others_reach(path):
    """Whether users who are nobody special may come to `path`: a tree below /root is not for them."""
    path = os.path.realpath(path)
    while path != '/':
        if not os.stat(path).st_mode & stat.S_IXOTH:
            print(f'{path} is closed to other users: what they do is not tried')
            return False
        path = os.path.dirname(path)
    return True


def running(commands):
    """Those of the command lines that some process has."""
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            with open(path) as f:
                found.append(f.read().replace('\0', ' ').strip())
        except OSError:
            pass
    return [line for line in found if line in commands]


def wait_for(condition, seconds, what):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise BedError(what() if callable(what) else what)
        time.sleep(0.05)


def on_stop(*_):
    # Once: a second signal must not interrupt the cleaning up.
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)
    raise KeyboardInterrupt


class Bed:
    def __init__(self, build=None, plain=None, tmp=None):
        self.build = os.path.abspath(build or os.environ.get('XG_BUILD') or 'build')
        self.plain = os.path.abspath(plain or os.environ.get('XG_PLAIN_BUILD') or self.build)
        self.tmp = tmp or tempfile.mkdtemp(prefix='xengpu-')
        self.own_tmp = tmp is None
        os.chmod(self.tmp, 0o755)  # workers may run as another user
        self.sockets = os.path.join(self.tmp, 'sockets')
        self.log = os.path.join(self.tmp, 'xengpud.log')
        self.env = {k: v for k, v in os.environ.items() if k not in ('LD_PRELOAD', 'LD_LIBRARY_PATH', 'DISPLAY')}
        self.processes, self.daemon_process = [], None

    def __enter__(self):
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(s, on_stop)
        return self

    def __exit__(self, *_):
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(s, signal.SIG_IGN)
        for p in reversed(self.processes):
            self.stop(p)
        if self.own_tmp:
            shutil.rmtree(self.tmp, ignore_errors=True)

    def start(self, command, env=None, **kw):
        """Its output goes nowhere unless kw says otherwise. It leads a session of its own, and goes down as one."""
        kw.setdefault('stdout', subprocess.DEVNULL)
        kw.setdefault('stderr', subprocess.STDOUT)
        p = subprocess.Popen(command, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, start_new_session=True, **kw)
        self.processes.append(p)
        return p

    def stop(self, p, seconds=5):
        def signal_group(number):
            try:
                os.killpg(p.pid, number)
            except (ProcessLookupError, PermissionError):
                pass
        if p.poll() is None:
            signal_group(signal.SIGTERM)
            try:
                p.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        signal_group(signal.SIGKILL)
        p.wait()
        if p in self.processes:
            self.processes.remove(p)

    def run(self, command, env=None, timeout=120):
        """Like subprocess.run with text output; ends the whole group at the timeout (status -SIGKILL)."""
        p = self.start(command, env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.at_limit(p)
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            err += f'\n(no end after {timeout} s)\n'
        self.processes.remove(p)
        return subprocess.CompletedProcess(command, p.returncode, out, err)

    def at_limit(self, p):
        """A program is about to be ended because it has not ended itself."""

    def build_of(self, program):
        return self.build if program.startswith(self.build + '/') else self.plain

    def as_guest(self, name, command):
        return [f'{self.build_of(command[0])}/bin/xengpu', 'run', '--guest', name, '--socket-dir', self.sockets, '--', *command]

    def guest(self, name, command, env=None, timeout=120):
        return self.run(self.as_guest(name, command), env, timeout)

    def direct_env(self, program):
        """The device that the daemon would choose: the system's libcuda.so.1 where there is a GPU for it, else softcuda."""
        b = self.build_of(program)
        if not os.path.exists('/dev/nvidiactl'):
            return {'LD_LIBRARY_PATH': f'{b}/lib/softcuda:{b}/lib'}
        runtime = os.path.join(self.tmp, 'runtime')
        os.makedirs(runtime, exist_ok=True)
        for lib in glob.glob(f'{b}/lib/libcudart.so.*'):
            link = os.path.join(runtime, os.path.basename(lib))
            if not os.path.lexists(link):
                os.symlink(lib, link)
        return {'LD_LIBRARY_PATH': runtime}

    def direct(self, command, env=None, timeout=120):
        return self.run(command, {**self.direct_env(command[0]), **(env or {})}, timeout)

    def xengpu(self, *args, timeout=10):
        return self.run([f'{self.plain}/bin/xengpu', *args], timeout=timeout)

    def list(self):
        r = self.xengpu('list', '--socket-dir', self.sockets, '--json')
        if r.returncode != 0:
            raise BedError(f'xengpu list: status {r.returncode}: {r.stderr.strip()}')
        return json.loads(r.stdout)

    def log_text(self):
        try:
            with open(self.log, errors='replace') as f:
                return f.read()
        except OSError:
            return ''

    def answers(self):
        if self.daemon_process.poll() is not None:
            raise BedError(f'xengpud ended with {self.daemon_process.returncode}: {self.log_text()}')
        return self.xengpu('list', '--socket-dir', self.sockets, '--json').returncode == 0

    def daemon(self, args=(), **kw):
        os.makedirs(self.sockets, exist_ok=True)
        # A sanitizer in a worker's sandbox could not write a file: into the log with it, where the runner looks.
        env = {k: self.env.get(k, '') + ':log_path=stderr' for k in ('ASAN_OPTIONS', 'UBSAN_OPTIONS')}
        with open(self.log, 'ab') as log:
            self.daemon_process = self.start([f'{self.build}/bin/xengpud', '--local', '--socket-dir', self.sockets, *args], env,
                                             stdout=log, stderr=log, **kw)
        wait_for(self.answers, 20, lambda: f'xengpud does not answer: {self.log_text()}')
        return self.daemon_process

    def xvfb(self, size='1280x1024'):
        if not shutil.which('Xvfb'):
            raise BedError('Xvfb is not installed')
        read, write = os.pipe()
        p = self.start(['Xvfb', '-displayfd', str(write), '-screen', '0', f'{size}x24', '-nolisten', 'tcp', '-noreset'],
                       pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as f:
            number = f.readline().strip()  # end of file if it dies
        if not number:
            raise BedError(f'Xvfb does not start: status {p.wait()}')
        self.env['DISPLAY'] = f':{number}'
        return number

    def frame(self, png, command, calls, guest=None):
        """The picture of a program whose clock has been asked `calls` times; see tests/tools/libfakeclock.c."""
        held = os.path.join(self.tmp, 'held')
        if os.path.exists(held):
            os.unlink(held)
        env = {'LD_PRELOAD': f'{self.plain}/tests/tools/libfakeclock.so', 'XG_CLOCK_EXE': os.path.basename(command[0]),
               'XG_CLOCK_HOLD': str(calls), 'XG_CLOCK_HELD': held}
        p = self.start(self.as_guest(guest, command) if guest else command, env)

        def stands():
            if p.poll() is not None:
                raise BedError(f'{" ".join(command)} ended with {p.returncode} before its clock was asked {calls} times')
            return os.path.exists(held)
        wait_for(stands, 60, f'{" ".join(command)} did not ask its clock {calls} times')
        shot = self.run([f'{self.plain}/tests/tools/xshot', png])
        self.stop(p)
        if shot.returncode != 0:
            raise BedError(f'no picture of the screen: {shot.stderr.strip()}')

    def images_equal(self, a, b, *limits):
        """(equal, text)"""
        r = self.run([f'{self.plain}/tests/tools/imgdiff', a, b, *map(str, limits)])
        return r.returncode == 0, (r.stdout + r.stderr).strip()
