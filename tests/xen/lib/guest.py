"""Guests, from Dom0: made with xl, and told what to do over their consoles (see guestd.py, which is the other end).

    g = Guest('one'); g.start()                    a PV guest; returns when it listens
    g.run(['id'])                                  as the unprivileged user `user`; a Result: status, out. text=True: a shell's line
    job = g.spawn([...]); job.expect('frame 3', 10); job.kill(); job.wait(10)
    g.get('/tmp/picture')                          a file's bytes
    g.destroy()                                    xl destroy, at once
    g.save(path); g.restore(path)                  its jobs go on
    g.agent_start(), g.agent_stop(), g.agent_kill()
"""
import base64
import json
import os
import queue
import re
import select
import signal
import termios
import threading
import time
import tty
import zlib

import host

USER = 'user'
LIBRARY = 'libxengpu.so'    # by its name alone, as documented: the loader's cache knows where it is
FRAME = re.compile(rb'< ([0-9a-f]{8}) ([^\r\n]*)\r?\n')


class GuestError(Exception):
    """A guest does not do what the harness stands on."""


class Result:
    def __init__(self, status, out):
        self.status, self.out = status, out

    def __repr__(self):
        return f'<status {self.status}: {self.out[-2000:]!r}>'


class Job:
    """A command that runs in a guest."""

    def __init__(self, guest, ident, argv):
        self.guest, self.id, self.argv = guest, ident, argv
        self.out, self.status, self.pid, self.ended_at = '', None, None, None
        self.changed = threading.Condition()

    def take(self, message):
        with self.changed:
            if 'out' in message:
                self.out += message['out']
            if 'pid' in message:
                self.pid = message['pid']
            if 'error' in message:
                self.out += message['error']
                self.status = -1
            if 'exit' in message:
                self.status = message['exit']
            if self.status is not None and self.ended_at is None:
                self.ended_at = time.monotonic()
            self.changed.notify_all()

    def until(self, condition, seconds, what):
        until = time.monotonic() + seconds * host.SLOW
        with self.changed:
            while not condition():
                left = until - time.monotonic()
                if left <= 0 or self.guest.gone:
                    why = 'the guest is gone' if self.guest.gone else f'not within {seconds} s'
                    raise GuestError(f'{self.guest.name}: {self.argv}: {what}: {why}; it said {self.out[-2000:]!r}')
                self.changed.wait(min(left, 0.2))

    def expect(self, text, seconds=30):
        """Until it has said `text`."""
        self.until(lambda: text in self.out or self.status is not None, seconds, f'should say {text!r}')
        if text not in self.out:
            raise GuestError(f'{self.guest.name}: {self.argv} ended with {self.status} and without {text!r}: {self.out[-2000:]!r}')

    def wait(self, seconds=60):
        self.until(lambda: self.status is not None, seconds, 'should end')
        return Result(self.status, self.out)

    def running(self):
        return self.status is None

    def kill(self, sig=signal.SIGKILL):
        self.guest.ask({'op': 'kill', 'job': self.id, 'signal': int(sig)})


