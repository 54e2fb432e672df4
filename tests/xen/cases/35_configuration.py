# The configuration on Xen: domains that it names, read again while a program runs; `xengpu check` in Dom0 and in a guest; an operator's detach of
# a domain that it names holds.
# limit: 240
import json
import time

import host

CONFIG = '/tmp/xengpud.conf'
CHECK = f'{host.HOUSE}/bin/xengpu check --json'


def write(text):
    with open(CONFIG, 'w') as f:
        f.write('[pgpu gpu0]\n' + text)


def steps(text):
    return [(s.get('guest'), s['step'], s['ok']) for s in json.loads(text[text.index('{'):])['steps'] if s['step'] != 'library']


def run(bed):
    bed.daemon.stop()
    write('[guest one]\nweight = 70\n[guest two]\n')
    bed.daemon.start('--config', CONFIG)
    for g in (bed.one, bed.two):
        bed.daemon.connected(g)
    must(bed.daemon.guest('one')['weight'] == 70, f'{bed.daemon.guest("one")}')

    # read again
    job = bed.steady(bed.one)
    job.expect('frame 3', 60)
    worker = bed.daemon.channels('one')[0]['worker']
    write('[guest one]\nweight = 200\nmemory = 1G\n[guest two]\n')
    said = bed.daemon.tool('reload')
    must('guest one: weight 200, was 70; memory 1024 MiB, was no limit: takes effect now' in said, said)
    one = bed.daemon.guest('one')
    must((one['weight'], one['memory_limit']) == (200, 1 << 30), f'{one}')
    back = f'/local/domain/0/backend/xengpu/{bed.one.domid}/0'
    must((host.store_read(f'{back}/weight'), host.store_read(f'{back}/memory-limit')) == ('200', str(1 << 30)), 'the nodes follow')
    write('[guest one]\nrings = 3\n')
    said = bed.daemon.tool('reload', check=False)
    must(f'{CONFIG}:3: rings = 3: for local mode' in said, said)
    must([c['worker'] for c in bed.daemon.channels('one')] == [worker], 'the program kept its worker')
    bed.steady_end(job)

    # check, from both sides
    seen = steps(bed.daemon.tool('check', '--json'))
    must([('one', 'agent', True), ('two', 'agent', True)] == sorted(s for s in seen if s[0]), f'{seen}')
    got = bed.one.run(CHECK)
    must(got.status == 0, f'{got}')
    must(steps(got.out) == [(None, s, True) for s in ('agent', 'channel', 'call', 'OpenGL', 'CUDA')], f'{got}')

    # detached, it stays so; the same configuration counts when it is attached again
    bed.daemon.detach(bed.one)
    time.sleep(2)
    must(bed.daemon.guest('one') is None, 'a configured domain comes back by itself after it was detached')
    got = bed.one.run(CHECK)
    must(got.status != 0 and 'xengpu attach' in got.out, f'check without a device: {got}')
    bed.daemon.attach(bed.one)
    bed.daemon.connected(bed.one)
    must(bed.daemon.guest('one')['weight'] == 200, f'{bed.daemon.guest("one")}')
    bed.works(bed.one)
    bed.daemon.stop()
    bed.daemon.start()
