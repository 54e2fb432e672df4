#!/usr/bin/env python3
# The operator's view: attach, detach, set, list, types, run, top, check; configuration files, good and bad; errors name the thing and the way out.
# san: address
# limit: 180
import json
import os
import socket
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

CONFIG = '''
[daemon]
max-channels = 3
quantum-us = 1500
[pgpu one]
cuda = none
gl = none
[pgpu two]
cuda = none
gl = none
[type small]
weight = 50
memory = 512M
[guest fixed]
type = small
pgpu = two
rings = 2
arena = 8M
'''

BAD = [
    ('[daemon]\nsocket-dri = /x\n', 2, "unknown key 'socket-dri' in [daemon]"),
    ('[daemon]\n\n# x\nsandbox = maybe\n', 4, 'sandbox = maybe'),
    ('[pgpu a]\ncuda = fast\n', 2, 'cuda = fast'),
    ('[pgpu a]\ncolour = red\n', 2, "unknown key 'colour' in [pgpu a]"),
    ('[type t]\nweight = 0\n', 2, 'weight = 0'),
    ('[type t]\nmemory = 5X\n', 2, 'memory = 5X'),
    ('[guest g]\nweight = -1\n', 2, 'weight = -1'),
    ('[guest g]\ntype = none\n', None, 'there is no [type none]'),
    ('[guest g]\npgpu = none\n', None, 'there is no [pgpu none]'),
    ('[gest g]\nweight = 1\n', 2, '[gest g]'),
    ('[guest a/b]\nweight = 1\n', 2, '[guest a/b]'),
    ('[daemon]\nmax-channels = 65\n', 2, 'max-channels = 65'),
    ('[daemon]\njunk\n', 2, 'key = value'),
]


def expect(r, status, text=''):
    if r.returncode != status or text not in r.stdout + r.stderr:
        e2e.fail(f'{" ".join(r.args)}: status {r.returncode}, not {status}; wanted {text!r} in {r.stdout + r.stderr!r}')


