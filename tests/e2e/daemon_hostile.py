#!/usr/bin/env python3
# A guest agent that breaks every rule: its own guest is closed or refused, another guest and the daemon do not notice.
# san: address
# limit: 120
import fcntl
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import layout
import raw

EINVAL, EACCES, ENOENT, EEXIST, EFAULT, ENOSYS = -22, -13, -2, -17, -14, -38


def expect(got, wanted, what):
    if got not in (wanted if isinstance(wanted, tuple) else (wanted,)):
        e2e.fail(f'{what}: {got}, not {wanted}')


with e2e.Bed() as bed:
    daemon = bed.daemon(['--no-sandbox'])
    for name, more in (('good', ()), ('bad', ('agent=no',))):
        r = bed.xengpu('attach', name, *more, '--socket-dir', bed.sockets, timeout=40)
        if r.returncode:
            e2e.fail(r.stderr)
    good = raw.App(f'{bed.sockets}/good/agent.sock')
    store = f'{bed.sockets}/+store/bad'

    def descriptors():
        return len(os.listdir(f'/proc/{daemon.pid}/fd'))

    def hung_up(agent):
        try:
            for _ in range(1000):
                data, _ = raw.receive(agent.sock)
                if not data:
                    return True
        except OSError:
            return True
        return False

    def fresh():
        until = time.monotonic() + 10
        while True:
            try:
                a = raw.Agent(store)
                a.read('device/xengpu/0/backend')
                return a
            except (OSError, EOFError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def still_well(what):
        if good.hung_up(0.01):
            e2e.fail(f'{what}: another guest lost its channel')
        bed.list()

    fresh().close()
    time.sleep(0.1)
    base = descriptors()

    # --- the store
    a = fresh()
    expect(a.write(a.read('device/xengpu/0/backend')[1] + '/state', 4), EACCES, "writing the backend's node")
    expect(a.front('backend', '/local/domain/0'), EACCES, "writing the toolstack's node")
    expect(a.write('/local/domain/0/backend/xengpu/1/0/state', 4), EACCES, "writing another guest's node")
    expect(a.write('../../x', 1), EACCES, 'a path outside')
    expect(a.front('a/b', 1), EINVAL, 'a deeper path')
    expect(a.front('x' * 60, 1), EINVAL, 'a long name')
    expect(a.front('n', 'v' * 600), EINVAL, 'a long value')
    expect(a.read('/local/domain/1/device/xengpu/0/state')[0], ENOENT, "reading another guest's node")
    for i in range(100):
        last = a.front(f'node{i}', i)
    expect(last, -28, 'too many nodes')
    # --- grants and ports
    for seals in (0, 0x4):
        try:
            a.segment_new(1, seals)
            e2e.fail('a memfd that can shrink was taken')
        except raw.Refused as e:
            expect(e.args[0], EINVAL, 'a memfd that can shrink')
    try:
        huge = os.memfd_create('huge', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | os.MFD_HUGETLB)
        os.ftruncate(huge, 1 << 30)
        fcntl.fcntl(huge, raw.F_ADD_SEALS, raw.SEALS)
        expect(a.ask(raw.GRANT, 903, fds=[huge])[0], EINVAL, 'a memfd of huge pages, which may be gone from it and not come back')
        os.close(huge)
    except OSError as e:
        print(f'there are no files of huge pages: {e}')
    with open('/proc/self/maps') as f, open(sys.argv[0]) as g:
        expect(a.ask(raw.GRANT, 900, fds=[f.fileno()])[0], EINVAL, 'a file of /proc')
        expect(a.ask(raw.GRANT, 901, fds=[g.fileno()])[0], EINVAL, 'a plain file')
    expect(a.ask(raw.GRANT, 902)[0], EINVAL, 'no descriptor')
    expect(a.ask(raw.GRANT, 0, fds=[0])[0], EEXIST, 'segment 0')
    expect(a.ask(raw.REVOKE, 77)[0], ENOENT, 'revoking what was not granted')
    r, w = os.pipe()
    expect(a.ask(raw.PORTS, 5, fds=[r, w])[0], EINVAL, 'pipes for ports')
    expect(a.ask(raw.PORTS, 5, fds=[r])[0], EINVAL, 'half a port')
    try:
        for i in range(100):
            a.ports_new(8)
        e2e.fail('no end of ports')
    except raw.Refused as e:
        expect(e.args[0], -28, 'too many ports')
    try:
        for i in range(200):
            a.segment_new(1)
        e2e.fail('no end of segments')
    except raw.Refused as e:
        expect(e.args[0], -28, 'too many segments')
    a.close()
    still_well('store')

    # --- messages that are none
    def head(kind, length):
        return layout.LOCAL_MESSAGE.pack(type=kind, length=length, id=1)[:layout.LOCAL_MESSAGE.at('text')]
    for message in (b'', b'x', head(0, 0)[:-1], head(99, 0), head(layout.XG_LOCAL_READ, 50) + b'abc', head(layout.XG_LOCAL_READ, 3) + b'abc',
                    head(layout.XG_LOCAL_READ, 0), os.urandom(layout.LOCAL_MESSAGE.size), os.urandom(5000)):
        a = fresh()
        a.sock.send(message)
        if not hung_up(a):
            e2e.fail(f'the daemon goes on after {message[:20]}')
        a.close()
    still_well('malformed messages')

    # --- the control page
    def bring_up(ref=None, magic=layout.XG_CONTROL_MAGIC, version=layout.XG_PROTOCOL_VERSION, port=7):
        a = fresh()
        a.wait_state(layout.XG_XENBUS_INIT_WAIT)
        segment, a.control = a.segment_new(1)
        layout.CONTROL_PAGE.put(a.control, magic=magic, version=layout.XG_CONTROL_VERSION)
        a.front('ring-ref', segment << raw.SEGMENT if ref is None else ref)
        a.front('event-channel', port)
        a.front('version', version)
        a.front('state', layout.XG_XENBUS_INITIALISED)
        return a
    for kw in ({'magic': 1}, {'ref': 0}, {'ref': 1 << raw.SEGMENT | 5}, {'ref': 'junk'}, {'ref': 1 << 40}, {'version': 2}, {'port': 0},
               {'port': 'x'}):
        a = bring_up(**kw)
        a.wait_state(layout.XG_XENBUS_CLOSED)
        if not a.back('error'):
            e2e.fail(f'{kw}: no reason given')
        a.front('state', layout.XG_XENBUS_CLOSED)
        a.close()
        still_well(str(kw))

    # --- the control ring's indices
    for index, value in (('req_prod', layout.XG_CONTROL_REQUESTS + 1), ('req_prod', 0xffffffff), ('msg_cons', 0xffffff00)):
        a = fresh()
        a.connect()
        layout.CONTROL_PAGE.put(a.control, **{index: value})
        a.notify()
        a.wait_state(layout.XG_XENBUS_CLOSED)
        a.close()
        still_well(f'{index} {value:#x}')

    # --- requests
    a = fresh()
    a.connect()

    def status(op, channel, payload=b''):
        a.put(op, channel, payload)
        return a.message()[4]

    expect(status(99, 0), ENOSYS, 'an unknown request')
    expect(status(raw.CLOSE, 0), EINVAL, 'closing what is not open')
    expect(status(raw.CLOSE, 0xffffffff), EINVAL, 'closing an impossible channel')
    expect(status(raw.OPEN, layout.XG_CHANNELS_MAX), EINVAL, 'one channel too many')
    good_open = a.open_payload()
    for field, value in (('ring_count', 0), ('ring_count', layout.XG_RINGS_MAX + 1), ('ring_count', 0xffffffff),
                         ('cmd_order', layout.XG_CMD_ORDER_MIN - 1), ('cmd_order', layout.XG_CMD_ORDER_MAX + 1), ('cmd_order', 0xffffffff),
                         ('reply_order', layout.XG_REPLY_ORDER_MAX + 1), ('arena_pages', 0), ('arena_pages', 0xffffffff)):
        spoilt = bytearray(good_open)
        layout.CONTROL_OPEN.put(spoilt, **{field: value})
        expect(status(raw.OPEN, 1, bytes(spoilt)), EINVAL, f'{field} = {value}')

    def spoil(**fields):
        return lambda memory, at: layout.DIRECTORY_PAGE.put(memory, at, **fields)

    def refer(segment, page=0):
        return spoil(ref=[segment << raw.SEGMENT | page] + [0] * (layout.XG_DIRECTORY_REFS - 1))
    for what, change in (('count 0', spoil(count=0)), ('count too large', spoil(count=layout.XG_DIRECTORY_REFS + 1)),
                         ('a chain too long', spoil(next=1 << raw.SEGMENT)), ('pages in another order', refer(1, 1)), ('a foreign segment', refer(999))):
        expect(status(raw.OPEN, 1, a.open_payload(change=change)), (EINVAL, EFAULT), what)
    expect(status(raw.OPEN, 1, a.open_payload(ports=[31337])), ENOENT, 'a port that is none')
    still_well('requests')

    # --- what is refused uses its ports up as well: a guest may be refused as often as it likes
    refused = bytearray(a.open_payload())
    for i in range(150):
        port = a.ports_new(1) + [0] * (layout.XG_RINGS_MAX - 1)
        layout.CONTROL_OPEN.put(refused, port=port)
        layout.CONTROL_OPEN.put(spoilt, port=port)
        expect(status(raw.OPEN, layout.XG_CHANNELS_MAX if i % 2 else 1, bytes(refused if i % 2 else spoilt)), EINVAL, 'a refused open')

    # --- the ring's own pages full of noise: the worker ends, the broker says why
    def noise(memory, at):
        memory[raw.PAGE:2 * raw.PAGE] = os.urandom(raw.PAGE)
    expect(status(raw.OPEN, 2, a.open_payload(change=noise)), 0, 'open')
    kind, _, _, channel, _, reason, text = a.message()
    expect([kind, channel, reason], [raw.GONE, 2, layout.XG_RING_PROTOCOL], f'noise in the index page ({text})')
    expect(status(raw.OPEN, 2, a.open_payload()), EINVAL, 'opening before closing')
    expect(status(raw.CLOSE, 2), 0, 'closing what is gone')

    # --- open, and close at once, more often than anybody may; memory changes meanwhile
    for i in range(150):
        a.put(raw.OPEN, 3, a.open_payload())
        expect(a.message()[4], 0, 'open')
        a.memory[-1][raw.PAGE:raw.PAGE + 0x200] = random.randbytes(0x200)
        a.put(raw.CLOSE, 3)
        while True:
            kind, op, _, _, st, _, _ = a.message()
            if kind == raw.REPLY:
                expect([op, st], [raw.CLOSE, 0], 'close')
                break
        a.ask(raw.REVOKE, a.segment)
    still_well('opening and closing')

    # --- floods: of messages, and of one that does not read what it is sent
    until = time.monotonic() + 1
    a.sock.settimeout(0.2)
    sent = 0
    while time.monotonic() < until:
        try:
            a.notify()
            sent += 1
        except (OSError, socket.timeout):
            break
    begin = time.monotonic()
    bed.list()
    if time.monotonic() - begin > 1:
        e2e.fail('the daemon is busy with one guest alone')
    a.close()
    a = fresh()
    a.sock.settimeout(0.2)
    try:
        for i in range(100000):
            a.send(layout.XG_LOCAL_READ, text=b'device/xengpu/0/state\0')
    except (OSError, socket.timeout):
        pass
    still_well('floods')
    a.close()

    # --- nothing of all that stays
    fresh().close()
    e2e.wait_for(lambda: descriptors() <= base, 10, lambda: f'{descriptors()} descriptors, {base} before')
    if daemon.poll() is not None:
        e2e.fail('the daemon is dead')
    again = raw.App(f'{bed.sockets}/good/agent.sock')
    if again.status:
        e2e.fail(again.text)
