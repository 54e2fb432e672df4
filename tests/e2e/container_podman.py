#!/usr/bin/env python3
# The recipe of docs/xengpu.md for podman, where it runs: OpenGL and CUDA in its container, and again after the daemon was restarted.
# limit: 180
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
from containers import Container, recipe

# crun wants the second version of cgroups alone; a mount namespace can have it so without changing the machine.
CGROUP2 = ['unshare', '-m', 'sh', '-c', 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', 'sh']
FOLDERS = ('usr', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'xengpu', 'tests')

if not shutil.which('podman'):
    e2e.skip('podman is not installed')

with e2e.Bed() as bed:
    image = f'{bed.tmp}/image'
    for d in FOLDERS:
        os.makedirs(f'{image}/{d}')
    for d in ('bin', 'lib', 'lib64'):
        os.symlink(f'usr/{d}', f'{image}/{d}')
    storage = ['--root', f'{bed.tmp}/storage', '--runroot', f'{bed.tmp}/runroot', '--storage-driver=vfs']
    # The host's programs instead of an image from a registry, and no more than the limits that the test has itself.
    here = ['--rm', '--network=none', '--cgroups=disabled', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000', '-v', '/usr:/usr:ro']

    tries = [bed.run([*prefix, 'podman', *storage, 'run', *here, '--rootfs', image, 'true'], timeout=60) for prefix in ([], CGROUP2)]
    prefix = next((p for p, t in zip(([], CGROUP2), tries) if t.returncode == 0), None)
    if prefix is None:
        e2e.skip(f'podman runs no containers here: {tries[0].stderr.strip()}')

    config = os.path.join(bed.tmp, 'x.conf')
    with open(config, 'w') as f:
        f.write('[pgpu x]\ncuda = softcuda\ngl = surfaceless\n[guest web]\nweight = 100\n')

    def start():
        daemon = bed.daemon(['--config', config])
        e2e.wait_for(lambda: any(g['state'] == 'connected' for g in bed.list()['guests']), 30, 'guest web does not come up')
        return daemon

    daemon = start()
    paths = {'/run/xengpu/web:': f'{bed.sockets}/web:', '/usr/local/lib/xengpu/lib:': f'{bed.plain}/lib:'}
    command = []
    for word in recipe('podman run'):
        for old, new in paths.items():
            word = word.replace(old, new, 1) if word.startswith(old) else word
        command += ['--rootfs', image] if word == 'IMAGE' else ['sh'] if word == 'PROGRAM' else [word]
    tests = [w for d in ('programs', 'kernels') for w in ('-v', f'{bed.plain}/tests/{d}:/tests/{d}:ro')]
    container = Container(bed, [*prefix, 'podman', *storage, 'run', '-i', '-e', 'XG_KERNELS=/tests/kernels', *here, *tests, *command[2:]])

    programs = ['gl_frames 3']
    if os.path.exists(f'{bed.plain}/tests/kernels/vectoradd.ptx'):
        programs += ['cuda_vectoradd']
    wanted = {p: bed.direct([f'{bed.plain}/tests/programs/{p.split()[0]}', *p.split()[1:]], {'XG_KERNELS': f'{bed.plain}/tests/kernels'}).stdout
              for p in programs}
    for when in ('a new container', 'after the daemon was restarted'):
        for p in programs:
            status, out = container.say(f'/tests/programs/{p}')
            if status or not wanted[p] or out.rstrip() != wanted[p].rstrip():
                e2e.fail(f'{when}: {p}: status {status}: {out}')
        bed.stop(daemon)
        daemon = start()
    container.p.stdin.close()
    container.p.wait(30)
