#!/usr/bin/env python3
"""Makes inputs by hand for the targets that play a whole partner: seeds.py OUTPUT; OUTPUT/xen and the like get files for `run.py --minimise`.

A step is (what, where, bytes), and `what` counts as the target's own list of them does."""
import os
import struct
import sys

XEN = 'CONNECT NODE NODE_GONE PAGE REQUEST EVENT WAIT DIRECTORY CRASH TAKE TOOL FAIL DAEMON DOMAIN REVOKE DIES'.split()
LOCAL = 'CONNECT MESSAGE RAW PAGE REQUEST NOTIFY WAIT MEMORY CRASH TAKE HANGUP SECOND DRAIN OPERATOR NODE COST'.split()
AGENT = 'APP HELLO SAY END SERVE MESSAGE PAGE NODE STATE PAGES DETACH ATTACH RESUMED DIES EXPIRE STOP'.split()
OPERATOR = 'DIAL LINE BYTES REQUEST READ HANGUP WAIT OUTPUT CHILD CHILD_ENDS SHUT'.split()
STATE, VERSION, RING_REF, EVENT_CHANNEL = range(4)


def steps(kinds, *given):
    out = b''
    for step in given:
        what, where, data = step + (0, b'')[len(step) - 1:]
        out += struct.pack('<BBH', kinds.index(what), where, len(data)) + data
    return out


def opened(rings=1, cmd=2, reply=0, arena=1, directory=0, ports=()):
    """The parameters of an OPEN."""
    return struct.pack('<6I64s', rings, cmd, reply, arena, directory, 4711, b'seed') + b''.join(struct.pack('<I', p) for p in ports)


def node(where, text):
    return ('NODE', where, text.encode())


CHANNEL = [('CONNECT',), ('DIRECTORY', 8), ('REQUEST', 0)]
XEN_SEEDS = {
    'connect': [('CONNECT',), ('CONNECT',), ('DIES',), ('WAIT', 9), ('CONNECT',)],
    'channel': [*CHANNEL, ('WAIT', 1), ('TAKE',), ('REQUEST', 4), ('WAIT', 60), ('TAKE',)],
    'crash': [*CHANNEL, ('CRASH',), ('TAKE',), ('REQUEST', 0), ('REQUEST', 4), ('REQUEST', 0)],
    'full': [*CHANNEL, *[('REQUEST', 16 + i % 4) for i in range(12)], ('EVENT',), ('TAKE',), ('EVENT',), ('WAIT', 40)],
    'chain': [('CONNECT',), ('DIRECTORY', 16, struct.pack('<I', 0)), ('DIRECTORY', 1 + 8), ('REQUEST', 0, opened(arena=3000, directory=9)),
              ('DIRECTORY', 32, struct.pack('<I', 1022)), ('REQUEST', 1, opened(arena=3000)), ('REQUEST', 2, opened(rings=33))],
    'indices': [*CHANNEL, ('PAGE', 4, struct.pack('<II', 0xfffffff0, 9)), ('EVENT',), ('CONNECT',), ('PAGE', 4, struct.pack('<II', 1, 77)), ('EVENT',)],
    'header': [('CONNECT',), ('PAGE', 0, struct.pack('<II', 1, 2)), node(STATE, '1'), ('WAIT', 9), node(STATE, '3'), ('WAIT', 9), node(STATE, '6')],
    'nodes': [node(VERSION, '2'), node(STATE, '3'), ('WAIT', 60), node(STATE, '1'), node(VERSION, '1'), node(RING_REF, '8'), node(EVENT_CHANNEL, 'x'),
              node(STATE, '3'), node(STATE, '-1'), node(STATE, '4294967299'), node(STATE, ' 3'), ('NODE_GONE', STATE), ('NODE_GONE', 6)],
    'mapped': [node(VERSION, '1'), node(RING_REF, '10'), node(EVENT_CHANNEL, '1'), node(STATE, '3'), ('REVOKE', 1), node(STATE, '5'), ('WAIT', 60)],
    'tool': [*CHANNEL, ('TOOL', 0), ('WAIT', 60), ('TOOL', 3), ('CONNECT',), ('TOOL', 1), ('WAIT', 60), ('TOOL', 3), ('TOOL', 2), ('WAIT', 60)],
    'daemon': [*CHANNEL, ('DAEMON', 0), ('CONNECT',), ('DAEMON', 1), ('CONNECT',), ('DOMAIN',), ('CONNECT',)],
    'fail': [('FAIL', 1, b'\2'), ('CONNECT',), ('FAIL', 8, b'\0'), ('CONNECT',), ('FAIL', 16, b'\0'), ('CONNECT',), ('FAIL', 4, b'\0'), ('DOMAIN',)],
}
READ, WRITE, WATCH, GRANT, REVOKE, PORTS, NOTIFY = range(1, 8)


