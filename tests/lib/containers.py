"""Containers by the recipes of docs/xengpu.md, "Containers"."""
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
