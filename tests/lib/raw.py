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
import time

import layout
from layout import CHANNEL_PAGE, CONTROL_MESSAGE, CONTROL_OPEN, CONTROL_PAGE, CONTROL_REQUEST, DIRECTORY_PAGE, FRAME, LOCAL_MESSAGE, RING_PAGE, TICKET

PAGE = layout.XG_PAGE_SIZE
SEGMENT = layout.XG_LOCAL_PAGE_BITS  # of a reference
GRANT, REVOKE, PORTS = layout.XG_LOCAL_GRANT, layout.XG_LOCAL_REVOKE, layout.XG_LOCAL_PORTS
OPEN, CLOSE = layout.XG_CONTROL_OPEN, layout.XG_CONTROL_CLOSE
REPLY, GONE = layout.XG_CONTROL_REPLY, layout.XG_CONTROL_GONE
F_ADD_SEALS, SEALS = 1033, 0x2 | 0x4 | 0x1  # shrink, grow, seal


def receive(sock, size=8192):
    data, control, _, _ = sock.recvmsg(size, socket.CMSG_SPACE(80 * 4))
    fds = array.array('i')
    for level, kind, part in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(part[:len(part) // 4 * 4])
    return data, list(fds)


def ring_pages(cmd_order, reply_order):
    return 1 + (1 << cmd_order) + (1 << reply_order)


class App:
    def __init__(self, path, command='raw', magic=layout.XG_HELLO_MAGIC, version=layout.XG_PROTOCOL_VERSION, timeout=30):
        self.fds = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.sock.send(layout.HELLO.pack(magic=magic, version=version, pid=os.getpid(), command=command))
        data, self.fds = receive(self.sock)
        if not data:
            raise EOFError('the agent hung up')
        welcome = layout.WELCOME.get(data)
        self.magic, self.version, self.status, self.platform = welcome.magic, welcome.version, welcome.status, welcome.platform
        self.rings, self.cmd_order, self.reply_order, self.arena = welcome.ring_count, welcome.cmd_order, welcome.reply_order, welcome.arena_pages
        self.guest, self.text = welcome.guest, welcome.text

    def error(self, record, page):
        with mmap.mmap(self.fds[0], (page + 1) * PAGE) as m:
            return record.one(m, 'error', page * PAGE)

    def channel_error(self):
        return self.error(CHANNEL_PAGE, 0)

    def ring_error(self, ring=0):
        return self.error(RING_PAGE, 1 + ring * ring_pages(self.cmd_order, self.reply_order))

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
        pages = 1 + app.rings * ring_pages(app.cmd_order, app.reply_order) + app.arena
        self.memory = mmap.mmap(app.fds[0], pages * PAGE)
        self.size = PAGE << app.cmd_order
        self.kick, self.prod, self.ticket = app.fds[2], 0, 0

    def word(self, field):
        return RING_PAGE.one(self.memory, field, PAGE)

    def over(self):
        return self.word('error') != 0

    def put(self, op, payload, call=False, seconds=1):
        """False: the worker is gone, or does not go on."""
        if call:
            self.ticket += 1
            payload = TICKET.pack(ticket=self.ticket) + payload
        frame = FRAME.pack(op=op, flags=layout.XG_FRAME_CALL if call else 0, size=FRAME.size + len(payload)) + payload
        left = self.size - self.prod % self.size
        if left < len(frame):
            frame = FRAME.pack(op=layout.XG_OP_PAD, size=left).ljust(left, b'\0') + frame
        until = time.monotonic() + seconds
        while self.prod + len(frame) - self.word('cmd_cons') > self.size:
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
        RING_PAGE.put(self.memory, PAGE, reply_cons=self.word('reply_prod'), cmd_prod=self.prod)
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
        head = LOCAL_MESSAGE.pack(type=kind, length=len(text) if length is None else length, id=serial, number=number)
        message = head[:LOCAL_MESSAGE.at('text')] + text
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
            got, at = LOCAL_MESSAGE.get(data), LOCAL_MESSAGE.at('text')
            if got.type == layout.XG_LOCAL_ANSWER and got.id == self.serial:
                return got.number, data[at:at + got.length].rstrip(b'\0').decode()
            if got.type == layout.XG_LOCAL_NOTIFY:
                self.notified += 1

    def read(self, node):
        return self.ask(layout.XG_LOCAL_READ, text=node.encode() + b'\0')

    def write(self, node, value):
        return self.ask(layout.XG_LOCAL_WRITE, text=node.encode() + b'\0' + str(value).encode() + b'\0')[0]

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
        self.wait_state(layout.XG_XENBUS_INIT_WAIT)
        segment, self.control = self.segment_new(1)
        CONTROL_PAGE.put(self.control, magic=layout.XG_CONTROL_MAGIC, version=layout.XG_CONTROL_VERSION, front_alive=1)
        self.front('ring-ref', segment << SEGMENT)
        self.front('event-channel', 7)
        self.front('version', layout.XG_PROTOCOL_VERSION)
        self.front('state', layout.XG_XENBUS_INITIALISED)
        self.wait_state(layout.XG_XENBUS_CONNECTED)
        self.front('state', layout.XG_XENBUS_CONNECTED)

    def notify(self):
        self.send(layout.XG_LOCAL_NOTIFY, 7)

    def put(self, op, channel, payload=b''):
        """Writes a request without waiting; its id."""
        self.request += 1
        slot = CONTROL_PAGE.at('request') + (self.request - 1) % layout.XG_CONTROL_REQUESTS * CONTROL_REQUEST.size
        self.control[slot:slot + CONTROL_REQUEST.size] = CONTROL_REQUEST.pack(op=op, id=self.request, channel=channel, raw=payload)
        CONTROL_PAGE.put(self.control, req_prod=self.request)
        self.notify()
        return self.request

    def message(self, seconds=10):
        """The next message of the control ring: (type, op, id, channel, status, reason, text)."""
        until = time.monotonic() + seconds
        while CONTROL_PAGE.one(self.control, 'msg_prod') == self.taken:
            if time.monotonic() > until:
                raise TimeoutError('no message in the control ring')
            time.sleep(0.002)
        m = CONTROL_MESSAGE.get(self.control, CONTROL_PAGE.at('message') + self.taken % layout.XG_CONTROL_MESSAGES * CONTROL_MESSAGE.size)
        self.taken += 1
        CONTROL_PAGE.put(self.control, msg_cons=self.taken)
        self.notify()
        return m.type, m.op, m.id, m.channel, m.status, m.reason, m.text

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

    def open_payload(self, rings=1, cmd_order=layout.XG_CMD_ORDER_MIN, reply_order=0, arena=16, change=None, ports=None):
        """A good request to open; `change(directory memory, first page of it)` may spoil the directory."""
        pages = 1 + rings * ring_pages(cmd_order, reply_order) + arena
        segment, memory = self.segment_new(pages + 1)
        DIRECTORY_PAGE.put(memory, pages * PAGE, count=1, ref=[segment << SEGMENT] + [0] * (layout.XG_DIRECTORY_REFS - 1))
        CHANNEL_PAGE.put(memory, magic=layout.XG_CHANNEL_MAGIC, version=layout.XG_PROTOCOL_VERSION)
        for r in range(rings):
            RING_PAGE.put(memory, (1 + r * ring_pages(cmd_order, reply_order)) * PAGE, magic=layout.XG_RING_MAGIC, version=layout.XG_RING_VERSION,
                          cmd_order=cmd_order, reply_order=reply_order)
        if change:
            change(memory, pages * PAGE)
        self.memory.append(memory)
        ports = self.ports_new(rings) if ports is None else ports
        return CONTROL_OPEN.pack(ring_count=rings, cmd_order=cmd_order, reply_order=reply_order, arena_pages=arena, directory=segment << SEGMENT | pages,
                                 pid=4711, command='raw agent', port=ports + [0] * (layout.XG_RINGS_MAX - len(ports)))

    def close(self):
        self.sock.close()
