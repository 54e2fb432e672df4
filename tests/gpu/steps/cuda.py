"""Each CUDA test program, on the driver and as a guest: the same status, the same output."""
import concurrent.futures
import glob
import os
import time

from pair import first_difference, last_line, said
from report import ABSENT, FAILED, NOTE, OK

LIMIT = 80
QUICK = 25

# (program, arguments, kernel files' type). PTX is Debian's clang's; `fatbin` has nvcc's; sm_90 is machine code, which other devices refuse.
PTX, MACHINE = '', ('sm_90.cubin', 'sm_90.fatbin')
DRIVER = [(line.split()[0], line.split()[1:], PTX) for line in (
    'cuda_vectoradd', 'cuda_matmul', 'cuda_matmul 1024', 'cuda_streams', 'cuda_events', 'cuda_module', 'cuda_hostfunc', 'cuda_hints',
    'cuda_graphs', 'cuda_capture', 'cuda_graph_update', 'cuda_fractal 8', 'cuda_managed', 'cuda_register', 'cuda_print', 'cuda_print others',
    'cuda_print threads 20', 'cudarem_threads 8 10', 'cudarem_fork', 'cuda_memory', 'cuda_memory all', 'cuda_errors', 'cudarem_limits')]
JOBS = [('cuda_job', [job], t) for job in ('vectoradd', 'matmul', 'blackscholes', 'nbody', 'histogram', 'reduction')
        for t in (PTX, 'fatbin', MACHINE[0])]
TYPES = [(name, [], t) for name in ('cuda_vectoradd', 'cuda_matmul') for t in ('fatbin', *MACHINE)]
# Nothing else runs meanwhile, nor both ways at once: they look at the memory that the whole device has left, or provoke faults.
ALONE = ('cuda_memory', 'rt_memory', 'cuda_errors', 'rt_errors', 'cudarem_limits')
QUICKLY = ('cuda_vectoradd', 'cuda_job', 'cuda_load', 'cuda_errors', 'rt_vectoradd', 'rt_errors', 'rt_scan', 'cuda_query')

# What these expect is promised by a guest's libcuda only.
GUEST_ONLY = {
    'cudarem_fork': 'directly, a child has no session of its own after fork',
}
# And these, by softcuda and by a guest's libcuda; on a driver they run as a guest only.
NOT_ON_DRIVER = {
    'cuda_hostfunc': 'a driver refuses in a host function only what it must',
    'rt_hostfunc': 'a driver refuses in a host function only what it must',
    'cudarem_limits': 'it uses handles that never were, which a driver may follow',
}
# Lines that several threads write, in any order and in pieces, and lines about what the way to the device may lack (docs/cuda.md).
UNORDERED = ('cuda_print threads 20',)
MAY_LACK = {'cuda_memory all': ('registered: ok', 'virtual memory: ok')}
NO_CODE = ('CUDA_ERROR_NO_BINARY_FOR_GPU', 'cudaErrorNoKernelImageForDevice')


def stem(command):
    """cuda_memory, rt_memory of rt_memory.sm_90.nvcc"""
    return os.path.basename(command[0]).split('.')[0]


def is_alone(command):
    return stem(command) in ALONE


