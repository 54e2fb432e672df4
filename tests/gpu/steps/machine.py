"""What machine this is: kernel, driver, devices, libraries, and what the kernel allows."""
import ctypes
import glob
import os
import platform
import shutil
import stat
import subprocess

from report import ABSENT, FAILED, NOTE
from stage import loads

LIMIT = 30
QUICK = 20
LIBRARIES = ('libcuda.so.1', 'libnvidia-ptxjitcompiler.so.1', 'libnvidia-nvvm.so.4', 'libnvidia-ml.so.1', 'libEGL_nvidia.so.0',
             'libGLX_nvidia.so.0', 'libEGL.so.1', 'libGLX.so.0', 'libGL.so.1', 'libOpenGL.so.0', 'libGLESv2.so.2', 'libEGL_mesa.so.0',
             'libGLX_mesa.so.0', 'libX11.so.6', 'libcudart.so.12', 'libcudart.so.13')
QUERY = ('name', 'uuid', 'driver_version', 'compute_cap', 'memory.total', 'compute_mode', 'persistence_mode', 'mig.mode.current',
         'pstate', 'ecc.mode.current', 'clocks.sm', 'clocks.max.sm', 'power.draw', 'temperature.gpu')
PACKAGES = ('torch', 'cupy', 'jax', 'numba', 'triton', 'numpy')
SYS_MEMFD_CREATE, SYS_LANDLOCK_CREATE_RULESET, CLONE_NEWUSER, PR_GET_SECCOMP = 319, 444, 0x10000000, 21
libc = ctypes.CDLL(None, use_errno=True)


def text_of(path):
    try:
        with open(path, errors='replace') as f:
            return f.read().strip()
    except OSError as e:
        return f'({e.strerror})'


def output_of(command, timeout=10):
    """(worked, text)"""
    try:
        r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, errors='replace', timeout=timeout)
    except FileNotFoundError:
        return False, 'not installed'
    except (OSError, subprocess.TimeoutExpired) as e:
        return False, str(e)
    return r.returncode == 0, r.stdout.strip()


def in_child(action):
    """What action() gives, an errno if it is refused: in a child, which it may change."""
    pid = os.fork()
    if pid == 0:
        os._exit(min(255, action()))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if hasattr(os, 'waitstatus_to_exitcode') else os.waitpid(pid, 0)[1] >> 8


def user_namespace():
    return 0 if libc.unshare(CLONE_NEWUSER) == 0 else ctypes.get_errno()


def system(report):
    os_release = dict(line.split('=', 1) for line in text_of('/etc/os-release').splitlines() if '=' in line)
    report.result('kernel', NOTE, ' '.join(platform.uname()))
    report.result('distribution', NOTE, os_release.get('PRETTY_NAME', 'unknown').strip('"'), glibc=platform.libc_ver()[1])
    model = next((line.split(':', 1)[1].strip() for line in text_of('/proc/cpuinfo').splitlines() if line.startswith('model name')), 'unknown')
    memory = {line.split(':')[0]: int(line.split()[1]) >> 10 for line in text_of('/proc/meminfo').splitlines() if line.endswith('kB')}
    report.result('processors', NOTE, model, cpus=os.cpu_count(), allowed=len(os.sched_getaffinity(0)), load=os.getloadavg()[0])
    report.result('memory', NOTE, '', total_mib=memory.get('MemTotal'), available_mib=memory.get('MemAvailable'))
    caps = [line.split()[1] for line in text_of('/proc/self/status').splitlines() if line.startswith('CapEff')]
    report.result('user', NOTE, 'root' if os.geteuid() == 0 else 'not root', uid=os.geteuid(), capabilities=caps[0] if caps else 'unknown')
    flags = next((line.split() for line in text_of('/proc/cpuinfo').splitlines() if line.startswith('flags')), [])
    kind = text_of('/sys/hypervisor/type') if os.path.exists('/sys/hypervisor/type') else 'a hypervisor' if 'hypervisor' in flags else 'none'
    product = '/sys/class/dmi/id/product_name'
    report.result('virtual', NOTE, kind, product=text_of(product) if os.path.exists(product) else '-')
    container = [p for p in ('/.dockerenv', '/run/.containerenv') if os.path.exists(p)]
    report.result('container', NOTE, ', '.join(container) or 'no sign of one', init=text_of('/proc/1/comm'))