def message(kind, number=0, descriptors=0, kinds=0, text=b''):
    return ('MESSAGE', kind, struct.pack('<IBB', number, descriptors, kinds) + text)


REF = 5 << 22
FRONT = b'device/xengpu/0/'
OPEN = [('CONNECT',), ('REQUEST', 0)]
LOCAL_SEEDS = {
    'connect': [('CONNECT',), ('SECOND',), ('HANGUP',), ('WAIT', 40), ('CONNECT',), node(STATE, '1'), ('WAIT', 9), node(STATE, '3'), ('DRAIN',)],
    'channel': [*OPEN, ('TAKE',), ('REQUEST', 4), ('WAIT', 60), ('TAKE',), *[('REQUEST', i % 4) for i in range(10)], ('DRAIN',)],
    'crash': [*OPEN, ('CRASH',), ('TAKE',), ('REQUEST', 0), ('REQUEST', 4), ('HANGUP',), ('WAIT', 60)],
    'store': [('CONNECT',), message(READ, text=FRONT + b'backend\0'), message(READ, text=b'/local/domain/0/backend/xengpu/2/0/state\0'),
              message(READ, text=b'/local/domain/1\0'), message(WRITE, text=FRONT + b'backend\0/x\0'), message(WRITE, text=FRONT + b'a/b\0x\0'),
              message(WRITE, text=FRONT + b'x\0'), message(WATCH, text=b'y\0'), ('DRAIN',)],
    'many': [('CONNECT',), *[message(WRITE, text=FRONT + b'n%d\0x\0' % i) for i in range(33)]],
    'grants': [('CONNECT',), *[message(GRANT, i + 1, 1, i) for i in range(8)], message(GRANT, 5, 1, 1), message(GRANT, 1024, 1, 1), message(GRANT, 7),
               message(REVOKE, 1), message(REVOKE, 77), message(REVOKE, 5), ('NOTIFY',), ('REQUEST', 0)],
    'ports': [('CONNECT',), message(PORTS, 1, 64, 6), message(PORTS, 40, 64, 6), message(PORTS, 80, 64, 6), message(PORTS, 120, 64, 6),
              message(PORTS, 3, 2, 6), message(PORTS, 300, 2, 0), message(PORTS, 300, 3, 6), message(PORTS, 300, 80, 6), message(PORTS, 300)],
    'malformed': [('CONNECT',), ('RAW', 0, b'x'), ('CONNECT',), message(12), ('CONNECT',), ('MESSAGE', READ + 32, struct.pack('<IBB', 0, 0, 0) + b'abc'),
                  ('CONNECT',), ('RAW', 0, struct.pack('<HHIiI', 1, 9, 0, 0, 0) + b'ab\0')],
    'indices': [*OPEN, ('PAGE', 4, struct.pack('<II', 0xfffffff0, 9)), ('NOTIFY',), ('CONNECT',), ('PAGE', 4, struct.pack('<II', 1, 77)), ('NOTIFY',)],
    'directory': [('CONNECT',), ('REQUEST', 0, opened(directory=REF)), ('REQUEST', 0, opened(directory=REF + 99)), ('REQUEST', 1, opened(arena=3000)),
                  ('MEMORY', 0, struct.pack('<III', 0, 1, REF + 1)), ('REQUEST', 2, opened(directory=REF + 1, rings=2))],
    'operator': [*OPEN, ('OPERATOR', 1), ('OPERATOR', 0), ('CONNECT',), ('OPERATOR', 0), ('CONNECT',), ('REQUEST', 0), ('OPERATOR', 0), ('HANGUP',)],
    'debt': [('CONNECT',), ('COST', 200), ('REQUEST', 0), ('REQUEST', 4), ('NOTIFY',), ('WAIT', 200), ('DRAIN',), ('HANGUP',), ('WAIT', 255)],
}
REPLY, GONE = 1, 2
ANSWERED = [('HELLO', 0), ('SERVE',)]
AGENT_SEEDS = {
    'channel': [*ANSWERED, ('HELLO', 1), ('SERVE',), ('END', 0), ('SERVE',), ('SAY', 1, b'x'), ('SERVE',)],
    'refused': [('HELLO', 0), ('SERVE', 33), ('HELLO', 128, b'XGHO\2'), ('HELLO', 129), ('APP', 2), ('SAY', 2, b'what'), ('SAY', 3)],
    'many': [('HELLO', i) for i in range(40)] + [('SERVE',), ('END', 3), ('SERVE',)],
    'silent': [*[('APP', i) for i in range(36)], ('EXPIRE', 6), ('HELLO', 5), ('EXPIRE', 30)],
    'waits': [('STATE', 1), ('HELLO', 0), ('EXPIRE', 30), ('STATE', 6), ('HELLO', 1), ('STATE', 2), ('STATE', 4), ('SERVE',)],
    'gone': [*ANSWERED, ('MESSAGE', GONE, b'\0'), ('SERVE',), ('HELLO', 0), ('MESSAGE', REPLY + 4, b'\0'), ('MESSAGE', REPLY + 8, b'\0'), ('MESSAGE', GONE, b'\x40')],
    'closes': [*ANSWERED, ('STATE', 5), ('HELLO', 1), ('STATE', 6), ('ATTACH',), *ANSWERED, ('STATE', 2), ('STATE', 3), ('STATE', 4), ('SERVE',)],
    'dies': [*ANSWERED, ('DIES',), ('HELLO', 1), ('STATE', 2), ('STATE', 4), ('SERVE',), ('RESUMED',), ('HELLO', 2), ('ATTACH',), *ANSWERED, ('DETACH',)],
    'pages': [('PAGES', 2, b'\0\0\0\0'), *ANSWERED, ('PAGES', 0, b'\x10'), ('HELLO', 1), ('SERVE',), ('DETACH',), ('ATTACH',), ('PAGES', 1), ('HELLO', 2)],
    'nodes': [*[('NODE', i, text) for i, text in enumerate((b'1,2', b'65', b'33', b'13', b'9', b'5', b'-1', b'why', b'name', b'2'))],
              ('STATE', 1), ('STATE', 2), ('NODE', 0, b'3'), ('STATE', 6), ('STATE', 2), ('NODE', 128), ('STATE', 2)],
    'ring': [*ANSWERED, ('PAGE', 0, struct.pack('<II', 9, 9)), ('PAGE', 0, struct.pack('<II', 0xffffffff, 0)), ('HELLO', 1), ('SERVE',), ('STOP',)],
}


