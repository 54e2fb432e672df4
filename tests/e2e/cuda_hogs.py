#!/usr/bin/env python3
# Whatever a guest's CUDA does to have more memory than is counted (tests/programs/cuda_hogs.c), its worker stays near what the guest may have.
# limit: 240
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

MIB = 1 << 20
LIMIT = 128 * MIB
# Of its own, without files and what it shares with the program: what its 64 threads that execute have, and what was freed and may be used again.
MOST = LIMIT + 100 * MIB
PROGRAM = os.path.join(os.environ.get('XG_BUILD', 'build'), 'tests/programs/cuda_hogs')
SOURCE = os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/programs/cuda_hogs.c')


def resident(pid):
    try:
        with open(f'/proc/{pid}/status') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('RssAnon')) << 10
    except OSError:
        return 0


def text(path):
    with open(path) as f:
        return f.read()


def counted(bed):
    return next(g for g in bed.list()['guests'] if g['name'] == 'quota')


def hog(bed, way):
    out = os.path.join(bed.tmp, 'hog')
    worker, size = None, 0
    read, write = os.pipe()
    with open(out, 'w') as f:
        p = bed.start(bed.as_guest('quota', ['sh', '-c', f'exec "$0" "$1" <&{read}', PROGRAM, way]), stdout=f, pass_fds=[read])

    def ended():
        nonlocal worker, size
        if not worker:
            worker = next((c['worker'] for c in counted(bed)['channels']), None)
        size = max(size, resident(worker) if worker else 0)
        return 'then ' in text(out) or p.poll() is not None
    e2e.wait_for(ended, 100, lambda: f'{way}: no end: {text(out)}')
    bytes_ = counted(bed)['memory_bytes']
    if 'then CUDA_ERROR_OUT_OF_MEMORY' not in text(out) or not worker:
        e2e.fail(f'{way}: {text(out)}')
    os.write(write, b'\n')
    os.close(write)
    os.close(read)
    p.wait(20)
    e2e.wait_for(lambda: counted(bed)['memory_bytes'] == 0, 10, lambda: f'{way}: {counted(bed)["memory_bytes"]} bytes are left')
    print(f'{way}: counted {bytes_ // MIB} MiB, its worker had {size // MIB} MiB', flush=True)
    return f'{way}: {size // MIB} MiB' if size > MOST else ''


with e2e.Bed() as bed:
    bed.daemon([])
    bed.xengpu('attach', 'quota', f'memory={LIMIT}', '--socket-dir', bed.sockets)
    ways = re.findall(r'^    WAY\((\w+)\)', text(SOURCE), re.M)
    wrong = [w for w in (hog(bed, way) for way in ways) if w]
    if wrong or len(ways) < 4:
        e2e.fail(f'a worker of a guest of {LIMIT // MIB} MiB had: {wrong}')
