"""Runs in a guest: a frontend, or an application, that does what it must not. Needs Python and layout.py alone; see main() for what there is.

A Frontend stands in for the guest's agent (as root, when that is not running), an Application is one (as any user).
"""
import errno
import fcntl
import itertools
import mmap
import os
import random
import socket
import struct
import sys
import time

import layout
from layout import CONTROL_PAGE, RING_PAGE, WELCOME

FRONT = 'device/xengpu/0'
PAGE = layout.XG_PAGE_SIZE
INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSED = map(str, (
    layout.XG_XENBUS_INITIALISING, layout.XG_XENBUS_INIT_WAIT, layout.XG_XENBUS_INITIALISED, layout.XG_XENBUS_CONNECTED, layout.XG_XENBUS_CLOSED))
ALLOC_GREF, BIND_UNBOUND, NOTIFY = 0x184705, 0x44502, 0x44504
XS_READ, XS_WRITE, XS_RM, XS_ERROR, XS_WATCH_EVENT = 2, 11, 13, 16, 15
STATES = tuple(map(str, range(1, layout.XG_XENBUS_CLOSED + 2)))
ABSURD = ('', '0', '-1', '1x', '65536', '4294967295', '18446744073709551616', '%s%n', '\x01', '7' * 1900, None)


class Store:
    """xenstore through the kernel, as the guest that we are."""

    def __init__(self):
        self.fd = os.open('/dev/xen/xenbus', os.O_RDWR)

    def take(self, size):
        data = b''
        while len(data) < size:
            data += os.read(self.fd, size - len(data))
        return data

    def tell(self, kind, payload):
        os.write(self.fd, struct.pack('<IIII', kind, 0, 0, len(payload)) + payload)

    def ask(self, kind, payload):
        self.tell(kind, payload)
        return self.answer()

    def answer(self):
        while True:
            got, _, _, size = struct.unpack('<IIII', self.take(16))
            body = self.take(size)
            if got != XS_WATCH_EVENT:
                return None if got == XS_ERROR else body

    def read(self, path):
        v = self.ask(XS_READ, path.encode() + b'\0')
        return None if v is None else v.decode()

    def write(self, path, value):
        if value is None:
            return self.ask(XS_RM, path.encode() + b'\0')
        return self.ask(XS_WRITE, path.encode() + b'\0' + value.encode())


    def write_all(self, pairs):
        """Several at once: not one wake-up for each."""
        for path, value in pairs:
            self.tell(XS_WRITE, path.encode() + b'\0' + value.encode())
        for _ in pairs:
            self.answer()


class Frontend:
    def __init__(self):
        self.store = Store()
        self.back = self.store.read(f'{FRONT}/backend')
        self.domid = int(self.store.read(f'{FRONT}/backend-id'))
        self.gntalloc = os.open('/dev/xen/gntalloc', os.O_RDWR)
        op = bytearray(struct.pack('<HHIQII', self.domid, 1, 1, 0, 0, 0))
        fcntl.ioctl(self.gntalloc, ALLOC_GREF, op)
        _, _, _, index, self.ref, _ = struct.unpack('<HHIQII', op)
        self.page = mmap.mmap(self.gntalloc, PAGE, offset=index)
        self.evtchn = os.open('/dev/xen/evtchn', os.O_RDWR | os.O_NONBLOCK)
        self.port = fcntl.ioctl(self.evtchn, BIND_UNBOUND, bytearray(struct.pack('<I', self.domid)))  # mutable: the number comes back

    def node(self, name, value):
        self.store.write(f'{FRONT}/{name}', value)

    def state(self):
        return self.store.read(f'{self.back}/state')

    def wait(self, state, seconds=20):
        end = time.monotonic() + seconds
        while self.state() != state:
            if time.monotonic() > end:
                raise TimeoutError(f'the backend is in {self.state()} and not in {state}: {self.store.read(self.back + "/error")}')
            time.sleep(0.005)

    def offer(self):
        self.page[:] = CONTROL_PAGE.pack(magic=layout.XG_CONTROL_MAGIC, version=layout.XG_CONTROL_VERSION, front_alive=1)
        self.node('ring-ref', str(self.ref))
        self.node('event-channel', str(self.port))
        self.node('version', str(layout.XG_PROTOCOL_VERSION))

    def begin(self):
        """From whatever there is to where pages are offered."""
        if self.state() not in (INIT_WAIT, CLOSED):
            self.end()
        self.node('state', INITIALISING)
        self.wait(INIT_WAIT)

    def end(self):
        self.node('state', CLOSED)
        self.wait(CLOSED)

    def connect(self):
        self.begin()
        self.offer()
        self.node('state', INITIALISED)
        self.wait(CONNECTED)
        self.node('state', CONNECTED)

    def notify(self):
        fcntl.ioctl(self.evtchn, NOTIFY, struct.pack('<I', self.port))