class Programs:
    def __init__(self, bed, report, until):
        self.bed, self.report, self.until = bed, report, until
        devices = bed.cuda.get('devices') if bed.gpu else None
        self.major = devices[0]['major'] if devices else None

    def runs_machine_code(self):
        return self.major == 9

    def both(self, command, env, guest_only):
        seconds = max(1, min(60, self.until - time.monotonic()))
        if guest_only or is_alone(command):
            direct = None if guest_only else self.bed.direct(command, env, seconds)
            return direct, self.bed.guest('one', command, env, seconds)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            remoted = pool.submit(self.bed.guest, 'one', command, env, seconds)
            return self.bed.direct(command, env, seconds), remoted.result()

    def refused(self, name, direct, remoted):
        """Machine code that the device cannot run has to say so; a program without kernels does not notice."""
        how = [(r.returncode, sorted(set((r.stdout + r.stderr).splitlines()))) for r in (direct, remoted)]
        self.details(name, direct, remoted)
        if how[0][0] != how[1][0]:
            self.report.result(name, FAILED, f'directly {said(direct)}; as a guest {said(remoted)}')
        elif direct.returncode in (0, 77):
            self.report.result(name, OK, f'has no kernel of its own to run: {last_line(direct.stdout)}')
        elif all(any(code in line for line in lines for code in NO_CODE) for _, lines in how):
            code = next(c for c in NO_CODE if c in ' '.join(how[0][1]))
            self.report.result(name, OK, f'refused both ways, as machine code for another device must be: {code}')
        else:
            self.report.result(name, FAILED, f'refused, but not as machine code that cannot run: {said(direct)}; as a guest {said(remoted)}')

    def details(self, name, *runs):
        for side, r in zip(('directly', 'as a guest')[-len(runs):], runs):
            if r is not None and (r.returncode or r.stderr):
                self.report.log(f'{name} {side}: status {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}')

    def program(self, name, command, env=None, machine_code=False, only=None):
        """`only`: why it runs as a guest only."""
        if time.monotonic() > self.until:
            self.report.result(name, FAILED, 'not run: the step had no time left')
            return
        lacking = [os.path.basename(p) for p in command if p.startswith('/') and not os.path.exists(p)]
        if lacking:
            self.report.result(name, ABSENT, f'{lacking[0]} is not in the bundle')
            return
        direct, remoted = self.both(command, env, only)
        if machine_code and not self.runs_machine_code() and direct is not None:
            self.refused(name, direct, remoted)
            return
        self.details(name, direct, remoted)
        if direct is not None and direct.returncode == 77 or remoted.returncode == 77:
            which = 'both ways' if direct is not None and direct.returncode == remoted.returncode else \
                'directly' if direct is not None and direct.returncode == 77 else 'as a guest'
            text = last_line(remoted.stdout if remoted.returncode == 77 else direct.stdout)
            self.report.result(name, NOTE, f'not there {which}: {text}')
        elif direct is not None and direct.returncode and remoted.returncode:
            self.report.result(name, FAILED, f'directly {said(direct)}; as a guest {said(remoted)}')
        elif direct is not None and direct.returncode:
            self.report.result(name, FAILED, f'only directly: {said(direct)}')
        elif remoted.returncode:
            self.report.result(name, FAILED, f'only as a guest: {said(remoted)}')
        elif direct is None:
            self.report.result(name, OK, f'as a guest only: {only}')
        else:
            self.compare(name, direct.stdout, remoted.stdout)

    def compare(self, name, direct, remoted):
        sides = [text.splitlines() for text in (direct, remoted)]
        lacks = [line for line in MAY_LACK.get(name, ()) if line in sides[0] and line not in sides[1]]
        sides[0] = [line for line in sides[0] if line not in lacks]
        n = len(sides[0])
        if name in UNORDERED:
            sides = [[''.join(sorted(''.join(side)))] for side in sides]
        if sides[0] == sides[1]:
            self.report.result(name, OK, f'same output, {n} line{"s" * (n != 1)}' + (f'; a guest has none of: {", ".join(lacks)}' if lacks else ''))
        else:
            self.report.log(f'{name} directly:\n{direct[-4000:]}\nas a guest:\n{remoted[-4000:]}')
            self.report.result(name, FAILED, f'other output as a guest: {first_difference(*sides)}')

    def device(self):
        """What the device says of itself: a guest's is allowed to differ where the way to it is another."""
        command = [self.bed.program('cuda_query'), 'all']
        direct, remoted = self.both(command, None, False)
        if direct.returncode or remoted.returncode:
            self.details('cuda_query', direct, remoted)
            self.report.result('cuda_query', FAILED, f'directly {said(direct)}; as a guest {said(remoted)}')
            return
        # without "all" it prints nothing that the way to the device may change
        plain = self.both(command[:1], None, False)
        different = [(x, y) for x, y in zip(*(r.stdout.splitlines() for r in (direct, remoted))) if x != y]
        self.compare('cuda_query', *(r.stdout for r in plain))
        self.report.result('cuda_query all', NOTE, 'directly / as a guest: ' + '; '.join(f'{x} / {y.split(": ")[-1]}' for x, y in different)
                           if different else 'the same in a guest')


def why_guest_only(bed, name):
    return GUEST_ONLY.get(name) or (NOT_ON_DRIVER.get(name) if bed.gpu else None)


def wanted(bed, quick, machine_code):
    """`machine_code`: the device can run it. (name, command, environment, is it machine code, why as a guest only)"""
    jobs = []

    def add(name, args, kind=PTX):
        env = {'XG_KERNEL_TYPE': kind} if kind else {}
        label = ' '.join([name, *(os.path.basename(a) for a in args), *([kind] if kind else [])])
        jobs.append((label, [f'{bed.build}/tests/programs/{name}', *args], env, kind in MACHINE, why_guest_only(bed, name)))
    for name, args, kind in [*DRIVER, *JOBS, *TYPES]:
        if not kind or glob.glob(f'{bed.build}/tests/kernels/*.{kind}'):
            add(name, args, kind)
    for kind in ('ptx', 'fatbin', *MACHINE):
        files = [f for f in sorted(glob.glob(f'{bed.build}/tests/kernels/*.{kind}')) if kind in MACHINE or '.sm_90.' not in f]
        if files:
            jobs.append((f'cuda_load *.{kind}', [f'{bed.build}/tests/programs/cuda_load', *files], {}, kind in MACHINE, None))
    for kind in ('fatbin', *(MACHINE[1:] if machine_code else ())):
        for version in (12, 13):
            add('cudart_hand', [f'libcudart.so.{version}', f'{bed.build}/tests/kernels/rt_basic.{kind}'])
    for path in sorted(glob.glob(f'{bed.build}/tests/programs/rt_*.nvcc')):
        name = os.path.basename(path)
        jobs.append((name, [path], {}, '.sm_90.' in name, why_guest_only(bed, name.split('.')[0])))
    if quick:
        jobs = [j for j in jobs if stem(j[1]) in QUICKLY]
    return jobs


def run(bed, report, quick):
    bed.daemon()
    programs = Programs(bed, report, time.monotonic() + min(bed.left(), QUICK if quick else LIMIT) - 5)
    programs.device()
    jobs = wanted(bed, quick, programs.runs_machine_code())
    if not any(j[3] for j in jobs):
        report.result('machine code', ABSENT, 'this bundle was made without nvcc, or not by make gpu-bundle: it has no .sm_90 files')
    elif not programs.runs_machine_code():
        report.result('machine code', NOTE, f'of sm_90 cannot run here: the device is {"softcuda" if not bed.gpu else f"of capability {programs.major}"}')
    alone = [j for j in jobs if is_alone(j[1])]
    with concurrent.futures.ThreadPoolExecutor(max(1, min(6, (os.cpu_count() or 1) // 2))) as pool:
        list(pool.map(lambda j: programs.program(*j), [j for j in jobs if not is_alone(j[1])]))
    for job in alone:
        programs.program(*job)
