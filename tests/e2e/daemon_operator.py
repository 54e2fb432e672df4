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

BAD = [  # text, line, what is said of it
    ('[daemon]\nsocket-dri = /x\n', 2, "unknown key 'socket-dri' in [daemon]"),
    ('[daemon]\n\n# x\nsandbox = maybe\n', 4, 'sandbox = maybe: neither yes, no nor report'),
    ('[daemon]\nsocket-dir = run/xengpu\n', 2, 'socket-dir = run/xengpu: not an absolute path'),
    ('[daemon]\nsocket-dir = /' + 100 * 'x' + '\n', 2, 'longer than 91 bytes'),
    ('[daemon]\nagent-user = no-such-user\n', 2, 'there is no such user'),
    ('[daemon]\nmax-channels = 65\n', 2, 'max-channels = 65: not a number from 1 to 64'),
    ('[daemon]\nmax-channels = +5\n', 2, 'max-channels = +5'),
    ('[daemon]\nmax-channels =\n', 2, 'max-channels = : not a number'),
    ('[daemon]\nmax-channel-memory = 4K\n', 2, 'not a size from 1M'),
    ('[daemon]\nquantum-us = 0\n', 2, 'quantum-us = 0'),
    ('[daemon]\nstuck-seconds = 18446744073709551617\n', 2, 'stuck-seconds = 1844'),
    ('[pgpu a]\ncuda = fast\n', 2, 'cuda = fast'),
    ('[pgpu a]\ncuda = lib/libcuda.so\n', 2, 'cuda = lib/libcuda.so: not an absolute path'),
    ('[pgpu a]\ncuda = /nowhere/libcuda.so.1\n', 2, 'No such file'),
    ('[pgpu a]\ncuda = /usr/lib\n', 2, 'cuda = /usr/lib: not a file'),
    ('[pgpu a]\ncuda-device = 256\n', 2, 'not a number from 0 to 255'),
    ('[pgpu a]\ngl = 1st\n', 2, 'gl = 1st'),
    ('[pgpu a]\ngl = dri/renderD128\n', 2, 'not an absolute path'),
    ('[pgpu a]\ngl = /dev/dri/renderD999\n', 2, 'No such file'),
    ('[pgpu a]\ngl = /etc/passwd\n', 2, 'gl = /etc/passwd: not a device node'),
    ('[pgpu a]\negl-vendor = 50_mesa.json\n', 2, 'not an absolute path'),
    ('[pgpu a]\negl-vendor = /nowhere/50_mesa.json\n', 2, 'No such file'),
    ('[pgpu a]\npolicy = fair\n', 2, 'policy = fair: neither best-effort, equal nor fixed'),
    ('[pgpu a]\ncuda = none\npolicy = fixed\n', 1, 'policy = fixed needs max-instances'),
    ('[pgpu a]\naverage-ms = 0\n', 2, 'average-ms = 0: not a number from 1 to 60000'),
    ('[pgpu a]\nquantum-us = 99\n', 2, 'quantum-us = 99: not a number from 100'),
    ('[pgpu a]\nmax-instances = 0\n', 2, 'max-instances = 0'),
    ('[type t]\ncap = 0\n', 2, 'cap = 0: not a number from 1 to 100'),
    ('[type t]\nfps-limit = 1001\n', 2, 'fps-limit = 1001: not a number from 0 to 1000'),
    ('[guest g]\nmax-instances = 1\n', 2, "unknown key 'max-instances' in [guest g]"),
    ('[pgpu a]\ncolour = red\n', 2, "unknown key 'colour' in [pgpu a]"),
    ('[type t]\nweight = 0\n', 2, 'weight = 0: not a number from 1 to 10000'),
    ('[type t]\nmemory = 5X\n', 2, 'memory = 5X'),
    ('[type t]\ntype = t\n', 2, 'known are weight, memory'),
    ('[type t]\nhost-memory = 63M\n', 2, 'neither auto nor a size from 64M'),
    ('[daemon]\ncgroups = 2\n', 2, 'neither yes nor no'),
    ('[guest g]\nweight = -1\n', 2, 'weight = -1'),
    ('[guest g]\nagent = no\n', 2, 'known are type, weight, memory, host-memory, pgpu, rings, arena, user'),
    ('[guest g]\nrings = 33\n', 2, 'rings = 33: not a number from 1 to 32'),
    ('[guest g]\narena = 1536K\n', 2, 'arena = 1536K: not a size in whole MiB'),
    ('[guest g]\n[guest h]\nweight = 5\ntype = none\n', 4, 'type = none: there is no [type none]'),
    ('[guest g]\npgpu = none\n[pgpu one]\ncuda = none\n', 2, 'pgpu = none: there is no [pgpu none]'),
    ('[gest g]\nweight = 1\n', 1, '[gest g]: sections are'),
    ('[guest]\n', 1, '[guest]: sections are'),
    ('[daemon x]\n', 1, '[daemon x]: sections are'),
    ('[guest a/b]\nweight = 1\n', 1, '[guest a/b]: a name has'),
    ('[guest ' + 64 * 'x' + ']\n', 1, 'a name has 1 to 63'),
    ('[guest a\n', 1, "'[section]'"),
    ('[guest a] b\n', 1, "'[section]'"),
    ('weight = 1\n[guest a]\n', 1, 'before the first section'),
    ('[guest a]\n\n[guest a]\n', 3, '[guest a] is there twice, first in line 1'),
    ('[daemon]\n[guest a]\n[daemon]\n', 3, '[daemon] is there twice'),
    ('[type t]\nweight = 1\nmemory = 1G\nweight = 1\n', 4, "'weight' is given twice in [type t], first in line 2"),
    ('[daemon]\njunk\n', 2, 'key = value'),
    ('[type t]\nweight = 5\n  7\n', 3, 'key = value'),
    ('[daemon]\nsocket-dir = /' + 200 * 'x' + '\n', 2, 'the line is longer than'),
    ('[guest a]\nweight = 1\nweight = 2\ntype = t\n[guest a]\n', 5, 'is there twice'),
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
        if f'x.conf:{line}: ' not in r.stderr or 'x.conf:0:' in r.stderr:
            e2e.fail(f'{wanted}: no line {line} in {r.stderr!r}')
    expect(bed.run([f'{bed.build}/bin/xengpud', '--local', '--config', f'{bed.tmp}/none']), 2, 'none')
    expect(bed.run([f'{bed.build}/bin/xengpud', '--local', '--config', bed.tmp]), 2, bed.tmp)
    expect(bed.run([f'{bed.build}/bin/xengpud']), 2, 'usage')
    example = os.path.join(e2e.ROOT, 'packaging/xengpud.conf.example')
    with open(example) as f:  # every key of the example is known, with its default
        lines = [l[2:] if l.startswith('# ') and (' = ' in l or l.startswith('# [')) and ': ' not in l else l for l in f]
    write(''.join(l for l in lines if not l.startswith('#') and (os.path.exists(l[13:-1]) or 'egl-vendor' not in l)))
    r = bed.run([f'{bed.build}/bin/xengpud', '--local', '--socket-dir', '/dev/null/x', '--config', config])
    expect(r, 1, '/dev/null/x')

    # a directory in which another user, or everybody, could take the daemon's place
    shared = os.path.join(bed.tmp, 'shared')
    os.mkdir(shared)
    os.chmod(shared, 0o777)
    command = [f'{bed.build}/bin/xengpud', '--local', '--socket-dir', shared]
    expect(bed.run(command), 1, 'every user may change the files in it')
    os.chmod(shared, 0o755)
    os.symlink(os.path.join(bed.tmp, 'victim'), os.path.join(shared, 'lock'))
    expect(bed.run(command), 1, f'{shared}/lock: Too many levels of symbolic links')
    if os.geteuid() == 0:
        os.chown(shared, 65534, 65534)
        expect(bed.run(command), 1, 'belongs to another user, number 65534')
    if os.path.exists(os.path.join(bed.tmp, 'victim')):
        e2e.fail("a link in the lock's place was followed")

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
    expect(tool('attach', 'x/y'), 2, "not a guest's name")
    expect(tool('attach', '..'), 2, "not a guest's name")
    expect(tool('attach', 'd', 'type=none'), 1, "xengpu types")
    expect(tool('attach', 'd', 'pgpu=none'), 1, 'xengpu list')
    expect(tool('attach', 'd', 'weight=0'), 1, '1 to 10000')
    expect(tool('attach', 'd', 'memory=lots'), 1, 'such as')
    expect(tool('attach', 'd', 'size=1'), 1, 'known are')
    expect(tool('attach', 'd', 'agent=maybe'), 1, 'agent=maybe: neither yes nor no')
    expect(tool('attach', 'd', 'rings=0'), 1, 'rings=0: not a number from 1 to 32')
    expect(tool('attach', 'd', 'weight=3', 'weight=4'), 2, 'twice')
    expect(tool('attach', 'd', 'weight=3', 'memory=bad'), 1, 'memory=bad')
    if os.path.exists(f'{bed.sockets}/d'):
        e2e.fail('what was refused has made a guest')
    expect(tool('attach', 'd', 'type=small', 'weight=70', 'memory=1G'), 0)
    expect(tool('set', 'd', 'weight=300'), 0)
    expect(tool('set', 'd', 'weight=many'), 1, 'weight=many')
    expect(tool('set', 'd', 'color=red'), 1, 'color: there is no such key; known are type, weight, memory')
    expect(tool('set', 'd', 'weight=5', 'memory=bad'), 1, 'memory=bad')
    expect(tool('set', 'd', 'weight=5', 'type=none'), 1, 'type=none')
    expect(tool('set', 'd', 'pgpu=one'), 1, 'cannot be changed while the guest is attached')
    expect(tool('set', 'nobody', 'weight=3'), 1, 'no such guest')
    d = next(g for g in bed.list()['guests'] if g['name'] == 'd')
    if (d['weight'], d['memory_limit']) != (300, 1 << 30):
        e2e.fail(f'after set: {d}')
    expect(tool('set', 'd', 'type=small'), 0)
    d = next(g for g in bed.list()['guests'] if g['name'] == 'd')
    if (d['weight'], d['memory_limit']) != (50, 512 << 20):
        e2e.fail(f'after set type: {d}')
    expect(tool('set', 'd', 'weight=60', 'type=small'), 0)  # in whichever order: the type's, but for the weight
    d = next(g for g in bed.list()['guests'] if g['name'] == 'd')
    if (d['weight'], d['memory_limit']) != (60, 512 << 20):
        e2e.fail(f'after set weight and type: {d}')
    expect(tool('set', 'd', 'type=small'), 0)
    expect(tool('types'), 0, 'small')
    if [t['guests'] for t in json.loads(tool('types', '--json').stdout)['types'] if t['name'] == 'small'] != [2]:
        e2e.fail('types --json')
    expect(tool('list'), 0, 'fixed')
    expect(tool('top', '-n', '1', '-d', '0.2'), 0, 'WAITS')
    expect(tool('detach', 'd'), 0)
    expect(tool('detach', 'd'), 1, 'no such guest')
    if os.path.exists(f'{bed.sockets}/+store/d') or os.listdir(f'{bed.sockets}/d'):
        e2e.fail('detached, but its sockets are there')
    # the same name again
    expect(tool('attach', 'd'), 0)

    # run
    def run(*args):
        return bed.xengpu('run', '--socket-dir', bed.sockets, *args, timeout=40)
    status = bed.guest('new', ['sh', '-c', 'test -S "$XENGPU_SOCKET" && case $LD_PRELOAD in */libxengpu.so*) exit 7;; esac'])
    expect(status, 7)
    r = run('--guest', 'new', '--type', 'small', '--weight', '7', 'true')
    expect(r, 0, 'guest new is attached already: --type --weight ignored')
    if r.stdout or next(g for g in bed.list()['guests'] if g['name'] == 'new')['type'] != 'default':
        e2e.fail(f'run --type for a guest that is there: {r}')
    r = run('--guest', 'newer', '--type', 'small', 'true')
    expect(r, 0)
    if r.stderr or next(g for g in bed.list()['guests'] if g['name'] == 'newer')['type'] != 'small':
        e2e.fail(f'run --type for a new guest: {r}')
    expect(run('--guest', 'newest', '--weight', 'many', 'true'), 125, 'weight=many: not a number')
    expect(bed.guest('new', [f'{bed.tmp}/no/program']), 127, 'no such program')
    expect(bed.guest('new', ['/tmp']), 126)
    expect(bed.xengpu('run', '--socket-dir', f'{bed.tmp}/none', 'true'), 125, 'xengpud --local')
    expect(tool('nonsense'), 2, '--help')
    for option, value in (('-n', '0'), ('-n', 'x'), ('-d', 'nan'), ('-d', '0'), ('-d', '1e9')):
        expect(tool('top', '-n', '1', option, value), 2, f'{option} {value}: not a number from')
    for command in (('set', 'new', 'weight=5'), ('detach', 'new'), ('run', 'true')):  # these have nothing to say in JSON
        expect(tool(*command[:1], '--json', *command[1:]), 2, 'unknown option --json')
    # what could not be written was not told
    for command in ('list', 'list --json', 'types', 'top -n 1 -d 0.1', 'top -d 0.1 --json', 'check --json', 'list --help', '--version'):
        at = '' if command == '--version' else f'--socket-dir {bed.sockets}'
        r = bed.run(['sh', '-c', f'{bed.plain}/bin/xengpu {command} {at} >/dev/full'], timeout=40)
        expect(r, 1, 'standard output: No space left on device')
    for command in ('run', 'list', 'types', 'top', 'attach', 'detach', 'set', 'reload', 'check'):
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
                 b'{"cmd":"set","guest":"a","set":"weight=3"}\n', b'{"cmd":"set","guest":"a","weight":"3"}\n',
                 b'{"cmd":"attach","guest":"e","weight":3}\n', b'{"cmd":"attach","guest":"e","set":["weight"]}\n',
                 b'x' * 20000 + b'\n'):
        answer = json.loads(ask(junk).splitlines()[0])
        if answer.get('ok') is not False or not answer.get('error'):
            e2e.fail(f'{junk[:40]}: {answer}')
    if ask(b'{"cmd":"ping"}\n{"cmd":"ping"}\n').count(b'"ok":true') != 2:
        e2e.fail('two requests on one connection')
    if ask(b'no end') != b'':
        e2e.fail('half a line was answered')
    bed.list()