def states(length):
    """Every sequence of so many states, and so every shorter one; one in 64 slowly, so that the backend follows each step."""
    f, count, slow, connected, batch = Frontend(), 0, 0, 0, []
    f.connect()
    path = f'{FRONT}/state'
    for sequence in itertools.product(STATES, repeat=int(length)):
        count += 1
        if count % 64:
            batch += [(path, s) for s in (CLOSED, INITIALISING, *sequence)]
            if len(batch) > 12:   # xenstored takes twenty at a time
                f.store.write_all(batch)
                batch = []
            continue
        slow += 1
        for s in (CLOSED, INITIALISING, *sequence):
            f.node('state', s)
            time.sleep(0.005)
        connected += f.state() == CONNECTED
        if slow % 8 == 0:
            print(f'{count}', flush=True)
    f.connect()
    f.end()
    print(f'{count} sequences, {connected} of {slow} slow ones ended connected', flush=True)


def nodes():
    """Every absurd value in every node that a frontend writes."""
    f, count, refused = Frontend(), 0, 0
    for name in ('version', 'ring-ref', 'event-channel', 'state'):
        for value in ABSURD:
            f.begin()
            f.offer()
            f.node(name, value)
            if name != 'state':
                f.node('state', INITIALISED)
                end = time.monotonic() + 5
                while f.state() == INIT_WAIT and time.monotonic() < end:
                    time.sleep(0.005)
                refused += f.state() != CONNECTED
            count += 1
    f.connect()
    f.end()
    print(f'{count} values, {refused} refused', flush=True)


def control(seconds):
    """Random words in the control page, while it is in use."""
    f, rounds = Frontend(), 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        f.connect()
        rounds += 1
        for i in range(64):
            words = PAGE // 4 if i % 2 else CONTROL_PAGE.at('back_alive') // 4 + 1
            struct.pack_into('<I', f.page, random.randrange(words) * 4, random.choice((0, 1, 8, 9, random.getrandbits(32))))
            f.notify()
    f.connect()
    f.end()
    print(f'{rounds} rounds', flush=True)


