#!/usr/bin/env python3
# What a guest's OpenGL holds of memory is counted: at the limit each command that allocates is GL_OUT_OF_MEMORY, what is deleted comes back, the
# worker does not grow beyond what was counted, and nobody else notices.
# limit: 150
# san: address
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

MIB = 1 << 20
LIMIT = 64 * MIB
PROGRAMS = os.path.join(os.environ.get('XG_BUILD', 'build'), 'tests/programs')
PROGRAM = os.path.join(PROGRAMS, 'gl_memory')

# One of each kind: pixels, samples, data, tiny storage, names of large and of small objects.
HOGS = ['glTexImage2D', 'glTexStorage2D', 'glGenerateMipmap', 'glRenderbufferStorageMultisample', 'glBufferData', 'glGenTextures', 'glGenVertexArrays',
        'glGenQueries', 'glFenceSync', 'glEndList', 'glObjectLabel', 'glCompileShader', 'glLinkProgram']


def guest(bed, name):
    return next(g for g in bed.list()['guests'] if g['name'] == name)


def resident(pid):
    with open(f'/proc/{pid}/status') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS')) << 10


def text(path):
    with open(path) as f:
        return f.read()


def hog(bed, command):
    out = os.path.join(bed.tmp, 'hog')
    read, write = os.pipe()
    with open(out, 'w') as f:
        p = bed.start(bed.as_guest('quota', ['sh', '-c', f'exec "$0" hog "$1" <&{read}', PROGRAM, command]), stdout=f, pass_fds=[read])
    e2e.wait_for(lambda: 'then 0x' in text(out) or p.poll() is not None, 60, lambda: f'{command}: no end: {text(out)}')
    if 'then 0x0505' not in text(out):
        e2e.fail(f'{command}: {text(out)}')
    g = guest(bed, 'quota')
    size = resident(g['channels'][0]['worker'])
    os.write(write, b'\n')
    os.close(write)
    os.close(read)
    p.wait(20)
    print(f'{command}: counted {g["memory_bytes"] // MIB} MiB, resident {size // MIB} MiB')
    if not LIMIT * 3 // 4 <= g['memory_bytes'] <= LIMIT:
        e2e.fail(f'{command}: {g["memory_bytes"]} bytes are counted at a limit of {LIMIT}')
    return size


with e2e.Bed() as bed:
    bed.daemon([])
    bed.xengpu('attach', 'quota', f'memory={LIMIT}', '--socket-dir', bed.sockets)
    other = bed.start(bed.as_guest('other', [os.path.join(PROGRAMS, 'gl_modern')]))
    for what in [], ['churn']:
        got = bed.guest('quota', [PROGRAM, *what])
        if got.returncode:
            e2e.fail(f'gl_memory {what}: {got.stdout}{got.stderr}')
        m = re.search(r'memory (\d+) left (\d+)', got.stdout)
        if not what and not (m and int(m[1]) == LIMIT >> 10 and int(m[1]) // 2 < int(m[2]) <= int(m[1]) - 4096):
            e2e.fail(f'a guest of {LIMIT >> 10} KiB is told: {got.stdout}')
    if other.wait(60):
        e2e.fail('another guest has failed meanwhile')
    sizes = {command: hog(bed, command) for command in HOGS}
    # The driver alone has up to 100 MiB; the sanitizer keeps what is freed.
    most = 100 * MIB + 2 * LIMIT
    for command, size in sizes.items():
        if size > most and not os.environ.get('XG_VARIANT'):
            e2e.fail(f'{command}: the worker has {size // MIB} MiB')
    e2e.wait_for(lambda: guest(bed, 'quota')['memory_bytes'] == 0, 10, lambda: f'{guest(bed, "quota")["memory_bytes"]} bytes are left')
