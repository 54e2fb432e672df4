"""Where the steps run: a copy of the bundle in a temporary folder, with what this machine lacks filled in from sys/.

A copy, because the bundle may be read-only, or lie where other users cannot reach (the daemon's workers are other users), or have a
space in its path. In it build/lib/use holds those libraries of sys/lib that the machine has not; workers may read below build/lib.

What was found out goes into stage.json, for bed.py:
    gpu         an NVIDIA driver is there, and its cuInit works
    cuda        what cuda_facts.py says of the driver
    libraries   folders for LD_LIBRARY_PATH: build/lib/use, and where the driver's libraries lie if the loader does not look there
    path        folders for PATH
    egl_vendor  a JSON file for glvnd, if it would not find NVIDIA's EGL by itself
    glx_vendor  'nvidia' where its GLX is there: it serves X servers that say nothing of vendors
    taken       the libraries and programs of sys/ that are used
    broken      {program or library: what the loader says of it}
    damaged     files of the bundle that are not what they were when it was made, or are lacking
"""
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

import remover

# Libraries of one make: either all are the machine's, or all are ours.
SETS = (('libGLdispatch.so.0', 'libGLX.so.0', 'libGL.so.1', 'libEGL.so.1', 'libGLESv2.so.2', 'libOpenGL.so.0'),
        ('libX11.so.6', 'libX11-xcb.so.1'))
LONGEST = 40    # characters of a folder for temporary ones: the paths of sockets below it end after 107
NEEDED = 128 << 20
LOADER = '/lib64/ld-linux-x86-64.so.2'
DRIVER_FOLDERS = ('/usr/local/nvidia/lib64', '/usr/local/nvidia/lib', '/usr/lib/x86_64-linux-gnu/nvidia/current', '/usr/lib/wsl/lib')
VENDOR_FOLDERS = ('/etc/glvnd/egl_vendor.d', '/usr/share/glvnd/egl_vendor.d',
                  '/usr/local/nvidia/share/glvnd/egl_vendor.d', '/usr/local/share/glvnd/egl_vendor.d', '/opt/nvidia/share/glvnd/egl_vendor.d')
# In a process of its own each: a library's constructors may do anything. All names at once, or those that fail alone.
TRY = '''import ctypes, os, sys
for name in sys.argv[1:]:
    if os.fork() == 0:
        try:
            ctypes.CDLL(name, os.RTLD_NOW)
        except OSError:
            os._exit(1)
        os._exit(0)
    print(name, os.wait()[1])
'''


def python_env(folders):
    """For a python3 that loads libraries from `folders` too. The bundle's own needs some of the bundle's; see `run`."""
    return {**os.environ, 'LD_LIBRARY_PATH': ':'.join(filter(None, [*folders, os.environ.get('XG_PYTHON_LIBRARIES')]))}


def loads(names, folders=()):
    """Those of the libraries `names` that the loader finds and can use, with `folders` as LD_LIBRARY_PATH."""
    try:
        r = subprocess.run([sys.executable, '-c', TRY, *names], env=python_env(folders), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True, timeout=30)
    except subprocess.TimeoutExpired:
        return set()
    return {line.split()[0] for line in r.stdout.splitlines() if line.endswith(' 0')}


def look_at(path, folders):
    """(names of the libraries that the loader would take for this file, what is wrong with them), as `ldd -r` does it."""
    env = {**os.environ, 'LD_LIBRARY_PATH': ':'.join(folders), 'LD_TRACE_LOADED_OBJECTS': '1', 'LD_WARN': 'yes', 'LD_BIND_NOW': 'yes'}
    r = subprocess.run([LOADER, path], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, errors='replace')
    lines = [line.strip() for line in r.stdout.splitlines()]
    # The guests' side of CUDA comes with the program that starts them.
    bad = [line for line in lines if re.search(r'undefined symbol|not found|error while loading', line) and not re.match(r'libcuda(rt)?\.so', line)]
    return {line.split()[0] for line in lines if ' => ' in line}, bad


def cuda_facts(folders, timeout=60):
    try:
        r = subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'cuda_facts.py')], env=python_env(folders),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=timeout)
        return json.loads(r.stdout) if r.returncode == 0 else {'error': f'status {r.returncode}: {r.stderr.strip()[-300:]}'}
    except subprocess.TimeoutExpired:
        return {'error': f'the driver does not answer within {timeout} s'}
    except ValueError as e:
        return {'error': f'not understood: {e}'}


