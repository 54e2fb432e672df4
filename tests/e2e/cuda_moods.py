#!/usr/bin/env python3
# Programs on a driver that behaves as real ones may (tests/programs/libmoody_driver.c) do what they do on softcuda itself, or are told why not.
# limit: 300
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

# The driver's moods, and the programs that must not notice.
UNNOTICED = {
    'lazy': ('cuda_vectoradd', 'cuda_matmul', 'cuda_module', 'cuda_errors', 'cuda_graphs', 'cuda_streams'),
}

with e2e.Bed() as bed:
    config = os.path.join(bed.tmp, 'x.conf')
    driver = f'{bed.plain}/tests/programs/libmoody_driver.so'
    programs = f'{bed.build}/tests/programs'
    bed.env['XG_KERNELS'] = f'{bed.plain}/tests/kernels'
    with open(config, 'w') as f:
        f.write(f'[pgpu x]\ncuda = {driver}\ngl = none\n')

    def start(moods, **env):
        # Only the daemon's driver has moods.
        own = bed.env
        bed.env = {**own, 'XG_DRIVER_MOODS': moods, 'LD_LIBRARY_PATH': f'{bed.plain}/lib/softcuda', **env}
        open(bed.log, 'w').close()
        daemon = bed.daemon(['--config', config])
        bed.env = own
        return daemon

    def want(text, where, what):
        if text not in where:
            e2e.fail(f'{what}: {text!r} is not in {where!r}')

    direct = {}

    def same(moods, program):
        command = [f'{programs}/{program}']
        if program not in direct:
            direct[program] = bed.direct(command).stdout
        r = bed.guest('one', command)
        if r.returncode or not r.stdout or r.stdout != direct[program]:
            e2e.fail(f'{moods}: {program}: status {r.returncode}: {r.stdout} {r.stderr}, directly: {direct[program]}; the log: {bed.log_text()}')

    for moods, names in UNNOTICED.items():
        daemon = start(moods)
        for name in names:
            same(moods, name)
        bed.stop(daemon)
