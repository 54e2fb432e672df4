"""Containers by the recipes of docs/xengpu.md, "Containers"."""
import os
import re
import shlex
import subprocess

import e2e


def recipe(program):
    """The documented command that begins with `program`, as words."""
    with open(f'{e2e.ROOT}/docs/xengpu.md') as f:
        text = f.read().replace('\\\n', ' ')
    found = re.findall(rf'^    ({program} .*)$', text, re.M)
    if len(found) != 1:
        e2e.fail(f'docs/xengpu.md has {len(found)} recipes for {program}')
    return shlex.split(found[0])


class Container:
    """A shell in a container; say(COMMAND) runs one there."""

    def __init__(self, bed, command):
        self.p = subprocess.Popen(command, env=bed.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  start_new_session=True)
        bed.processes.append(self.p)

    def say(self, command):
        """(status, output)"""
        self.p.stdin.write(f'{{ {command}\n}} 2>&1; s=$?; echo; echo end: $s\n')
        self.p.stdin.flush()
        out = ''
        for line in self.p.stdout:
            if line.startswith('end: '):
                return int(line[5:]), out
            out += line
        e2e.fail(f'the container ended: {out}')


FOLDERS = ('usr', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'root', 'xengpu', 'tests')


def image_make(bed):
    """A folder where only /usr is missing, which the host's can be: instead of an image from a registry."""
    image = f'{bed.tmp}/image'
    for d in FOLDERS:
        os.makedirs(f'{image}/{d}')
    for d in ('bin', 'lib', 'lib64'):
        os.symlink(f'usr/{d}', f'{image}/{d}')
    return image


def daemon_start(bed):
    """With the guest web in its configuration, connected."""
    config = os.path.join(bed.tmp, 'x.conf')
    with open(config, 'w') as f:
        f.write('[pgpu x]\ncuda = softcuda\ngl = surfaceless\n[guest web]\nweight = 100\n')
    daemon = bed.daemon(['--config', config])
    e2e.wait_for(lambda: any(g['state'] == 'connected' for g in bed.list()['guests']), 30, 'guest web does not come up')
    return daemon


def try_out(bed, daemon, container):
    """OpenGL and CUDA in the container, whose /tests has our programs and kernels, and again after the daemon was restarted."""
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
        daemon = daemon_start(bed)
    container.p.stdin.close()
    container.p.wait(30)
