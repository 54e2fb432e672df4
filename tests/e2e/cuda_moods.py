#!/usr/bin/env python3
# Programs on a driver that behaves as real ones may (tests/programs/libmoody_driver.c) do what they do on softcuda itself, or are told why not.
# limit: 300
import os
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

# The driver's moods, and the programs that must not notice.
MEMORY = ('cuda_vectoradd', 'cuda_memory', 'cuda_pieces')
UNNOTICED = {
    'elsewhere': MEMORY,
    'fixed': MEMORY,
    'small': MEMORY,
    'nowindow': MEMORY + ('cudarem_limits',),
    'slabs': MEMORY + ('cudarem_limits', 'cuda_matmul', 'cuda_streams'),
    'unregistered': ('cuda_matmul', 'cuda_module', 'cuda_events'),
    'discrete': ('cuda_order', 'cuda_meanwhile', 'cuda_vectoradd', 'cuda_streams', 'cuda_events', 'cuda_hostfunc', 'cuda_managed', 'cuda_graphs', 'cuda_contexts', 'cuda_errors',
                 'cuda_register', 'cuda_memory'),
    'discrete lazy slabs': ('cuda_vectoradd', 'cuda_matmul', 'cuda_memory', 'cuda_fractal'),
    'discrete narrow': ('cuda_streams', 'cuda_hostfunc', 'cuda_print'),
    'full': ('cuda_vectoradd', 'cuda_pieces'),
    'full slabs': ('cuda_vectoradd', 'cuda_pieces'),
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
        if 'the driver p' in r.stderr:
            e2e.fail(f'{moods}: {program}: {r.stderr}')
        # Without a window the driver chooses each address, and the worker is asked for each allocation.
        if ('the driver chose an address' in r.stderr) != (moods == 'nowindow'):
            e2e.fail(f'{moods}: {program}: {r.stderr}')
        # The next program looks at the guest's memory.
        e2e.wait_for(lambda: not any(g['channels'] for g in bed.list()['guests']), 10, 'workers outlive their programs')

    for moods, names in UNNOTICED.items():
        daemon = start(moods)
        for name in names:
            same(moods, name)
        bed.stop(daemon)

    # waiting costs no processor, whoever waits
    daemon = start('discrete')
    r = bed.guest('one', [f'{programs}/cuda_quiet'])
    if r.returncode or 'polled' in r.stderr:
        e2e.fail(f'long work: status {r.returncode}: {r.stderr}')
    bed.stop(daemon)

    # a kernel that strays ends all contexts of its process, here also those whose memory the guest gives out itself
    daemon = start('discrete spreading')
    for _ in range(2): # another process goes on
        r = bed.guest('one', [f'{programs}/cuda_errors'])
        if r.returncode or 'oob at -1099511627776: stopped' not in r.stdout or 'refusals: ok' not in r.stdout:
            e2e.fail(f'an error that spreads: status {r.returncode}: {r.stdout} {r.stderr}')
    bed.stop(daemon)

    # what cannot be registered is told
    daemon = start('unregistered')
    bed.guest('one', [f'{programs}/cuda_matmul'])
    want('cannot register the memory that is shared with the guest (CUDA_ERROR_NOT_PERMITTED)', bed.log_text(), 'the log')
    r = bed.guest('one', [f'{programs}/cuda_quiet'])
    want('cuLaunchHostFunc(s, slow, NULL): CUDA_ERROR_NOT_SUPPORTED', r.stderr, 'a host function')
    bed.stop(daemon)

    # a device that belongs to another program
    daemon = start('nocontext')
    r = bed.guest('one', [f'{programs}/cuda_matmul'])
    want('cuCtxCreate_v2(&ctx, 0, device): CUDA_ERROR_DEVICE_UNAVAILABLE', r.stderr, 'the program')
    want('no context can be made: CUDA_ERROR_DEVICE_UNAVAILABLE; the device\'s compute mode', bed.log_text(), 'the log')
    bed.stop(daemon)

    # what an operator must know of a device
    daemon = start('hmm nocontext')
    e2e.wait_for(lambda: bed.list()['pgpus'][0]['ready'], 10, 'no device')
    want('pgpu x: kernels reach all memory of the worker', bed.log_text(), 'the log')
    want('pgpu x: its compute mode allows one program at a time', bed.log_text(), 'the log')
    bed.stop(daemon)
    daemon = start('old')
    e2e.wait_for(lambda: bed.list()['pgpus'][0]['cuda_error'], 10, 'an old driver is taken')
    want('is too old: it is for CUDA 13.0, and 12.4 is needed', bed.list()['pgpus'][0]['cuda_error'], 'list')
    bed.stop(daemon)

    # what a context takes without an allocation counts
    daemon = start('discrete')
    bed.xengpu('attach', 'small', 'memory=128M', '--socket-dir', bed.sockets)
    full, ok = 'CUDA_ERROR_OUT_OF_MEMORY', 'CUDA_SUCCESS'
    for guest, said in (('small', (ok, full, full, full, ok, 'yes', ok, 'yes')), ('one', (ok, ok, ok, ok, ok, 'yes', ok, 'yes'))):
        r = bed.guest(guest, [f'{programs}/cuda_takes'])
        if r.returncode or tuple(line.split(': ')[1] for line in r.stdout.splitlines()) != said:
            e2e.fail(f'{guest}: status {r.returncode}: {r.stdout} {r.stderr}')
    # and so does all that does allocate, also pinned memory that is registered by pieces
    r = bed.guest('small', [f'{programs}/cuda_quota'])
    if r.returncode:
        e2e.fail(f'cuda_quota: status {r.returncode}: {r.stdout} {r.stderr}')
    bed.stop(daemon)

    # a compiler that takes long keeps the device from nobody
    daemon = start('slow discrete')
    slow = bed.start(bed.as_guest('one', [f'{programs}/cuda_matmul']))
    e2e.wait_for(lambda: any(c['worker'] for g in bed.list()['guests'] for c in g['channels']), 10, 'no worker')
    r = bed.guest('two', [f'{programs}/cuda_loop', '1'])
    waited = next(g for g in bed.list()['guests'] if g['name'] == 'two')['wait_time_ns'] / 1e9
    if r.returncode or slow.poll() is not None or waited > 0.5:
        e2e.fail(f'beside a compiler: status {r.returncode}: {r.stderr}; waited for {waited} s; the other: {slow.poll()}')
    if slow.wait(30):
        e2e.fail(f'with a slow compiler: status {slow.returncode}')
    bed.stop(daemon)

    # a device with more memory than most: all of it can be had, where this machine's own is not what bounds a guest
    large = {'SOFTCUDA_MEMORY': '96G'}
    daemon = start('', **large)
    bed.xengpu('attach', 'one', 'host-memory=0', '--socket-dir', bed.sockets)
    said = [f(*args) for f, args in ((bed.direct, ([f'{programs}/cudarem_limits'], large)), (bed.guest, ('one', [f'{programs}/cudarem_limits'])))]
    if said[0].stdout != said[1].stdout or 'after 384 pieces' not in said[1].stdout:
        e2e.fail(f'a device of 96 GiB: directly {said[0].stdout} {said[0].stderr}, as a guest {said[1].stdout} {said[1].stderr}')
    bed.stop(daemon)
