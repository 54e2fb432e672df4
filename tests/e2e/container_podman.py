#!/usr/bin/env python3
# The recipe of docs/xengpu.md for podman, where it runs: OpenGL and CUDA in its container, and again after the daemon was restarted.
# limit: 180
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
from containers import Container, daemon_start, image_make, recipe, try_out

# crun wants the second version of cgroups alone; a mount namespace can have it so without changing the machine.
CGROUP2 = ['unshare', '-m', 'sh', '-c', 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', 'sh']

if not shutil.which('podman'):
    e2e.skip('podman is not installed')

with e2e.Bed() as bed:
    image = image_make(bed)
    storage = ['--root', f'{bed.tmp}/storage', '--runroot', f'{bed.tmp}/runroot', '--storage-driver=vfs']
    # The host's programs instead of an image from a registry, and no more than the limits that the test has itself.
    here = ['--rm', '--network=none', '--cgroups=disabled', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000', '-v', '/usr:/usr:ro']

    tries = [bed.run([*prefix, 'podman', *storage, 'run', *here, '--rootfs', image, 'true'], timeout=60) for prefix in ([], CGROUP2)]
    prefix = next((p for p, t in zip(([], CGROUP2), tries) if t.returncode == 0), None)
    if prefix is None:
        e2e.skip(f'podman runs no containers here: {tries[0].stderr.strip()}')

    daemon = daemon_start(bed)
    paths = {'/run/xengpu/web:': f'{bed.sockets}/web:', '/usr/local/lib/xengpu/lib:': f'{bed.plain}/lib:'}
    command = []
    for word in recipe('podman run'):
        for old, new in paths.items():
            word = word.replace(old, new, 1) if word.startswith(old) else word
        command += ['--rootfs', image] if word == 'IMAGE' else ['sh'] if word == 'PROGRAM' else [word]
    tests = [w for d in ('programs', 'kernels') for w in ('-v', f'{bed.plain}/tests/{d}:/tests/{d}:ro')]
    container = Container(bed, [*prefix, 'podman', *storage, 'run', '-i', '-e', 'XG_KERNELS=/tests/kernels', *here, *tests, *command[2:]])

    try_out(bed, daemon, container)
