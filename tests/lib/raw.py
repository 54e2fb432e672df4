"""Applications and guest agents spoken by hand, for tests of the daemon: protocol/device.h, protocol/local.h, protocol/control.h.

App(path)        an application: says hello, holds its channel until close()
Ring(app)        the channel's first ring
Agent(path)      a guest agent on a socket of +store, with every liberty
"""
import array
import fcntl
import mmap
import os
import socket
import struct
import time

PAGE = 4096
HELLO, WELCOME = 0x4f484758, 0x45574758
READ, WRITE, WATCH, GRANT, REVOKE, PORTS, NOTIFY, ANSWER, EVENT = range(1, 10)
OPEN, CLOSE = 1, 2
REPLY, GONE = 1, 2
F_ADD_SEALS, SEALS = 1033, 0x2 | 0x4 | 0x1  # shrink, grow, seal


def receive(sock, size=8192):
    data, control, _, _ = sock.recvmsg(size, socket.CMSG_SPACE(80 * 4))
    fds = array.array('i')
    for level, kind, part in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(part[:len(part) // 4 * 4])
    return data, list(fds)


class App:
    def __init__(self, path, command='raw', magic=HELLO, version=1, timeout=30):
        self.fds = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.sock.send(struct.pack('<IIII64s', magic, version, os.getpid(), 0, command.encode()))
        data, self.fds = receive(self.sock)
        if not data:
            raise EOFError('the agent hung up')
        self.magic, self.version, self.status, self.platform = struct.unpack_from('<IIiI', data)
        self.rings, self.cmd_order, self.reply_order, self.arena = struct.unpack_from('<IIII', data, 16)
        self.guest = data[176:240].split(b'\0')[0].decode()
        self.text = data[240:496].split(b'\0')[0].decode()

    def word(self, offset):
        """A 32-bit word of the channel."""
        with mmap.mmap(self.fds[0], (offset // PAGE + 1) * PAGE) as m:
            return struct.unpack_from('<I', m, offset)[0]

    def channel_error(self):
        return self.word(0x44)

    def ring_error(self, ring=0):
        pages = 1 + (1 << self.cmd_order) + (1 << self.reply_order)
        return self.word((1 + ring * pages) * PAGE + 0x1c0)

    def hung_up(self, seconds):
        """Whether the agent closes the connection within so long."""
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(16) == b''
        except socket.timeout:
            return False
        except ConnectionResetError:
            return True

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []


class Ring:
    """Ring 0 of an application's channel, frames by hand; answers are not read."""

    def __init__(self, app):
        pages = 1 + app.rings * (1 + (1 << app.cmd_order) + (1 << app.reply_order)) + app.arena
        self.memory = mmap.mmap(app.fds[0], pages * PAGE)
        self.size = PAGE << app.cmd_order
        self.kick, self.prod, self.ticket = app.fds[2], 0, 0

    def word(self, offset):
        return struct.unpack_from('<Q', self.memory, PAGE + offset)[0]

    def over(self):
        return self.memory[PAGE + 0x1c0] != 0

    def put(self, op, payload, call=False, seconds=1):
        """False: the worker is gone, or does not go on."""
        if call:
            self.ticket += 1
            payload = struct.pack('<II', self.ticket, 0) + payload
        frame = struct.pack('<HHI', op, call, 8 + len(payload)) + payload
        left = self.size - self.prod % self.size
        if left < len(frame):
            frame = struct.pack('<HHI', 1, 0, left).ljust(left, b'\0') + frame
        until = time.monotonic() + seconds
        while self.prod + len(frame) - self.word(0x100) > self.size:
            self.show()
            if time.monotonic() > until or self.over():
                return False
            time.sleep(0.001)
        first = min(len(frame), left)
        base = 2 * PAGE
        self.memory[base + self.prod % self.size:base + self.prod % self.size + first] = frame[:first]
        self.memory[base:base + len(frame) - first] = frame[first:]
        self.prod += len(frame)
        return True

    def show(self):
        struct.pack_into('<Q', self.memory, PAGE + 0x80, self.word(0x140))
        struct.pack_into('<Q', self.memory, PAGE + 0x40, self.prod)
        os.eventfd_write(self.kick, 1)


class Refused(Exception):
    pass


class Agent:
    def __init__(self, path, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.serial, self.segment, self.port, self.notified = 0, 0, 1000, 0
        self.request, self.taken = 0, 0
        self.memory = []

    def send(self, kind, number=0, text=b'', fds=(), serial=0, length=None):
        message = struct.pack('<HHIiI', kind, len(text) if length is None else length, serial, number, 0) + text
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        self.sock.sendmsg([message], control)

    def ask(self, kind, number=0, text=b'', fds=()):
        """The answer's (number, text)."""
        self.serial += 1
        self.send(kind, number, text, fds, self.serial)
        while True:
            data, _ = receive(self.sock)
            if not data:
                raise EOFError('the daemon hung up')
            got, length, serial, value, _ = struct.unpack_from('<HHIiI', data)
            if got == ANSWER and serial == self.serial:
                return value, data[16:16 + length].rstrip(b'\0').decode()
            if got == NOTIFY:
                self.notified += 1

    def read(self, node):
        return self.ask(READ, text=node.encode() + b'\0')

    def write(self, node, value):
        return self.ask(WRITE, text=node.encode() + b'\0' + str(value).encode() + b'\0')[0]

    def front(self, node, value):
        return self.write('device/xengpu/0/' + node, value)

    def back(self, node):
        if not hasattr(self, 'directory'):
            self.directory = self.read('device/xengpu/0/backend')[1]
        return self.read(self.directory + '/' + node)[1]

    def segment_new(self, pages, seals=SEALS):
        """(segment, its memory)"""
        fd = os.memfd_create('raw', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, pages * PAGE)
        if seals:
            fcntl.fcntl(fd, F_ADD_SEALS, seals)
        self.segment += 1
        status, _ = self.ask(GRANT, self.segment, fds=[fd])
        memory = mmap.mmap(fd, pages * PAGE)
        os.close(fd)
        if status:
            raise Refused(status)
        return self.segment, memory

    def wait_state(self, state, tries=400):
        for _ in range(tries):
            if self.back('state') == str(state):
                return
            time.sleep(0.01)
        raise AssertionError(f"the backend's state is {self.back('state')}, not {state}")

    def connect(self):
        """The device as an honest agent would bring it up."""
        self.wait_state(2)
        segment, self.control = self.segment_new(1)
        struct.pack_into('<IIB', self.control, 0, 0x52434758, 1, 1)
        self.front('ring-ref', segment << 22)
        self.front('event-channel', 7)
        self.front('version', 1)
        self.front('state', 3)
        self.wait_state(4)
        self.front('state', 4)

    def notify(self):
        self.send(NOTIFY, 7)

    def put(self, op, channel, payload=b''):
        """Writes a request without waiting; its id."""
        self.request += 1
        slot = 0x800 + (self.request - 1) % 8 * 256
        self.control[slot:slot + 256] = struct.pack('<HHIII', op, 0, self.request, channel, 0).ljust(16) + payload.ljust(240, b'\0')
        struct.pack_into('<I', self.control, 0x40, self.request)
        self.notify()
        return self.request

    def message(self, seconds=10):
        """The next message of the control ring: (type, op, id, channel, status, reason, text)."""
        until = time.monotonic() + seconds
        while struct.unpack_from('<I', self.control, 0x84)[0] == self.taken:
            if time.monotonic() > until:
                raise TimeoutError('no message in the control ring')
            time.sleep(0.002)
        slot = 0x400 + self.taken % 8 * 128
        kind, op, serial, channel, status, reason = struct.unpack_from('<HHIIiI', self.control, slot)
        text = bytes(self.control[slot + 32:slot + 128]).split(b'\0')[0].decode()
        self.taken += 1
        struct.pack_into('<I', self.control, 0x44, self.taken)
        self.notify()
        return kind, op, serial, channel, status, reason, text

    def ports_new(self, count):
        first = self.port
        self.port += count
        fds = [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(2 * count)]
        status, _ = self.ask(PORTS, first, fds=fds)
        for fd in fds:
            os.close(fd)
        if status:
            raise Refused(status)
        return list(range(first, first + count))

    def open_payload(self, rings=1, cmd_order=2, reply_order=0, arena=16, change=None, ports=None):
        """A good request to open; `change(directory memory, first page of it)` may spoil the directory."""
        pages = 1 + rings * (1 + (1 << cmd_order) + (1 << reply_order)) + arena
        segment, memory = self.segment_new(pages + 1)
        struct.pack_into('<III', memory, pages * PAGE, 0, 1, segment << 22)
        struct.pack_into('<II', memory, 0, 0x31434758, 1)
        per_ring = 1 + (1 << cmd_order) + (1 << reply_order)
        for r in range(rings):
            struct.pack_into('<IIII', memory, (1 + r * per_ring) * PAGE, 0x31524758, 1, cmd_order, reply_order)
        if change:
            change(memory, pages * PAGE)
        self.memory.append(memory)
        ports = self.ports_new(rings) if ports is None else ports
        return struct.pack('<IIIIII64s32I', rings, cmd_order, reply_order, arena, segment << 22 | pages, 4711, b'raw agent',
                           *(ports + [0] * (32 - len(ports))))

    def close(self):
        self.sock.close()