def cgroups(report):
    v2 = os.path.exists('/sys/fs/cgroup/cgroup.controllers')
    own = [line for line in text_of('/proc/self/cgroup').splitlines() if line.startswith('0::')]
    folder = '/sys/fs/cgroup' + (own[0][3:] if own else '')
    kind = 'version 2' if v2 else 'version 1' if os.path.isdir('/sys/fs/cgroup/memory') else 'none'
    report.result('cgroups', NOTE, kind, own=own[0][3:] if own else '',
                  controllers=text_of(f'{folder}/cgroup.controllers') if v2 else '', writable=os.access(folder, os.W_OK))
    report.log(text_of('/proc/self/cgroup'))


def features(report):
    abi = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, 1)
    report.result('landlock', NOTE, f'ABI {abi}' if abi > 0 else f'none: {os.strerror(ctypes.get_errno())}', abi=max(abi, 0))
    fd = libc.syscall(SYS_MEMFD_CREATE, b'xengpu', 2)
    report.result('memfd', NOTE, 'with seals' if fd >= 0 else f'none: {os.strerror(ctypes.get_errno())}')
    if fd >= 0:
        os.close(fd)
    seccomp = libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0)
    report.result('seccomp', NOTE, 'filters: ' + text_of('/proc/sys/kernel/seccomp/actions_avail') if seccomp >= 0 else 'none', mode=seccomp)
    refused = in_child(user_namespace)
    report.result('user namespaces', NOTE, os.strerror(refused) if refused else 'can be made')
    report.result('udmabuf', NOTE, 'there' if os.path.exists('/dev/udmabuf') else 'none')
    limits = text_of('/proc/self/limits').splitlines()
    report.log('\n'.join(limits))
    locked = next((line for line in limits if line.startswith('Max locked')), '')
    report.result('locked memory', NOTE, ' '.join(locked.split()[3:5]) + ' (soft, hard)')
    for name, path in (('overcommit', '/proc/sys/vm/overcommit_memory'), ('huge pages', '/sys/kernel/mm/transparent_hugepage/shmem_enabled'),
                       ('ptrace scope', '/proc/sys/kernel/yama/ptrace_scope'), ('address bits', '/proc/cpuinfo')):
        found = text_of(path)
        if name == 'address bits':
            found = next((line.split(':')[1].strip() for line in found.splitlines() if line.startswith('address sizes')), 'unknown')
        report.result(name, NOTE, found)
    for path in ('/tmp', '/dev/shm'):
        if os.path.isdir(path):
            use = shutil.disk_usage(path)
            report.result(path, NOTE, '', free_mib=use.free >> 20, of_mib=use.total >> 20)


def nodes(report):
    found = sorted(glob.glob('/dev/nvidia*') + glob.glob('/dev/nvidia-caps/*') + glob.glob('/dev/dri/*') + glob.glob('/dev/dxg'))
    for path in found:
        s = os.stat(path)
        if not stat.S_ISDIR(s.st_mode):
            report.result(path, NOTE, f'{stat.filemode(s.st_mode)} {s.st_uid}:{s.st_gid}', major=os.major(s.st_rdev), minor=os.minor(s.st_rdev),
                          opens=os.access(path, os.R_OK | os.W_OK))
    if not found:
        report.result('device files', NOTE, 'no /dev/nvidia*, no /dev/dri')
    modules = [m.split()[0] for m in text_of('/proc/modules').splitlines() if m.startswith('nvidia')]
    report.result('modules', NOTE, ', '.join(modules) or 'none of NVIDIA\'s')
    for path in ('/proc/driver/nvidia/version', '/proc/driver/nvidia/params', *glob.glob('/proc/driver/nvidia/gpus/*/information')):
        report.log(f'{path}\n{text_of(path)}')


