"""Python packages that use CUDA, where there are any: import, a vector addition and a matrix product, directly and as a guest."""
import concurrent.futures
import json
import os
import signal

import busy

LIMIT = 120
QUICK = 45

# The driver API alone: that works as it is. The others bring libraries of the vendor's: what does not work is told, and is no fault.
DRIVER_API = ('ctypes', 'cuda')
PACKAGES = ('cuda', 'numba', 'cupy', 'torch', 'jax')  # those that are quick first
EACH = 30  # seconds; the first import of a large package reads gigabytes

FIND = '''
import importlib.util, sys
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:
        return False
print(sys.version.split()[0], *(n for n in sys.argv[1:] if there(n)))
'''


class Tried:
    def __init__(self, run):
        """run: what python_try.py did."""
        self.status, self.error = run.returncode, run.stderr
        self.found = {}
        for line in run.stdout.splitlines():
            if line.startswith('{'):
                one = json.loads(line)
                self.found[one['what']] = (one['ok'], one['text'])
        self.libraries = self.found.pop('libraries', (True, ''))[1].split()

    def works(self):
        return [what for what, (ok, _) in self.found.items() if ok]

    def ended(self):
        """How it ended, if not by itself."""
        if self.status == -signal.SIGKILL:
            return f'no end after {EACH} s'
        return f'killed by {signal.Signals(-self.status).name}' if self.status < 0 else f'status {self.status}' if self.status else ''

    def said(self):
        """What xengpu told the program: the first line."""
        lines = [line for line in self.error.splitlines() if line.startswith('xengpu')]
        return lines[0] if lines else ''

    def text(self):
        bad = [f'{what}: {text}' for what, (ok, text) in self.found.items() if not ok]
        if self.ended():
            bad.append(self.ended() + (f': {self.error.strip().splitlines()[-1]}' if self.error.strip() else ''))
        texts = [', '.join(self.works()) + ' work' if self.works() else 'nothing works', *bad]
        return '; '.join(texts + ([f'xengpu says: {self.said()}'] if self.said() else []))

    def about(self):
        return ', '.join(self.found[what][1] for what in ('import', 'device') if self.found.get(what, (False,))[0])

    def runtime(self):
        """Which CUDA runtime it has: of its own, ours, or none that is a shared library."""
        return next((p for p in self.libraries if 'libcudart' in p), 'none that is shared')


def try_package(bed, report, name, env=None):
    script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'python_try.py')
    command = [bed.python, script, name, os.path.join(bed.build, 'tests/kernels/vectoradd.ptx')]
    env = {'XLA_PYTHON_CLIENT_PREALLOCATE': 'false', **(env or {})}
    # On a GPU without our libcudart: what the package brings is what it has without xengpu.
    direct = Tried(bed.run(command, env, timeout=EACH) if bed.gpu else bed.direct(command, env, timeout=EACH))
    guest = Tried(bed.guest('python', command, env, timeout=EACH))
    report.log(f'{name}, directly: {direct.found} {direct.libraries} {direct.error[-2000:]}\n'
               f'{name}, as a guest: {guest.found} {guest.libraries} {guest.error[-2000:]}')
    if not direct.works():
        report.result(f'{name}, directly', 'absent', direct.text())
    else:
        report.result(f'{name}, directly', 'note', f'{direct.about()}: {direct.text()}; CUDA runtime: {direct.runtime()}')
    missing = [w for w in direct.works() if w not in guest.works()]
    outcome = 'ok' if not missing and not (guest.ended() and not direct.ended()) else 'failed' if name in DRIVER_API else 'note'
    report.result(f'{name}, as a guest', outcome, guest.text() + ('' if not missing else f'; missing: {", ".join(missing)}'))


def run(bed, report, quick):
    if not bed.python:
        report.result('python3', 'absent', 'this machine has none')
        return
    r = bed.run([bed.python, '-c', FIND, *PACKAGES], timeout=EACH)
    if r.returncode:
        report.result('python3', 'absent', f'{bed.python}: status {r.returncode}: {r.stderr.strip()[-300:]}')
        return
    version, *there = r.stdout.split()
    report.result('python3', 'note', f'{bed.python} {version} has ' + (', '.join(there) or 'none of ' + ', '.join(PACKAGES)))
    bed.daemon()
    busy.attach(bed, 'python')
    with concurrent.futures.ThreadPoolExecutor(max(1, min(3, (os.cpu_count() or 1) // 4))) as pool:  # most of it is loading
        list(pool.map(lambda name: try_package(bed, report, name), ('ctypes', *there)))
