#!/usr/bin/env python3
# What a guest's workers take of this machine's memory is bounded by control groups, where there can be some: the daemon makes them, removes them, and
# does without where it may not.
# limit: 120
import glob
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e
from host_memory import CONFIG, TOLD, bounded, expect, read, start, write


class Groups:
    """A control group of our own, that a daemon can be started in."""
    def __init__(self):
        self.path = self.why = None
        own = [l.split('::')[1] for l in read('/proc/self/cgroup').splitlines() if l.startswith('0::')]
        at = [l.split()[4] for l in read('/proc/self/mountinfo').splitlines() if ' - cgroup2 ' in l]
        if not own or not at:
            self.why = 'control groups of version 2 are not mounted'
            return
        # the nearest that may have groups with a bound of memory in it
        top, path = at[0], os.path.join(at[0], own[0].lstrip('/')).rstrip('/')
        while path != top and 'memory' not in read(path + '/cgroup.subtree_control'):
            path = os.path.dirname(path)
        try:
            if 'memory' not in read(path + '/cgroup.controllers'):
                self.why = f'{path} has no control of memory'
                return
            for name in ('memory', 'cpu', 'pids') if path == top else ():
                write(path + '/cgroup.subtree_control', '+' + name)
            path = os.path.join(path, f'xengpu-test-{os.getpid()}')
            os.mkdir(path)
        except OSError as e:
            self.why = f'{path}: {e.strerror}'
            return
        self.path = path

    def enter(self):
        write(self.path + '/cgroup.procs', '0')

    def daemons(self):
        return glob.glob(self.path + '/xengpud-*')

    def remove(self):
        for path, _, _ in os.walk(self.path or '/nonexistent', topdown=False):
            os.rmdir(path)


def grouped(bed, groups):
    config = os.path.join(bed.tmp, 'x.conf')
    args = ['--test-mode', '--config', config]
    write(config, CONFIG.format('yes'))

    # other processes are in its group: it says so, and does without
    lodger = bed.start(['sleep', '1000'], preexec_fn=groups.enter)
    daemon = bed.daemon(args, preexec_fn=groups.enter)
    expect(f'no control groups: {groups.path} has other processes than this daemon' in bed.log_text() and not groups.daemons(),
           'a group that is not its own', bed)
    bed.stop(daemon)
    bed.stop(lodger)

    # what a daemon left that was killed goes when the next one starts
    for name in ('daemon', 'guests/guest-old'):
        os.makedirs(f'{groups.path}/xengpud-1/{name}')
    daemon = bed.daemon(args, preexec_fn=groups.enter)
    expect(groups.daemons() == [f'{groups.path}/xengpud-{daemon.pid}'], groups.daemons(), bed)
    expect(f'bounded in {groups.path}/xengpud-{daemon.pid}' in bed.log_text(), 'no groups', bed)
    bounded(bed, f'{groups.path}/xengpud-{daemon.pid}/guests/guest-small')
    e2e.wait_for(lambda: not glob.glob(groups.daemons()[0] + '/guests/guest-small'), 10, 'the group of a guest that was detached stays')

    # less is left for all guests than one has, which has not too much for itself
    p = start(bed, 'large', [f'{bed.build}/tests/programs/take', str(80 << 20), '1', '10'])
    expect(p.stdout.readline() == '1\n', '80 MiB without a bound of its own', bed)
    write(f'{groups.path}/xengpud-{daemon.pid}/guests/memory.max', str(64 << 20))
    _, err = p.communicate(timeout=30)
    expect(p.returncode == 1 and TOLD not in err, f'memory runs short: {p.returncode} {err}', bed)
    expect("its worker was killed because this machine's memory ran short; it had used" in bed.log_text(), 'nobody says why', bed)

    # all of it ends with the daemon, even if it is killed
    p = start(bed, 'left', [f'{bed.build}/tests/programs/burn', '1000000', '30', 'call'])
    e2e.wait_for(lambda: any(g['name'] == 'left' and g['channels'] for g in bed.list()['guests']), 20, 'no channel')
    os.kill(daemon.pid, signal.SIGKILL)
    p.communicate(timeout=30)
    e2e.wait_for(lambda: 'populated 0' in read(groups.daemons()[0] + '/cgroup.events'), 20, 'its processes stay')
    bed.stop(daemon)


groups = Groups()
if not groups.path:
    e2e.skip(groups.why)
try:
    with e2e.Bed() as bed:
        grouped(bed, groups)
finally:
    groups.remove()