def driver(bed, report):
    smi = shutil.which('nvidia-smi') or '/usr/local/nvidia/bin/nvidia-smi'
    ok, text = output_of([smi, f"--query-gpu={','.join(QUERY)}", '--format=csv,noheader'])
    if ok:
        for i, row in enumerate(text.splitlines()):
            report.result(f'nvidia-smi {i}', NOTE, ', '.join(f'{k} {v.strip()}' for k, v in zip(QUERY, row.split(', '))))
        report.log(output_of([smi])[1])
        report.log(output_of([smi, '-q'], 20)[1])
    else:
        listed, lines = output_of([smi, '-L'])
        report.result('nvidia-smi', NOTE, f'{lines}; its query fails: {text}'[:400] if listed else text[:200])
        report.log(output_of([smi])[1])
    if bed.cuda.get('devices'):
        report.result('driver', NOTE, bed.cuda['library'], cuda=bed.cuda['driver_version'], devices=len(bed.cuda['devices']))
        for i, d in enumerate(bed.cuda['devices']):
            report.result(f'device {i}', NOTE, d['name'], capability=f"{d['major']}.{d['minor']}", memory_mib=d['memory'] >> 20,
                          **{k: v for k, v in d.items() if k not in ('name', 'major', 'minor', 'memory')})
    elif os.path.exists('/dev/nvidiactl'):
        report.result('driver', FAILED, f"/dev/nvidiactl is there, and {bed.cuda.get('error', 'there is no device')}")
    else:
        report.result('driver', NOTE, f"none: no /dev/nvidiactl; {bed.cuda.get('error', '')}")
    pipe = os.environ.get('CUDA_MPS_PIPE_DIRECTORY', '/tmp/nvidia-mps')
    report.result('MPS', NOTE, f'control pipe in {pipe}' if os.path.exists(f'{pipe}/control') else 'not running')


def libraries(bed, report):
    there = loads(LIBRARIES, bed.stage['libraries'])
    taken = bed.stage['taken']
    own = loads(LIBRARIES, bed.stage['libraries'][1:] if taken else bed.stage['libraries'])
    report.result('libraries found', NOTE, ', '.join(n for n in LIBRARIES if n in own))
    report.result('libraries lacking', NOTE, ', '.join(n for n in LIBRARIES if n not in there) or 'none')
    report.result('taken from the bundle', NOTE, ', '.join(taken) or 'nothing')
    for path, why in bed.stage['broken'].items():
        ours = path.startswith('build/')
        report.result(path, FAILED if ours else ABSENT, f'does not load here: {why}')
    report.result('EGL vendors', NOTE, ', '.join(glob.glob('/usr/share/glvnd/egl_vendor.d/*') + glob.glob('/etc/glvnd/egl_vendor.d/*')) or 'none',
                  named=bed.stage['egl_vendor'] or '-', glx=bed.stage['glx_vendor'] or '-')


def programs(bed, report):
    if bed.python:
        find = 'import sys, importlib.util as u; print(sys.version.split()[0], *[m for m in sys.argv[1:] if u.find_spec(m)])'
        report.result('python3', NOTE, f"{bed.python}: {output_of([bed.python, '-c', find, *PACKAGES])[1]}")
    else:
        report.result('python3', NOTE, 'none of the machine\'s own')
    for name, places in (('compute-sanitizer', ('/usr/local/cuda/bin', '/usr/local/cuda/compute-sanitizer')), ('nvcc', ('/usr/local/cuda/bin',)),
                         ('Xvfb', ()), ('Xorg', ('/usr/lib/xorg',)), ('glmark2', ()), ('glxgears', ()), ('bwrap', ()), ('strace', ())):
        path = shutil.which(name) or next((f'{p}/{name}' for p in places if os.access(f'{p}/{name}', os.X_OK)), None)
        report.result(name, NOTE, path or 'none')


def run(bed, report, quick):
    system(report)
    cgroups(report)
    features(report)
    nodes(report)
    driver(bed, report)
    libraries(bed, report)
    programs(bed, report)