class Application:
    """A channel, got from the agent as every application gets one."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect('/run/xengpu/agent.sock')
        self.sock.send(layout.HELLO.pack(magic=layout.XG_HELLO_MAGIC, version=layout.XG_PROTOCOL_VERSION, pid=os.getpid(), command='hostile'))
        data, self.fds, _, _ = socket.recv_fds(self.sock, 4096, 64)
        w = WELCOME.get(data)
        if w.magic != layout.XG_WELCOME_MAGIC or w.status:
            raise OSError(f'no channel: {w.status} {w.text}')
        self.ports, self.rings = w.port, w.ring_count
        self.pages_per_ring = 1 + (1 << w.cmd_order) + (1 << w.reply_order)
        pages = 1 + w.ring_count * self.pages_per_ring + w.arena_pages
        self.map = mmap.mmap(self.fds[0], pages * PAGE, offset=w.map_offset)

    def index(self, ring):
        return (1 + ring * self.pages_per_ring) * PAGE

    def notify(self, ring):
        """The agent unbinds the ports of a channel that was taken away."""
        try:
            fcntl.ioctl(self.fds[1 + ring], NOTIFY, struct.pack('<I', self.ports[ring]))
        except OSError as e:
            if e.errno != errno.ENOTCONN:
                raise

    def over(self):
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1) == b''
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self):
        self.map.close()
        for fd in self.fds:
            os.close(fd)
        self.sock.close()


def ring(seconds):
    """Random words in every index page and the channel page, ring after ring, until the channel is taken away; again and again."""
    rounds, lost = 0, 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        a = Application()
        rounds += 1
        enough = time.monotonic() + 3  # its worker may only be starting
        for i in itertools.count():
            if i >= 400 and time.monotonic() > enough:
                break
            where = a.index(i % a.rings) if i % 5 else 0
            struct.pack_into('<I', a.map, where + random.randrange(PAGE // 4) * 4, random.choice((0, 1, 8, 0xffffffff, random.getrandbits(32))))
            if i % 7 == 0:
                struct.pack_into('<Q', a.map, where + RING_PAGE.at('cmd_prod'), random.choice((8, 64, 1 << 40, random.getrandbits(16) & ~7)))
            a.notify(i % a.rings)
            if a.over():
                lost += 1
                break
        a.close()
    print(f'{rounds} channels, {lost} taken away', flush=True)


class Storm:
    """What a guest may well do, and what it must not, each a moment's worth of it; `count` of the latter."""

    def __init__(self):
        self.count = 0

    def calm(self):
        sum(range(1000))

    def close(self):
        pass


class Events(Storm):
    """The control ring's event."""

    def __init__(self):
        super().__init__()
        self.frontend = Frontend()
        self.frontend.connect()

    def storm(self):
        for _ in range(64):
            self.frontend.notify()
        self.count += 64

    def close(self):
        self.frontend.end()


class Nodes(Events):
    """The state node; what another node costs that nobody watches is xenstored's affair."""

    def calm(self):
        self.frontend.store.write('data/scribble', (INITIALISED, CONNECTED)[self.count % 2])

    def storm(self):
        self.frontend.node('state', (INITIALISED, CONNECTED)[self.count % 2])
        self.count += 1


class Kicks(Storm):
    """A ring's event, without any command."""

    def __init__(self):
        super().__init__()
        self.channel = Application()

    def storm(self):
        for _ in range(64):
            self.channel.notify(0)
        self.count += 64


class Words(Kicks):
    """Random words in every page of the rings but the data, whether the channel was taken away or not. A new channel each second: as
    programs come and go."""

    def __init__(self):
        super().__init__()
        self.again = time.monotonic() + 1

    def calm(self):
        super().calm()
        self.renew()

    def storm(self):
        for i in range(64):
            struct.pack_into('<I', self.channel.map, self.channel.index(i % self.channel.rings) + random.randrange(PAGE // 4) * 4,
                             random.choice((0, 1, 8, random.getrandbits(32))))
        self.channel.notify(random.randrange(self.channel.rings))
        self.count += 64
        self.renew()

    def renew(self):
        if time.monotonic() > self.again:
            self.channel.close()
            self.channel = Application()
            self.again = time.monotonic() + 1


def storm(name, rounds, calm_seconds, storm_seconds):
    """In turns, so that both are measured on the same machine."""
    s, phases = {'events': Events, 'nodes': Nodes, 'kicks': Kicks, 'words': Words}[name](), []
    print('begins', flush=True)
    for _ in range(int(rounds)):
        for what, step, seconds in (('calm', s.calm, calm_seconds), ('storm', s.storm, storm_seconds)):
            begin, end = time.time(), time.monotonic() + float(seconds)
            while time.monotonic() < end:
                step()
            phases.append(f'{what} from {begin:.2f} until {time.time():.2f}')
    print('\n'.join(phases), flush=True)
    s.close()
    print(f'{s.count} {name}', flush=True)


def main():
    what = {f.__name__: f for f in (states, nodes, control, ring, storm)}
    random.seed(11)
    what[sys.argv[1]](*sys.argv[2:])


main()