def driver_folders():
    """Where libcuda.so.1 lies, if the loader has to be told: as the caller's LD_LIBRARY_PATH says, or where containers have it."""
    if loads(['libcuda.so.1']):
        return []
    told = [d for d in os.environ.get('XG_LIBRARY_PATH', os.environ.get('LD_LIBRARY_PATH', '')).split(':') if d.startswith('/')]
    for folder in [*told, *DRIVER_FOLDERS]:
        if os.path.exists(os.path.join(folder, 'libcuda.so.1')) or os.path.exists(os.path.join(folder, 'libEGL_nvidia.so.0')):
            return [folder]
    return []


def look_for_driver():
    """The part of stage.json that the driver answers."""
    folders = driver_folders()
    cuda = cuda_facts(folders)
    return {'gpu': os.path.exists('/dev/nvidiactl') and bool(cuda.get('devices')), 'cuda': cuda, 'driver_folders': folders}


def look_for_vendors(folder, libraries):
    """(egl_vendor, glx_vendor); a JSON file is written into `folder` where the driver brought none."""
    there = loads(['libEGL_nvidia.so.0', 'libGLX_nvidia.so.0'], libraries)
    egl, found = '', []
    if 'libEGL_nvidia.so.0' in there:
        found = [f for d in VENDOR_FOLDERS for f in sorted(glob.glob(f'{d}/*nvidia*.json'))]
        if not found:
            egl = os.path.join(folder, '10_nvidia.json')
            with open(egl, 'w') as f:
                json.dump({'file_format_version': '1.0.0', 'ICD': {'library_path': 'libEGL_nvidia.so.0'}}, f)
        elif os.path.dirname(found[0]) not in VENDOR_FOLDERS[:2]:
            egl = found[0]
    return egl, 'nvidia' if 'libGLX_nvidia.so.0' in there else ''


def is_closed(folder):
    """Whether the daemon's workers, who are users of their own where it is root, could not come there."""
    folder = os.path.realpath(folder)
    while folder != '/' and os.stat(folder).st_mode & stat.S_IXOTH:
        folder = os.path.dirname(folder)
    return folder != '/'


def is_usable(folder):
    """Whether others may enter it, programs may start there, and the bundle finds room."""
    program = os.path.join(folder, 'try')
    try:
        os.chmod(folder, 0o755)
        with open(program, 'w') as f:
            f.write('#!/bin/sh\nexit 0\n')
        os.chmod(program, 0o755)
        started = subprocess.run([program]).returncode == 0
        os.unlink(program)
        return started and shutil.disk_usage(folder).free > NEEDED
    except OSError:
        return False


def executable_temp():
    """A new folder that others may enter, on a file system that allows programs."""
    for where in (os.environ.get('TMPDIR'), '/tmp', '/var/tmp', '/dev/shm', os.getcwd()):
        # A name with other characters cannot stand in LD_PRELOAD and LD_LIBRARY_PATH.
        if not where or re.search(r'[^\w./+@-]', where) or len(os.fsencode(where)) > LONGEST or not os.path.isdir(where):
            continue
        if os.geteuid() == 0 and is_closed(where):
            continue
        try:
            folder = tempfile.mkdtemp(prefix='xengpu-gpu-', dir=where)
        except OSError:
            continue
        if is_usable(folder):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(f'run: no temporary folder with {NEEDED >> 20} MiB free allows programs; TMPDIR names another, of at most {LONGEST} characters')


def programs(root):
    """What has to load, of ours and of Debian's."""
    for folder in ('build/bin', 'build/lib', 'build/tests/tools', 'sys/bin'):
        for path in sorted(glob.glob(os.path.join(root, folder, '*'))):
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, 'rb') as f:
                    if f.read(4) == b'\x7fELF':
                        yield path


def libraries_needed(folder):
    """The names in sys/lib that the machine cannot serve, whole sets."""
    ours = sorted(os.listdir(folder))
    there = loads(ours)
    lacking = {name for name in ours if name not in there}
    for family in SETS:
        if lacking & set(family):
            lacking |= set(family) & set(ours)
    return sorted(lacking)


