#!/usr/bin/env python3
# What the GPU bundle's step "python" tells of packages that work, fail, say something, die and hang; with packages that are made here.
# limit: 90
import os
import shutil
import sys

root = os.environ.get('XG_ROOT', '.')
sys.path[:0] = [os.path.join(root, p) for p in ('tests/lib', 'tests/gpu', 'tests/gpu/steps')]
import e2e
import python as step

PACKAGES = {
    'torch': '''
import sys
print('xengpu: its CUDA runtime is linked into it statically', file=sys.stderr)
raise RuntimeError('no CUDA here\\nand more text')
''',
    'cupy': '''
import os
class runtime:
    runtimeGetVersion = staticmethod(lambda: 13000)
    getDeviceProperties = staticmethod(lambda i: {'name': b'a device'})
class cuda:
    runtime = runtime
__version__ = '1.0'
if 'libxengpu' in os.environ.get('LD_PRELOAD', ''):
    os.abort()
''',
    'jax': 'import time\ntime.sleep(100)\n',
}
WANTED = {  # (outcome, words of the text)
    'torch, directly': ('absent', 'import: RuntimeError: no CUDA here;', 'xengpu says: xengpu: its CUDA runtime'),
    'torch, as a guest': ('ok', 'nothing works'),
    'cupy, directly': ('note', '1.0, for CUDA 13000, a device', 'import, device work', "no attribute 'array'"),
    'cupy, as a guest': ('note', 'killed by SIGABRT', 'missing: import, device'),
    'jax, directly': ('absent', 'no end after'),
    'jax, as a guest': ('ok', 'no end after'),
    'ctypes, directly': ('note', 'import, device, vector addition work'),
    'ctypes, as a guest': ('ok', 'import, device, vector addition work'),
}


class Report:
    def __init__(self):
        self.told = {}

    def result(self, name, outcome, text='', **figures):
        print(outcome, name, text)
        self.told[name] = (outcome, text)

    def log(self, text):
        pass


with e2e.Bed() as bed:
    bed.gpu, bed.python = False, shutil.which('python3')
    if not os.path.exists(f'{bed.build}/tests/kernels/vectoradd.ptx'):
        e2e.skip('no kernels')
    for name, text in PACKAGES.items():
        os.makedirs(os.path.join(bed.tmp, 'packages', name))
        with open(os.path.join(bed.tmp, 'packages', name, '__init__.py'), 'w') as f:
            f.write(text)
    bed.env['PYTHONPATH'] = os.path.join(bed.tmp, 'packages')
    report, step.EACH = Report(), 8
    step.run(bed, report, True)
    for name, (outcome, *words) in WANTED.items():
        got = report.told.get(name, ('nothing', ''))
        if got[0] != outcome or not all(w in got[1] for w in words):
            e2e.fail(f'{name}: {got}, should be {outcome} with {words}')
