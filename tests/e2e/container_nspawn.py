#!/usr/bin/env python3
# The recipe of docs/xengpu.md for systemd-nspawn, where it runs: OpenGL and CUDA in its container, and again after the daemon was restarted.
# limit: 180
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
from containers import Container, daemon_start, image_make, recipe, try_out

# Where no systemd runs, a container cannot have a unit of its own.
HERE = ['--quiet', '--pipe', '--keep-unit', '--register=no', '--bind-ro=/usr']

if not shutil.which('systemd-nspawn'):
    e2e.skip('systemd-nspawn is not installed (package systemd-container)')

with e2e.Bed() as bed:
    image = image_make(bed)
    tried = bed.run(['systemd-nspawn', f'--directory={image}', *HERE, 'true'], timeout=60)
    if tried.returncode:
        e2e.skip(f'systemd-nspawn runs no containers here: {tried.stderr.strip()}')
    daemon = daemon_start(bed)
    paths = {'=/run/xengpu/web:': f'={bed.sockets}/web:', '=/usr/local/lib/xengpu/lib:': f'={bed.plain}/lib:', '=FOLDER': f'={image}'}
    command = []
    for word in recipe('systemd-nspawn'):
        for old, new in paths.items():
            word = word.replace(old, new, 1)
        command += [*HERE, *(f'--bind-ro={bed.plain}/tests/{d}:/tests/{d}' for d in ('programs', 'kernels')), '--setenv=XG_KERNELS=/tests/kernels',
                    'sh'] if word == 'PROGRAM' else [word]
    try_out(bed, daemon, Container(bed, command))
