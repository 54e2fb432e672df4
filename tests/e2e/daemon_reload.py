#!/usr/bin/env python3
# The configuration, read again: by SIGHUP and by `xengpu reload`. Guests and their applications go on, what can change changes at once, what cannot is
# named, what an operator set stays, and a file with an error in it changes nothing.
# san: address
# limit: 120
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
import raw

FIRST = '''
[daemon]
max-channels = 5
[pgpu one]
cuda = none
gl = none
[type small]
weight = 50
memory = 512M
[guest web]
type = small
[guest empty]
[guest shop]
weight = 70
memory = 1G
   [guest indented]   ; as good as the others
[guest longer-than-the-49-bytes-that-libinih-knows-of]
'''
SECOND = '''
[daemon]
max-channels = 6
quantum-us = 3000
stuck-kill = no
[pgpu one]
cuda = softcuda
gl = none
policy = equal
average-ms = 50
[pgpu two]
cuda = none
gl = none
[type small]
weight = 80
memory = 256M
cap = 40
host-memory = 3G
[type big]
weight = 900
[guest web]
type = small
rings = 3
[guest empty]
type = big
fps-limit = 25
[guest late]
[guest longer-than-the-49-bytes-that-libinih-knows-of]
'''
LONG = 'longer-than-the-49-bytes-that-libinih-knows-of'