class Guest:
    all = {}

    def __init__(self, name, memory=512, vcpus=1, systemd=False):
        self.name, self.memory, self.vcpus = name, memory, vcpus
        self.extra = 'xengpu.systemd' if systemd else ''
        self.domid, self.fd, self.gone, self.agent = None, -1, True, None
        self.jobs, self.answers, self.next_id = {}, {}, 1
        self.hello = threading.Event()
        Guest.all[name] = self

    # --- life -----------------------------------------------------------------------------------------------------------------------

    def start(self, wait=True):
        path = f'/tmp/{self.name}.cfg'
        with open(path, 'w') as f:
            f.write(f'name = "{self.name}"\ntype = "pv"\nkernel = "/boot/vmlinuz"\nramdisk = "/boot/initrd.gz"\n'
                    f'memory = {self.memory}\nvcpus = {self.vcpus}\nextra = "console=hvc0 quiet mitigations=off {self.extra}"\non_crash = "destroy"\n'
                    f'on_reboot = "destroy"\ndisk = ["phy:/dev/vda,xvda,r", "phy:/dev/vdb,xvdb,r"]\n')
        host.run(['xl', 'create', '-q', path], timeout=120)
        self.domid = int(host.run(['xl', 'domid', self.name]).strip())
        self.attach_console()
        if wait:
            self.wait_up()

    def wait_up(self, seconds=120):
        if not self.hello.wait(seconds * host.SLOW):
            raise GuestError(f'{self.name} does not come up; see console/guest-{self.name}.log')

    def attach_console(self, jobs=None):
        """`jobs`: those that go on."""
        node, tty_path = f'/local/domain/{self.domid}/console/tty', ''
        until = time.monotonic() + 30 * host.SLOW
        while not tty_path:
            if time.monotonic() > until:
                raise GuestError(f'{self.name} has no console')
            tty_path = host.store_read(node)
            time.sleep(0.02)
        self.fd = os.open(tty_path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd, termios.TCSANOW)
        self.gone = False
        self.answers = {}
        if jobs is None:
            self.jobs, self.agent = {}, None
            self.hello.clear()
        threading.Thread(target=self.listen, args=(self.fd,), daemon=True).start()

    def listen(self, fd):
        buffer = b''
        try:
            while True:
                select.select([fd], [], [])
                data = os.read(fd, 65536)
                if not data:
                    break
                buffer += data
                end = 0
                for m in FRAME.finditer(buffer):
                    end = m.end()
                    if b'%08x' % zlib.crc32(m[2]) == m[1]:
                        self.take(json.loads(m[2]))
                    else:
                        host.log(f'{self.name}: a damaged line on the console: {m[0]!r}')
                buffer = buffer[end:][-65536:]
        except OSError:
            pass
        self.gone = True
        os.close(fd)

    def take(self, message):
        if 'hello' in message:
            self.hello.set()
        elif message['id'] in self.jobs:
            self.jobs[message['id']].take(message)
        elif message['id'] in self.answers:
            self.answers[message['id']].put(message)
        else:
            host.log(f'{self.name}: nobody waits for {message}')

    def destroy(self):
        host.run(['xl', 'destroy', self.name])
        self.ended()

    def save(self, path):
        host.run(['xl', 'save', self.name, path], timeout=120)
        self.ended()

    def restore(self, path):
        host.run(['xl', 'restore', path], timeout=120)
        self.again()

    def again(self):
        """It is another domain now."""
        self.domid = int(host.run(['xl', 'domid', self.name]).strip())
        self.attach_console(self.jobs)

    def complaints(self):
        """What its kernel says that it should not."""
        said = self.root('dmesg')
        return [line for line in said.splitlines() if re.search(r'BUG|WARNING|Oops|Call Trace|recursive fault|blocked for more', line)]

    def ended(self, seconds=30):
        until = time.monotonic() + seconds * host.SLOW
        while host.store_read(f'/local/domain/{self.domid}/name') or not self.gone:
            if time.monotonic() > until:
                raise GuestError(f'{self.name} does not go away')
            time.sleep(0.05)

    def alive(self):
        return self.domid is not None and not self.gone

    # --- what it is told --------------------------------------------------------------------------------------------------------------

    def send(self, request):
        text = json.dumps(request).encode()
        line = b'> %08x %s\n' % (zlib.crc32(text), text)
        if self.gone:
            raise GuestError(f'{self.name} is not there')
        while line:
            line = line[os.write(self.fd, line):]

    def ident(self):
        self.next_id += 1
        return self.next_id

    def ask(self, request, seconds=30, parts=False):
        ident = self.ident()
        box = self.answers[ident] = queue.Queue()
        self.send(dict(request, id=ident))
        collected = []
        until = time.monotonic() + seconds * host.SLOW
        while True:
            try:
                m = box.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                raise GuestError(f'{self.name}: no answer to {request}') from None
            if 'error' in m:
                raise GuestError(f"{self.name}: {request}: {m['error']}")
            if 'part' not in m:
                del self.answers[ident]
                return collected if parts else m
            collected.append(m['part'])

    def spawn(self, command, user=USER, env=None):
        argv = ['/bin/bash', '-c', command] if isinstance(command, str) else list(command)
        ident = self.ident()
        job = self.jobs[ident] = Job(self, ident, argv)
        self.send({'id': ident, 'op': 'start', 'argv': argv, 'user': user, 'env': env or {}})
        return job

    def run(self, command, user=USER, env=None, seconds=60):
        return self.spawn(command, user, env).wait(seconds)

    def root(self, command, seconds=60):
        """As root; must succeed. What it said."""
        r = self.run(command, 'root', None, seconds)
        if r.status:
            raise GuestError(f'{self.name}: {command}: {r}')
        return r.out

    def get(self, path):
        return zlib.decompress(base64.b64decode(''.join(self.ask({'op': 'get', 'path': path}, parts=True))))

    # --- xengpu in it -------------------------------------------------------------------------------------------------------------------

    def agent_start(self, *options):
        self.agent = self.spawn(['/opt/xengpu/bin/xengpu-agent', '--xen', *options], user='root')

    def agent_ready(self, seconds=60):
        self.agent.expect('connected', seconds)

    def agent_kill(self, sig=signal.SIGKILL, seconds=20):
        self.agent.kill(sig)
        return self.agent.wait(seconds)

    def remote(self, command, env=None):
        """The environment of an application on the GPU, as the manual says: LD_PRELOAD and nothing else."""
        return self.spawn(command, env=dict({'LD_PRELOAD': LIBRARY}, **(env or {})))
