# A guest whose worker takes more of Dom0's memory than it may loses its device, and is told so; the other guest draws on, Dom0 has a control group
# for each, nothing is left.
# limit: 180
import os

import host

MIB = 1 << 20
TOLD = 'its worker used more host memory than this guest may'


def run(bed):
    bed.daemon.stop()
    bed.daemon.start('--test-mode')
    try:
        tried(bed)
    finally:
        bed.daemon.tool('set', 'two', 'host-memory=auto')
        bed.daemon.stop()
        bed.daemon.start()
    bed.daemon.connected(bed.two)
    bed.works(bed.two)
    bed.nothing_left()


def tried(bed):
    for g in (bed.one, bed.two):
        bed.daemon.connected(g)
    group = f'/sys/fs/cgroup/xengpud-{bed.daemon.process.pid}/guests/guest-two'
    must(os.path.isdir(group), f'no {group}')
    bed.daemon.tool('set', 'two', 'host-memory=128M')
    with open(f'{group}/memory.max') as f:
        must(int(f.read()) == 128 * MIB, 'memory.max is not what was set')
    steady = bed.steady(bed.one)
    steady.expect('frame 2', 60)
    got = bed.remote(bed.two, 'take', str(4 * MIB), '200').wait(60)
    must(got.status == 1 and TOLD in got.out, f'800 of 128 MiB: {got}')
    got = bed.remote(bed.two, 'take', str(4 * MIB), '8').wait(60)
    must(got.status == 0 and got.out.strip() == '8', f'32 of 128 MiB: {got}')
    bed.steady_end(steady)