with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')

    def write(text):
        with open(config, 'w') as f:
            f.write(text)

    def tool(*args, status=0):
        r = bed.xengpu(*args, '--socket-dir', bed.sockets, timeout=40)
        if r.returncode != status:
            e2e.fail(f'{args}: status {r.returncode}: {r.stdout}{r.stderr}')
        return r

    def guests():
        return {g['name']: (g['type'], g['weight'], g['memory_limit'] >> 20) for g in bed.list()['guests']}

    def same(got, wanted, what):
        if got != wanted:
            e2e.fail(f'{what}: {got}, not {wanted}')

    # a section without keys counts
    write(FIRST)
    daemon = bed.daemon(['--config', config])
    start = {'web': ('small', 50, 512), 'empty': ('default', 100, 0), 'shop': ('default', 70, 1024), 'indented': ('default', 100, 0),
             LONG: ('default', 100, 0)}
    same(guests(), start, 'at the start')
    same(json.loads(tool('reload', '--json').stdout), {'file': config, 'changes': []}, 'reload of the same')

    # the operator's own: guests that no file names, and changes of those that one does
    tool('attach', 'own', 'type=small')
    tool('set', LONG, 'weight=33')
    tool('set', 'shop', 'type=small')
    tool('detach', 'indented')
    e2e.wait_for(lambda: all(g['state'] == 'connected' for g in bed.list()['guests']), 20, 'the guests are not all connected')
    apps = [raw.App(f'{bed.sockets}/{n}/agent.sock') for n in ('web', 'own', 'shop')]
    e2e.wait_for(lambda: all(c['worker'] for g in bed.list()['guests'] for c in g['channels']), 20, 'no workers')
    workers = sorted(c['worker'] for g in bed.list()['guests'] for c in g['channels'])

    write(SECOND)
    changes = {c['what']: c['applies'] for c in json.loads(tool('reload', '--json').stdout)['changes']}
    same(changes, {
        '[daemon] max-channels': 'at the next start of xengpud',
        '[daemon] quantum-us': 'now',
        '[daemon] stuck-kill': 'now',
        '[pgpu one] has another device': 'at the next start of xengpud',
        '[pgpu one] policy equal, was best-effort': 'now',
        '[pgpu one] quantum-us, average-ms, max-instances, preempt': 'now',
        '[pgpu two] is new': 'now',
        '[type small]': 'now',
        '[type big] is new': 'now',
        'guest web: weight 80, was 50; memory 256 MiB, was 512 MiB; host-memory 3072 MiB, was auto; cap 40, was 100': 'now',
        '[guest web] rings, arena, user, pgpu': 'when it is attached again',
        'guest own: weight 80, was 50; memory 256 MiB, was 512 MiB; host-memory 3072 MiB, was auto; cap 40, was 100': 'now',
        'guest shop: weight 80, was 50; memory 256 MiB, was 512 MiB; host-memory 3072 MiB, was auto; cap 40, was 100': 'now',
        'guest empty: type big, was default; weight 900, was 100; fps-limit 25, was 0': 'now',
        '[guest shop] is gone; the guest stays until it is detached': 'now',
        '[guest indented] is gone': 'now',
        '[guest late] is new; the guest is attached': 'now',
    }, 'what reload says')
    second = {'web': ('small', 80, 256), 'empty': ('big', 900, 0), 'shop': ('small', 80, 256), LONG: ('default', 33, 0),
              'own': ('small', 80, 256), 'late': ('default', 100, 0)}
    same(guests(), second, 'after the reload')
    same({p['name'] for p in bed.list()['pgpus']}, {'one', 'two'}, 'pgpus')
    same({t['name'] for t in json.loads(tool('types', '--json').stdout)['types']}, {'small', 'big', 'default'}, 'types')
    text = tool('reload').stdout  # what waits is named each time, the rest only once
    same(sorted(text.splitlines()), sorted([f'{config} was read', '[daemon] max-channels: takes effect at the next start of xengpud',
                                            '[pgpu one] has another device: takes effect at the next start of xengpud']), 'reload as text')
    e2e.wait_for(lambda: all(p['ready'] for p in bed.list()['pgpus']), 30, 'the new pgpu is not looked at')
    tool('detach', 'late')
    tool('attach', 'late', 'pgpu=two')

    # errors: all of them are said, and nothing of the file takes effect
    for bad, wanted in ((SECOND.replace('weight = 80', 'weight = 81') + '[guest x]\ntype = none\nweight = 0\n', (30, 31)),
                        (FIRST.replace('[type small]', '[type tiny]'), (11,)), ('[guest y]\n[guest y]\n', (2,))):
        write(bad)
        r = tool('reload', status=1)
        if any(f'{config}:{n}: ' not in r.stderr for n in wanted) or 'nothing was changed' not in r.stderr:
            e2e.fail(f'reload of a bad file: {r.stderr}')
    write(SECOND.replace('[type small]', '[type tiny]').replace('type = small', 'type = tiny'))
    r = tool('reload', status=1)
    if 'there is no [type small] any more, and guest' not in r.stderr:
        e2e.fail(f'a type that guests have: {r.stderr}')
    os.unlink(config)
    if 'No such file' not in tool('reload', status=1).stderr:
        e2e.fail('reload without its file')
    # what is no such file at all: it is refused at once, and what is said of it can be said on any terminal
    def refused(data, wanted):
        with open(config, 'wb') as f:
            f.write(data)
        r = tool('reload', status=1)
        if wanted not in r.stderr or any(c < ' ' and c != '\n' for c in r.stderr):
            e2e.fail(f'reload of {data[:40]!r}: {r.stderr!r}')
    refused(b'[guest \xff\xfe]\n', f'{config}:1: [guest ??]: a name has')
    refused(b'[guest a]\nweight = \xff\n', f'{config}:2: weight = ?: not a number')
    refused('[guest a]\nweight = ä\n'.encode(), f'{config}:2: weight = ä: not a number')
    refused(b'[guest a]\n\x1b[2J = 3\n', "unknown key '?[2J'")
    refused(b'[guest a]\nweight = 1\0\n', f'{config}:2: the line is longer than')
    refused(b'\n' * ((1 << 20) + 1), 'longer than 1048576 bytes')
    refused(b''.join(b'[type t%d]\n' % i for i in range(5000)), f'{config}:4097: more than 4096 sections')
    os.unlink(config)
    os.mkfifo(config)
    if 'not a regular file' not in tool('reload', status=1).stderr:
        e2e.fail('reload of a FIFO')
    os.unlink(config)
    os.mkdir(config)
    if 'Is a directory' not in tool('reload', status=1).stderr:
        e2e.fail('reload of a directory')
    os.rmdir(config)
    same(guests(), second, 'after bad files')

    # as other systems end and begin their lines
    with open(config, 'wb') as f:
        f.write(b'\xef\xbb\xbf' + SECOND.replace('\n', '\r\n').encode())
    tool('reload')
    same(guests(), second, 'after a file with CR LF')

    # SIGHUP, to everything that looks like the daemon
    def ours(pid):
        try:
            with open(f'/proc/{pid}/cmdline') as f, open(f'/proc/{pid}/stat') as stat:
                return 'xengpud' in f.read() and int(stat.read().rsplit(')', 1)[1].split()[2]) == daemon.pid
        except OSError:
            return False

    def hup(text, said):
        write(text)
        before = bed.log_text().count(said)
        for pid in [int(p) for p in os.listdir('/proc') if p.isdigit() and ours(p)]:
            os.kill(pid, signal.SIGHUP)
        e2e.wait_for(lambda: bed.log_text().count(said) > before, 10, lambda: f'SIGHUP: no {said!r} in the log: {bed.log_text()}')

    hup(SECOND.replace('weight = 900', 'weight = 901'), f' info xengpud: reload: {config} was read')
    same(guests()['empty'], ('big', 901, 0), 'after SIGHUP')
    hup('[guest z]\nweight = none\n', 'error xengpud: reload: nothing was changed')
    if f'error xengpud: {config}:2: weight = none' not in bed.log_text():
        e2e.fail(f'SIGHUP with a bad file: {bed.log_text()}')
    same(guests()['empty'], ('big', 901, 0), 'after SIGHUP with a bad file')

    # nobody has lost anything
    same(sorted(c['worker'] for g in bed.list()['guests'] for c in g['channels']), workers, 'workers')
    for app in apps:
        if app.hung_up(0.1):
            e2e.fail('an application lost its device by a reload')
        app.close()

    # what waits for the next start; SIGHUP before the daemon is ready does not end it
    bed.stop(daemon)
    write(SECOND + '\n' * 1000000)
    daemon = bed.start([f'{bed.build}/bin/xengpud', '--local', '--socket-dir', bed.sockets, '--config', config])

    def begun():
        with open(f'/proc/{daemon.pid}/status') as f:
            ignored = next(line for line in f if line.startswith('SigIgn'))
        return int(ignored.split()[1], 16) >> (signal.SIGPIPE - 1) & 1  # what main does before it reads the file
    while daemon.poll() is None and not begun():
        pass
    daemon.send_signal(signal.SIGHUP)
    e2e.wait_for(lambda: daemon.poll() is not None or bed.xengpu('list', '--socket-dir', bed.sockets).returncode == 0, 30, 'it does not start')
    if daemon.poll() is not None:
        e2e.fail(f'SIGHUP while it starts: the daemon ended with {daemon.returncode}')
    bed.stop(daemon)
    write(SECOND)
    daemon = bed.daemon(['--config', config])
    same(json.loads(tool('reload', '--json').stdout)['changes'], [], 'reload after a restart')
    same(guests(), {'web': ('small', 80, 256), 'empty': ('big', 900, 0), LONG: ('default', 100, 0), 'late': ('default', 100, 0)}, 'after a restart')
    e2e.wait_for(lambda: all(g['state'] == 'connected' for g in bed.list()['guests']), 20, 'the guests are not all connected')
    app = raw.App(f'{bed.sockets}/web/agent.sock')
    same(app.rings, 3, 'rings')
    app.close()
    bed.stop(daemon)

    # without a file
    if not os.path.exists('/etc/xengpu/xengpud.conf'):
        daemon = bed.daemon()
        if 'no configuration file' not in tool('reload', status=1).stderr:
            e2e.fail('reload without a configuration')
        os.kill(daemon.pid, signal.SIGHUP)
        tool('list')