with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')

    def write(text):
        with open(config, 'w') as f:
            f.write(text)

    for text, line, wanted in BAD:
        write(text)
        r = bed.run([f'{bed.build}/bin/xengpud', '--local', '--socket-dir', bed.sockets, '--config', config])
        expect(r, 2, wanted)
        if line and f'x.conf:{line}:' not in r.stderr:
            e2e.fail(f'{wanted}: no line {line} in {r.stderr!r}')
    expect(bed.run([f'{bed.build}/bin/xengpud', '--local', '--config', f'{bed.tmp}/none']), 2, 'none')
    expect(bed.run([f'{bed.build}/bin/xengpud', '--local', '--config', bed.tmp]), 2, bed.tmp)
    expect(bed.run([f'{bed.build}/bin/xengpud']), 2, 'usage')
    example = os.path.join(e2e.ROOT, 'packaging/xengpud.conf.example')
    with open(example) as f:  # every key of the example is known, with its default
        lines = [l[2:] if l.startswith('# ') and (' = ' in l or l.startswith('# [')) and ': ' not in l else l for l in f]
    write(''.join(l for l in lines if not l.startswith('#')))
    r = bed.run([f'{bed.build}/bin/xengpud', '--local', '--socket-dir', '/dev/null/x', '--config', config])
    expect(r, 1, '/dev/null/x')

    # a driver that ends whoever looks at it costs its own API, and nothing else
    write(f'[pgpu x]\ncuda = {bed.plain}/tests/programs/libcrashing_driver.so\ngl = surfaceless\n')
    daemon = bed.daemon(['--config', config])
    e2e.wait_for(lambda: bed.list()['pgpus'][0]['ready'], 30, 'the device is being looked at for ever')
    p = bed.list()['pgpus'][0]
    if p['cuda'] is not None or 'ended by signal 6' not in p['cuda_error'] or not p['gl']:
        e2e.fail(f'a driver that crashes: {p}')
    bed.stop(daemon)

    def tool(*args, timeout=40):
        return bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=timeout)

    write(CONFIG)
    daemon = bed.daemon(['--no-sandbox', '--config', config])
    e2e.wait_for(lambda: bed.list()['guests'][0]['state'] == 'connected', 10, 'guest fixed does not come up')
    g = bed.list()['guests'][0]
    if (g['name'], g['type'], g['pgpu'], g['weight'], g['memory_limit']) != ('fixed', 'small', 'two', 50, 512 << 20):
        e2e.fail(f'configured guest: {g}')
    app = raw.App(f'{bed.sockets}/fixed/agent.sock')
    if (app.rings, app.arena) != (2, 2048):
        e2e.fail(f'geometry {app.rings} {app.arena}')
    others = [raw.App(f'{bed.sockets}/fixed/agent.sock') for _ in range(3)]
    if [a.status for a in others] != [0, 0, -16] or 'limit' not in others[2].text:
        e2e.fail(f'three applications are allowed: {[a.status for a in others]} {others[2].text}')
    for a in others + [app]:
        a.close()

    # placement: the smallest load first
    for name in 'abc':
        expect(tool('attach', name), 0, 'agent.sock')
    placed = {g['name']: g['pgpu'] for g in bed.list()['guests']}
    if placed != {'fixed': 'two', 'a': 'one', 'b': 'two', 'c': 'one'}:
        e2e.fail(f'placement: {placed}')

    expect(tool('attach', 'a'), 1, 'attached already')
    expect(tool('attach', 'x/y'), 2, 'no name for a guest')
    expect(tool('attach', '..'), 2, 'no name for a guest')
    expect(tool('attach', 'd', 'type=none'), 1, "xengpu types")
    expect(tool('attach', 'd', 'pgpu=none'), 1, 'xengpu list')
    expect(tool('attach', 'd', 'weight=0'), 1, '1 to 10000')
    expect(tool('attach', 'd', 'memory=lots'), 1, 'such as')
    expect(tool('attach', 'd', 'size=1'), 2, 'known are')
    expect(tool('attach', 'd', 'type=small', 'weight=70', 'memory=1G'), 0)
    expect(tool('set', 'd', 'weight=300'), 0)
    expect(tool('set', 'd', 'weight=many'), 1, 'weight=many')
    expect(tool('set', 'd', 'color=red'), 1, 'color')
    expect(tool('set', 'nobody', 'weight=3'), 1, 'no such guest')
    d = next(g for g in bed.list()['guests'] if g['name'] == 'd')
    if (d['weight'], d['memory_limit']) != (300, 1 << 30):
        e2e.fail(f'after set: {d}')
    expect(tool('set', 'd', 'type=small'), 0)
    d = next(g for g in bed.list()['guests'] if g['name'] == 'd')
    if (d['weight'], d['memory_limit']) != (50, 512 << 20):
        e2e.fail(f'after set type: {d}')
    expect(tool('types'), 0, 'small')
    if [t['guests'] for t in json.loads(tool('types', '--json').stdout)['types'] if t['name'] == 'small'] != [2]:
        e2e.fail('types --json')
    expect(tool('list'), 0, 'fixed')
    expect(tool('top', '-n', '1', '-d', '0.2'), 0, 'WAITS')
    expect(tool('detach', 'd'), 0)
    expect(tool('detach', 'd'), 1, 'no such guest')
    if os.path.exists(f'{bed.sockets}/d'):
        e2e.fail('detached, but its directory is there')
    # the same name again
    expect(tool('attach', 'd'), 0)

    # run
    status = bed.guest('new', ['sh', '-c', 'test -S "$XENGPU_SOCKET" && case $LD_PRELOAD in */libxengpu.so*) exit 7;; esac'])
    expect(status, 7)
    expect(bed.guest('new', [f'{bed.tmp}/no/program']), 127, 'no such program')
    expect(bed.guest('new', ['/tmp']), 126)
    expect(bed.xengpu('run', '--socket-dir', f'{bed.tmp}/none', 'true'), 125, 'xengpud --local')
    expect(tool('nonsense'), 2, '--help')
    for command in ('run', 'list', 'types', 'top', 'attach', 'detach', 'set', 'check'):
        expect(bed.xengpu(command, '--help'), 0, 'usage: xengpu ' + command)

    # the socket: lines that are none, lines that are too long, one that never reads
    def ask(data):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(f'{bed.sockets}/control.sock')
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = b''
        try:
            while chunk := s.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass  # it did not read all of ours
        return answer
    for junk in (b'\n', b'{}\n', b'[]\n', b'{"cmd": 3}\n', b'{"cmd": "attach"}\n', b'{"cmd": "attach", "guest": 5}\n', b'\xff\xfe\n',
                 b'{"cmd": "attach", "guest": "' + b'x' * 200 + b'"}\n', b'{"cmd":"set","guest":"a","set":{"weight":3}}\n',
                 b'x' * 20000 + b'\n'):
        answer = json.loads(ask(junk).splitlines()[0])
        if answer.get('ok') is not False or not answer.get('error'):
            e2e.fail(f'{junk[:40]}: {answer}')
    if ask(b'{"cmd":"ping"}\n{"cmd":"ping"}\n').count(b'"ok":true') != 2:
        e2e.fail('two requests on one connection')
    if ask(b'no end') != b'':
        e2e.fail('half a line was answered')
    bed.list()
