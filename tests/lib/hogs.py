"""Programs that make a worker hold more memory than is counted, one way after the other (tests/programs/cuda_hogs.c, gl_hogs.c): each goes on until
its first error, says "then ERROR", and waits for a line on stdin."""
import os
import re

import e2e

MIB = 1 << 20


def resident(pid):
    """Of its own, without files and what it shares with the program."""
    try:
        with open(f'/proc/{pid}/status') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('RssAnon')) << 10
    except OSError:
        return 0


def text(path):
    with open(path) as f:
        return f.read()


def ways(program, pattern):
    """What `pattern` finds in the program's list of ways."""
    return re.findall(pattern, text(os.path.join(os.environ.get('XG_ROOT', '.'), f'tests/programs/{program}.c')), re.M)


def counted(bed):
    return next(g for g in bed.list()['guests'] if g['name'] == 'quota')


def hog(bed, program, way, end, most):
    """Runs one way as the guest `quota`, which must end with the error `end` and leave nothing counted. In words what is wrong if its worker had more
    than `most` bytes."""
    out = os.path.join(bed.tmp, 'hog')
    worker, size = None, 0
    read, write = os.pipe()
    with open(out, 'w') as f:
        p = bed.start(bed.as_guest('quota', ['sh', '-c', f'exec "$0" "$1" <&{read}', f'{bed.build}/tests/programs/{program}', way]), stdout=f,
                      pass_fds=[read])

    def ended():
        nonlocal worker, size
        if not worker:
            worker = next((c['worker'] for c in counted(bed)['channels']), None)
        size = max(size, resident(worker) if worker else 0)
        return 'then ' in text(out) or p.poll() is not None
    e2e.wait_for(ended, 100, lambda: f'{way}: no end: {text(out)}')
    bytes_ = counted(bed)['memory_bytes']
    if f'then {end}' not in text(out) or not worker:
        e2e.fail(f'{way}: {text(out)}')
    os.write(write, b'\n')
    os.close(write)
    os.close(read)
    p.wait(20)
    e2e.wait_for(lambda: counted(bed)['memory_bytes'] == 0, 10, lambda: f'{way}: {counted(bed)["memory_bytes"]} bytes are left')
    print(f'{way}: counted {bytes_ // MIB} MiB, its worker had {size // MIB} MiB', flush=True)
    return f'{way}: {size // MIB} MiB' if size > most else ''


def run(program, limit, most, found, at_least):
    """`found`: (way, the error that ends it) of each, of which there must be some."""
    with e2e.Bed() as bed:
        bed.daemon([])
        bed.xengpu('attach', 'quota', f'memory={limit}', '--socket-dir', bed.sockets)
        wrong = [w for w in (hog(bed, program, way, end, most) for way, end in found) if w]
        if wrong or len(found) < at_least:
            e2e.fail(f'a worker of a guest of {limit // MIB} MiB had: {wrong}')
