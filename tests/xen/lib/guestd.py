"""Runs in a guest: reads requests from the console, runs commands, writes what they say and how they end.

A line each way, `>` or `<`, a CRC of the rest, and JSON: the console is shared with the kernel, whose words may come in between.
    > {"id", "op": "start", "argv", "user", "env"}      < {"id", "pid"}, then {"id", "out"}..., then {"id", "exit"}
    > {"id", "op": "kill", "job", "signal"}             < {"id", "ok"}        the whole process group of the job
    > {"id", "op": "get", "path"}                       < {"id", "part"}..., {"id", "ok"}    a file, compressed
"""
import base64
import json
import os
import pwd
import select
import signal
import subprocess
import termios
import time
import tty
import zlib

CONSOLE = '/dev/hvc0'
PART = 1500


class Console:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd, termios.TCSANOW)
        self.buffer = b''

    def send(self, message):
        text = json.dumps(message).encode()
        line = b'< %08x %s\r\n' % (zlib.crc32(text), text)
        while line:
            line = line[os.write(self.fd, line):]

    def receive(self):
        """The whole lines that have come."""
        self.buffer += os.read(self.fd, 4096)
        *lines, self.buffer = self.buffer.split(b'\n')
        for line in lines:
            word = line.strip().split(b' ', 2)
            if len(word) == 3 and word[0] == b'>':
                if b'%08x' % zlib.crc32(word[2]) == word[1]:
                    yield json.loads(word[2])
                else:
                    self.send({'id': 0, 'error': 'damaged request'})


class Job:
    def __init__(self, request):
        self.id = request['id']
        user = pwd.getpwnam(request.get('user') or 'root')
        env = {'PATH': '/usr/bin:/bin:/usr/sbin:/sbin', 'HOME': user.pw_dir, 'USER': user.pw_name, 'LC_ALL': 'C.UTF-8'}
        env.update(request.get('env') or {})
        who = {} if user.pw_uid == 0 else {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []}
        self.process = subprocess.Popen(request['argv'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=env, cwd='/tmp', start_new_session=True, **who)
        self.pipe = self.process.stdout.fileno()
        os.set_blocking(self.pipe, False)
        self.open = True

    def read(self):
        try:
            data = os.read(self.pipe, PART)
        except BlockingIOError:
            return None
        if not data:
            self.open = False
        return data


class Guestd:
    def __init__(self):
        self.console = Console(CONSOLE)
        self.jobs = {}

    def handle(self, r):
        if r['op'] == 'start':
            job = Job(r)
            self.jobs[r['id']] = job
            self.console.send({'id': r['id'], 'pid': job.process.pid})
        elif r['op'] == 'kill':
            job = self.jobs.get(r['job'])
            if job:
                os.killpg(job.process.pid, r.get('signal', signal.SIGKILL))
            self.console.send({'id': r['id'], 'ok': bool(job)})
        elif r['op'] == 'get':
            with open(r['path'], 'rb') as f:
                data = base64.b64encode(zlib.compress(f.read())).decode()
            for i in range(0, len(data), PART):
                self.console.send({'id': r['id'], 'part': data[i:i + PART]})
            self.console.send({'id': r['id'], 'ok': True})
        else:
            self.console.send({'id': r['id'], 'error': f"unknown op {r['op']}"})

    def progress(self, job):
        """Passes on what a job said; when it has ended, that. A child of it that keeps the pipe does not keep it alive."""
        ended = job.process.poll() is not None
        while job.open:
            data = job.read()
            if data is None:
                break
            if data:
                self.console.send({'id': job.id, 'out': data.decode('utf-8', 'backslashreplace')})
        if ended:
            self.console.send({'id': job.id, 'exit': job.process.returncode})
            job.process.stdout.close()
            del self.jobs[job.id]

    def serve(self):
        wake, poke = os.pipe()
        os.set_blocking(poke, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(poke)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.console.send({'id': 0, 'hello': os.getpid(), 'uptime': time.monotonic()})
        while True:
            ready = select.select([self.console.fd, wake] + [j.pipe for j in self.jobs.values() if j.open], [], [], 5)[0]
            if wake in ready:
                os.read(wake, 4096)
            if self.console.fd in ready:
                for r in self.console.receive():
                    try:
                        self.handle(r)
                    except Exception as e:  # pylint: disable=broad-except
                        self.console.send({'id': r.get('id', 0), 'error': f'{type(e).__name__}: {e}'})
            for job in list(self.jobs.values()):
                self.progress(job)


Guestd().serve()