def request(form, text=b'', sock=0):
    return ('REQUEST', 8 * form + sock, text)


PING, LIST, TYPES, RELOAD, ATTACH, WEIGHT, NEW, DETACH, SET, MEMORY, KEY, WAITS = range(12)
OPERATOR_SEEDS = {
    'ask': [('DIAL',), request(PING), request(LIST), request(TYPES), request(RELOAD), ('READ',)],
    'attach': [('DIAL',), request(ATTACH, b'a'), request(SET, b'"weight":"3"'), request(MEMORY, b'1G'), request(NEW, b'{}'), request(DETACH, b'a'), ('READ',)],
    'waits': [('DIAL',), request(WAITS), request(PING), ('DIAL', 1), request(DETACH, b'c', 1), ('WAIT', 10), ('READ',), ('READ', 1), ('DIAL', 2),
              request(WAITS, b'', 2), ('HANGUP', 2), ('WAIT', 250)],
    'wrong': [('DIAL',), ('LINE', 0, b'{'), ('LINE', 0, b'[]'), ('LINE', 0, b'{"cmd":1}'), ('LINE', 0, b'{"cmd":"set","guest":"x"}'), ('LINE', 0, b'\xff\0'),
              request(ATTACH, b'../x'), request(WEIGHT, b'-1'), request(KEY, b'what'), request(NEW, b'[1]'), ('READ',)],
    'pieces': [('DIAL',), ('BYTES', 0, b'{"cmd":'), ('BYTES', 0, b'"ping"}\n{"cmd":"list"}\n{'), ('SHUT',), ('READ',), ('DIAL', 1), ('SHUT', 65)],
    'long': [('DIAL',), ('BYTES', 0xf8, b'x' * 1024), ('READ',), ('DIAL', 1), ('LINE', 1, b'{"cmd":"' + b'y' * 3000 + b'"}')],
    'unread': [('DIAL',), *[request(LIST)] * 40, ('HANGUP',)],
    'output': [('CHILD', 64), ('OUTPUT', 0, b'<3>an error\nand\n'), ('OUTPUT', 0, b'x' * 600), ('CHILD', 1), ('OUTPUT', 1, b'\n\0\n<4>\n<9>x\n'), ('WAIT', 1),
               ('OUTPUT', 1 + 28 + 128, b'line\n' * 400), ('CHILD_ENDS', 1), ('CHILD', 2 + 128, b'name\n%s'), ('OUTPUT', 2, b'end'), ('CHILD_ENDS', 2)],
}


def main():
    for target, kinds, seeds in (('xen', XEN, XEN_SEEDS), ('local', LOCAL, LOCAL_SEEDS), ('agent', AGENT, AGENT_SEEDS),
                                  ('operator', OPERATOR, OPERATOR_SEEDS)):
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for name, given in seeds.items():
            with open(os.path.join(folder, name), 'wb') as f:
                f.write(steps(kinds, *given))


if __name__ == '__main__':
    main()