def damaged_files(root):
    """By the sums that the bundle was made with."""
    found = []
    with open(os.path.join(root, 'sha256sums'), encoding='utf-8') as f:
        for line in f:
            expected, name = line.rstrip('\n').split('  ', 1)
            try:
                with open(os.path.join(root, name), 'rb') as file:
                    same = hashlib.sha256(file.read()).hexdigest() == expected
            except OSError:
                same = False
            if not same:
                found.append(name)
    return found


class Stage:
    def __init__(self, root):
        # A signal before the remover is there would leave a folder that nobody removes.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        try:
            self.root = executable_temp()
            self.build = os.path.join(self.root, 'build')
            self.remover = remover.start(self.root)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            raise
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            self.make(root)
        except BaseException:
            self.remove()
            raise

    def make(self, root):
        for name in ('build', 'tests', 'bench', 'protocol', 'sys'):
            if os.path.isdir(os.path.join(root, name)):
                shutil.copytree(os.path.join(root, name), os.path.join(self.root, name), symlinks=True)
        for folder, folders, names in os.walk(self.root):  # the bundle may be closed to others and read-only
            os.chmod(folder, 0o755)
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
        self.facts = {**look_for_driver(), 'damaged': damaged_files(root)}
        self.fill()
        with open(os.path.join(self.root, 'stage.json'), 'w') as f:
            json.dump(self.facts, f)

    def fill(self):
        use, bin_folder, taken = os.path.join(self.build, 'lib/use'), os.path.join(self.root, 'use-bin'), []
        os.makedirs(use)
        os.makedirs(bin_folder)
        lib = os.path.join(self.root, 'sys/lib')
        ours = set(os.listdir(lib)) if os.path.isdir(lib) else set()

        def take(names):
            for name in sorted(names):
                os.link(os.path.join(lib, name), os.path.join(use, name))
                taken.append(name)
        take(libraries_needed(lib) if ours else ())
        # A library of the machine's may be there and be too old: then all of ours for whatever needs it.
        libraries = [use, *self.facts['driver_folders']]
        for path in programs(self.root):
            names, bad = look_at(path, libraries)
            if bad:
                take((names & ours) - set(taken))
        broken = {os.path.relpath(p, self.root): bad[0] for p in programs(self.root) for bad in [look_at(p, libraries)[1]] if bad}
        if 'XG_PYTHON_LIBRARIES' in os.environ:  # those of the bundle's python3, for steps that start it
            taken.append('python3')
            for path in glob.glob(os.path.join(self.root, 'sys/python/lib/*.so.*')):
                if not os.path.exists(os.path.join(use, os.path.basename(path))):
                    os.link(path, os.path.join(use, os.path.basename(path)))
        debian = os.path.join(self.root, 'sys/bin')
        for name in sorted(os.listdir(debian)) if os.path.isdir(debian) else ():
            if not shutil.which(name):
                self.write_program(os.path.join(bin_folder, name), os.path.join(debian, name))
                taken.append(name)
        egl, glx = look_for_vendors(use, libraries) if os.path.exists('/dev/nvidiactl') else ('', '')
        self.facts.update(libraries=libraries, path=[bin_folder], egl_vendor=egl, glx_vendor=glx, taken=taken, broken=broken)

    def write_program(self, path, program):
        """Starts a program of sys/bin with its data, which lies elsewhere than the program expects it."""
        share = os.path.join(self.root, 'sys/share')
        before, after = {
            'Xvfb': (f'XG_XKBCOMP={self.root}/sys/bin/xkbcomp LD_PRELOAD={self.build}/tests/tools/libxkbcomp.so exec ', f' -xkbdir {share}/xkb'),
            'glmark2': ('exec ', f' --data-path {share}/glmark2'),
            'glmark2-es2': ('exec ', f' --data-path {share}/glmark2'),
        }.get(os.path.basename(program), ('exec ', ''))
        with open(path, 'w') as f:
            f.write(f'#!/bin/sh\n{before}{program}{after} "$@"\n')
        os.chmod(path, 0o755)

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


def in_place():
    """The facts for steps that run in the tree they were written in."""
    facts = look_for_driver()
    return {**facts, 'libraries': facts['driver_folders'], 'path': [], 'egl_vendor': '', 'glx_vendor': '', 'taken': [], 'broken': {}, 'damaged': []}
