#!/usr/bin/env python3
"""Makes the bundle: bundle.py --build DIR --output DIR [--glibc 2.35] [--limit MIB]

Out of a build, and of what is installed here from Debian packages; nothing is fetched. README.md tells the layout. What is in it must run
on a machine that has nothing but libc, a shell and the driver: no file needs a newer glibc than --glibc, and all is below --limit.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e  # noqa: E402

# Part of glibc, which must be the machine's, and of GCC's runtime: Debian 12's needs glibc 2.36, and there is hardly a machine without one.
MACHINES = re.compile(r'^(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libutil|libnsl|libanl|libstdc\+\+|libgcc_s)\.so\.|^linux-vdso')
# Found by the driver's or our own side of it, not in Debian's packages.
DRIVERS = re.compile(r'^lib(cuda|cudart|xengpu[^.]*|EGL_xengpu|GLX_xengpu)\.so')
PROGRAMS = ('Xvfb', 'xkbcomp', 'glxgears', 'glmark2', 'glmark2-es2')
# Of the standard library what no step needs is left out.
PYTHON = '/usr/bin/python3'
PYTHON_MODULES = ('_bz2', '_contextvars', '_ctypes', '_json', '_lzma', '_opcode', '_posixshmem', '_queue', 'mmap', 'resource', 'termios')
PYTHON_WITHOUT = re.compile(r'^(test|idlelib|lib2to3|tkinter|turtledemo|ensurepip|distutils|pydoc_data|unittest|asyncio|xml|xmlrpc|wsgiref|sqlite3|'
                            r'curses|dbm|venv|html|http|email/test|multiprocessing/dummy|config-|lib-dynload|[^/]*/__pycache__|__pycache__)')
LOADED = ('libEGL.so.1', 'libGLX.so.0', 'libGL.so.1', 'libGLESv2.so.2', 'libOpenGL.so.0')  # by name at run time, where they are installed
EM_X86_64 = 62
DATA = {'glmark2': '/usr/share/glmark2', 'xkb': '/usr/share/X11/xkb'}
SOURCES = ('tests/lib', 'tests/gpu', 'bench', 'protocol/version.h')


class Wrong(Exception):
    pass


def run(command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                       env={**{k: v for k, v in os.environ.items() if not k.startswith('LD_')}, 'LC_ALL': 'C'})
    if r.returncode != 0:
        raise Wrong(f"{' '.join(command)[:200]}: {r.stderr.strip()}")
    return r.stdout


def commit():
    """Of the sources, with a + if they were changed since; None outside git."""
    r = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--abbrev=12', '--dirty=+', '--exclude=*'], stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL, universal_newlines=True)
    return r.stdout.strip() or None


def version(text):
    return tuple(map(int, text.split('.')))


def is_elf(path):
    """A program or library of this machine's kind; machine code for a GPU is ELF too."""
    with open(path, 'rb') as f:
        head = f.read(20)
    return head[:4] == b'\x7fELF' and int.from_bytes(head[18:20], 'little') == EM_X86_64


