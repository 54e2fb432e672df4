#!/usr/bin/env python3
# xengpu check: tries what is there, from either side; makes no guest; says ok of nothing that it has not seen, and what fails with the way out.
# san: address
# limit: 180
import json
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')
    with open(config, 'w') as f:
        f.write(f"""
[daemon]
max-channels = 1
[pgpu one]
cuda = softcuda
gl = surfaceless
[pgpu broken]
cuda = {bed.plain}/tests/programs/libcrashing_driver.so
gl = none
[pgpu nothing]
cuda = none
gl = none
""")

    def check(*args, status, env=None, sockets=True, prefix=()):
        command = [*prefix, f'{bed.plain}/bin/xengpu', 'check', *args, '--json', *(['--socket-dir', bed.sockets] if sockets else [])]
        r = bed.run(command, env, timeout=100)
        if r.returncode != status:
            e2e.fail(f'check {args}: status {r.returncode}: {r.stdout}{r.stderr}')
        report = json.loads(r.stdout)
        if report['ok'] != (status == 0) or report['ok'] != all(s['ok'] is not False for s in report['steps']):
            e2e.fail(f'check {args}: ok and the steps do not agree: {report}')
        return [(s.get('guest'), s['step'], s['ok'], s['text']) for s in report['steps'] if s['step'] != 'library']

    def expect(steps, wanted):
        """wanted: (guest, step, ok, part of the text)."""
        if [s[:3] for s in steps] != [w[:3] for w in wanted] or any(w[3] not in s[3] for s, w in zip(steps, wanted)):
            e2e.fail(f'steps {steps}, not {wanted}')

    def working(guest):
        return [(guest, 'agent', True, 'agent.sock'), (guest, 'channel', True, 'rings'), (guest, 'call', True, 'us there and back'),
                (guest, 'OpenGL', True, 'llvmpipe'), (guest, 'CUDA', True, 'softcuda')]

    # nothing at all
    expect(check(status=1), [(None, 'daemon', False, 'No such file')])
    none = {'XENGPU_SOCKET': f'{bed.tmp}/none'}
    expect(check(status=1, env=none, sockets=False), [(None, 'agent', False, 'does xengpu-agent run?')])

    daemon = bed.daemon(['--config', config])
    devices = [(None, 'daemon', True, 'local mode'), (None, 'pgpu', True, 'one: OpenGL: llvmpipe'), (None, 'pgpu', True, 'one: CUDA: softcuda'),
               (None, 'pgpu', None, 'broken: OpenGL: not offered'), (None, 'pgpu', False, 'broken: CUDA: '),
               (None, 'pgpu', None, 'nothing: OpenGL: not offered'), (None, 'pgpu', None, 'nothing: CUDA: not offered')]
    expect(check(status=1), devices + [(None, 'guest', None, 'xengpu attach NAME')])
    expect(check('--guest', 'nobody', status=1), devices + [('nobody', 'guest', False, 'there is no such guest')])
    if bed.list()['guests']:
        e2e.fail('check has made a guest')

    # guests: one that works, even if it may have but one application; one whose device serves nothing; one without an agent
    for name, *keys in (('a', 'pgpu=one', 'user=everybody'), ('b', 'pgpu=nothing'), ('c', 'pgpu=one', 'agent=no')):
        r = bed.xengpu('attach', name, *keys, '--socket-dir', bed.sockets, timeout=40)
        if r.returncode:
            e2e.fail(f'attach {name}: {r.stderr}')
    expect(check('--guest', 'a', status=1), devices + working('a'))
    expect(check('--guest', 'b', status=1), devices + [('b', *w[1:]) for w in working('b')[:3]])
    expect(check('--guest', 'c', status=1), devices + [('c', 'agent', False, 'No such file')])
    everybody = check(status=1)
    if {s[0] for s in everybody} != {None, 'a', 'b', 'c'}:
        e2e.fail(f'all guests: {everybody}')

    # from inside a guest
    expect(check(status=0, env={'XENGPU_SOCKET': f'{bed.sockets}/a/agent.sock'}, sockets=False), working(None))
    inside = check(status=0, env={'XENGPU_SOCKET': f'{bed.sockets}/b/agent.sock'}, sockets=False)
    expect(inside, working(None)[:3] + [(None, 'OpenGL', None, 'does not offer it'), (None, 'CUDA', None, 'does not offer it')])

    # as somebody who may not ask the daemon
    if os.geteuid() == 0 and e2e.others_reach(bed.plain):
        asked = [(None, 'daemon', None, 'only the user')]
        nobody = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
        expect(check('--guest', 'a', status=0, prefix=nobody), asked + working('a'))
        expect(check('--guest', 'nobody', status=1, prefix=nobody), asked + [('nobody', 'guest', False, 'xengpu attach nobody')])

    # as people read it
    r = bed.xengpu('check', '--guest', 'nobody', '--socket-dir', bed.sockets, timeout=40)
    if r.returncode != 1 or 'nobody: guest      FAIL there is no such guest' not in r.stdout or 'library    ok   ' not in r.stdout:
        e2e.fail(f'text: {r.stdout}{r.stderr}')
    if {g['name'] for g in bed.list()['guests']} != {'a', 'b', 'c'} or any(g['channels'] for g in bed.list()['guests'] if g['name'] == 'c'):
        e2e.fail(f'check has changed something: {bed.list()}')