def files_below(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if not os.path.islink(path):
                yield path


class Bundle:
    def __init__(self, build, output, glibc):
        self.build, self.output, self.glibc = build, output, glibc
        self.from_packages, self.lacking = [], []

    def at(self, *parts):
        path = os.path.join(self.output, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def copy(self, source, *parts):
        """A file; programs and libraries without what only a debugger reads."""
        to = self.at(*parts)
        if is_elf(source):
            run(['strip', '-S', '-p', '-o', to, os.path.realpath(source)])
        else:
            shutil.copyfile(source, to)
        os.chmod(to, 0o755 if os.stat(source).st_mode & 0o111 else 0o644)

    def copy_tree(self, source, *parts, skip=lambda name: False):
        for path in files_below(source):
            name = os.path.relpath(path, source)
            if not skip(name):
                self.copy(path, *parts, name)

    # --- what we built

    def add_build(self):
        def skip(name):
            return name.endswith(('.d', '.o')) or '__pycache__' in name
        for folder in ('bin', 'lib', 'tests/programs', 'tests/tools', 'tests/kernels', 'bench/programs', 'bench/kernels'):
            if os.path.isdir(os.path.join(self.build, folder)):
                self.copy_tree(os.path.join(self.build, folder), 'build', folder, skip=skip)
        for folder in ('lib', 'lib/softcuda'):
            for name in os.listdir(os.path.join(self.build, folder)):
                path = os.path.join(self.build, folder, name)
                if os.path.islink(path):
                    os.symlink(os.readlink(path), self.at('build', folder, name))
        with open(self.at('build/bin/xengpu-bench'), 'w') as f:
            f.write('#!/bin/sh\nbuild=$(cd "$(dirname "$0")/.." && pwd) || exit 1\n'
                    'exec "${XG_PYTHON:-python3}" "$build/../bench/xengpu_bench.py" --build "$build" "$@"\n')
        if not any(p.endswith('.nvcc') for p in files_below(self.at('build/tests/programs'))):
            self.lacking.append('the programs of nvcc (*.nvcc, *.fatbin): nvcc is not installed here')

    def add_sources(self):
        for name in SOURCES:
            path = os.path.join(ROOT, name)
            if os.path.isdir(path):
                self.copy_tree(path, name, skip=lambda n: '__pycache__' in n or n.startswith(('results/', 'programs/')) or
                               n.endswith(('.mk', '.c', 'bundle.py')))
            else:
                self.copy(path, name)
        shutil.move(self.at('tests/gpu/run'), self.at('run'))
        os.chmod(self.at('run'), 0o755)

    # --- what a bare machine lacks

    def add_programs(self):
        for name in PROGRAMS:
            path = shutil.which(name)
            if not path:
                raise Wrong(f"{name} is not installed; 'make deps' installs what is needed")
            self.from_packages.append(path)
            self.copy(path, 'sys/bin', name)
        for name, path in DATA.items():
            self.copy_tree(path, 'sys/share', name)

    def add_python(self):
        """Its modules compiled, in a zip file beside it, where it looks by itself; os.py shows it that this is the place."""
        if not shutil.which(PYTHON):
            self.lacking.append(f'a python3: {PYTHON} is not installed here')
            return
        name, stdlib, suffix = run([PYTHON, '-c', 'import sys, sysconfig as s; print("python%d.%d" % sys.version_info[:2], s.get_path("stdlib"), '
                                                  's.get_config_var("EXT_SUFFIX"))']).split()
        lib = os.path.join(self.output, 'sys/python/lib', name)
        parts = [p for p in (os.path.join(stdlib, 'lib-dynload', m + suffix) for m in PYTHON_MODULES) if os.path.exists(p)]
        libraries = self.needs([PYTHON, *parts])
        if 'libexpat.so.1' in libraries and self.too_new([libraries['libexpat.so.1']]):
            libraries['libexpat.so.1'] = self.make_expat()
            if not libraries['libexpat.so.1']:
                self.lacking.append('a python3: libexpat1-dev is not installed here, and libexpat1 needs a newer glibc')
                return
        self.copy(os.path.realpath(PYTHON), 'sys/python/bin/python3')
        self.from_packages.append(PYTHON)
        self.from_packages.append(stdlib + '/os.py')
        for path in parts:
            self.copy(path, 'sys/python/lib', name, 'lib-dynload', os.path.basename(path))
        for soname, path in libraries.items():
            self.copy(path, 'sys/python/lib', soname)
        self.copy(os.path.join(stdlib, 'os.py'), 'sys/python/lib', name, 'os.py')
        new = self.at('sys/new/lib/x')[:-2]
        self.copy_tree(stdlib, 'sys/new/lib', skip=lambda n: PYTHON_WITHOUT.match(n) or not n.endswith('.py'))
        run([PYTHON, '-m', 'compileall', '-b', '-q', '-f', '-s', new, new])
        with zipfile.ZipFile(os.path.join(os.path.dirname(lib), name.replace('.', '') + '.zip'), 'w', zipfile.ZIP_DEFLATED) as z:
            for path in sorted(files_below(new)):
                if path.endswith('.pyc'):
                    z.write(path, os.path.relpath(path, new))
        shutil.rmtree(self.at('sys/new'))

    def make_expat(self):
        """Out of the static one, with the one function that is new in glibc 2.36."""
        static = run(['gcc', '-print-file-name=libexpat.a']).strip()
        if not os.path.isabs(static):
            return None
        to = self.at('sys/new/libexpat.so.1')
        run(['gcc', '-shared', '-fPIC', '-O2', '-o', to, '-Wl,-soname,libexpat.so.1', '-Wl,-Bsymbolic', '-Wl,-z,defs',
             os.path.join(ROOT, 'tests/gpu/arc4random.c'), '-Wl,--whole-archive', static, '-Wl,--no-whole-archive'])
        self.from_packages.append(static)
        return to

    def needs(self, paths):
        """{name: where this machine's loader finds it} of all libraries that these files are linked with, but those that stay at home."""
        found, path = {}, paths[0]
        for line in run(['ldd', *paths]).splitlines():
            if line.endswith(':') and not line.startswith('\t'):
                path = line[:-1]
            m = re.match(r'^\t(\S+) => (?:(\S+) \(|not found)', line)
            if m and not MACHINES.match(m[1]) and not DRIVERS.match(m[1]):
                if not m[2]:
                    raise Wrong(f'{os.path.relpath(path, self.output)} needs {m[1]}, which is not installed')
                found.setdefault(m[1], m[2])
        return found

    def add_libraries(self):
        """What programs and libraries in the bundle are linked with, and what those are, as this machine's loader finds it."""
        cache = dict(re.findall(r'^\s(\S+) \(libc6,x86-64.*\) => (\S+)$', run(['/sbin/ldconfig', '-p']), re.M))
        wanted = {name: cache[name] for name in LOADED if name in cache}
        elves = [p for p in files_below(self.output) if is_elf(p) and '/sys/python/' not in p]
        wanted = {**self.needs([*elves, *wanted.values()]), **wanted}
        for name, path in sorted(wanted.items()):
            self.from_packages.append(path)
            self.copy(path, 'sys/lib', name)

    # --- checks

    def too_new(self, paths):
        """{path: versions of glibc that it needs and the oldest machine does not have}"""
        found, path, newest = {}, paths[0], version(self.glibc)
        for line in run(['readelf', '-V', '-W', *paths]).splitlines():
            if line.startswith('File: '):
                path = line[6:]
            m = re.search(r'Name: GLIBC_(\d+(?:\.\d+)+)', line)
            if m and version(m[1]) > newest:
                found.setdefault(path, set()).add(m[1])
        return found

    def check_symbols(self):
        wrong = self.too_new([p for p in files_below(self.output) if is_elf(p)])
        if wrong:
            names = sorted(wrong)
            text = '; '.join(f'{os.path.relpath(p, self.output)} needs glibc {max(wrong[p], key=version)}' for p in names[:8])
            more = f'; and {len(names) - 8} more' if len(names) > 8 else ''
            raise Wrong(f'newer than glibc {self.glibc}: {text}{more}; --glibc (for make: GPU_GLIBC=...) allows a newer one')

    def check_size(self, mib):
        sizes = {p: os.path.getsize(p) for p in files_below(self.output)}
        total = int(run(['du', '-sb', self.output]).split()[0])
        if total > mib << 20:
            big = sorted(sizes, key=sizes.get, reverse=True)[:8]
            raise Wrong(f'{total / 2**20:.1f} MiB, more than {mib}; the biggest: ' +
                        ', '.join(f'{os.path.relpath(p, self.output)} {sizes[p] / 2**20:.1f}' for p in big))
        return total

    def packages(self):
        """Names and versions of those that files were taken from."""
        asked = {p for path in self.from_packages for real in [os.path.realpath(path)] for p in (path, real, real.replace('/usr/lib/', '/lib/', 1))}
        r = subprocess.run(['dpkg', '-S', *sorted(asked)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        names = {line.split(': ')[0] for line in r.stdout.splitlines() if not line.startswith('diversion')}
        return run(['dpkg-query', '-W', '-f', '${Package} ${Version}\n', *sorted(names)]).splitlines() if names else []

    def write_facts(self):
        with open(self.at('bundle.json'), 'w') as f:
            json.dump({'xengpu': e2e.release(), 'commit': commit(), 'glibc': self.glibc, 'packages': self.packages(), 'lacking': self.lacking}, f,
                      indent=1)
            f.write('\n')

    def write_sums(self):
        """For stage.py, and for sha256sum -c: what a copy has lost."""
        lines = []
        for path in sorted(files_below(self.output)):
            with open(path, 'rb') as f:
                lines.append(f'{hashlib.sha256(f.read()).hexdigest()}  {os.path.relpath(path, self.output)}\n')
        with open(self.at('sha256sums'), 'w') as f:
            f.writelines(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default='build')
    parser.add_argument('--output', default='build/gpu')
    parser.add_argument('--glibc', default='2.35', help='the oldest on which all must run')
    parser.add_argument('--limit', type=int, default=60, metavar='MIB')
    args = parser.parse_args()
    output = os.path.abspath(args.output)
    new = output + '.new'
    shutil.rmtree(new, ignore_errors=True)
    bundle = Bundle(os.path.abspath(args.build), new, args.glibc)
    try:
        bundle.add_build()
        bundle.add_sources()
        bundle.add_programs()
        bundle.add_python()
        bundle.add_libraries()
        bundle.check_symbols()
        bundle.write_facts()
        bundle.write_sums()
        size = bundle.check_size(args.limit)
    except (Wrong, OSError) as e:
        print(f'bundle.py: {e}', file=sys.stderr)
        shutil.rmtree(new, ignore_errors=True)
        return 1
    shutil.rmtree(output, ignore_errors=True)
    os.rename(new, output)
    print(f'{args.output}: {size / 2**20:.1f} MiB; start {args.output}/run on the machine with the GPU')
    for text in bundle.lacking:
        print(f'not in it: {text}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
