#!/usr/bin/env python3
"""Makes the bundle: bundle.py --build DIR --output DIR [--glibc 2.35] [--limit MIB]

Out of a build, and of what is installed here from Debian packages; nothing is fetched. README.md tells the layout. What is in it must run
on a machine that has nothing but libc, a shell and the driver: no file needs a newer glibc than --glibc, and all is below --limit.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e  # noqa: E402

# Part of glibc, which must be the machine's, and of GCC's runtime: Debian 12's needs glibc 2.36, and there is hardly a machine without one.
MACHINES = re.compile(r'^(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libutil|libnsl|libanl|libstdc\+\+|libgcc_s)\.so\.|^linux-vdso')
# Found by the driver's or our own side of it, not in Debian's packages.
DRIVERS = re.compile(r'^lib(cuda|cudart|xengpu[^.]*|EGL_xengpu|GLX_xengpu)\.so')
PROGRAMS = ('Xvfb', 'xkbcomp', 'glxgears', 'glmark2', 'glmark2-es2')
LOADED = ('libEGL.so.1', 'libGLX.so.0', 'libGL.so.1', 'libGLESv2.so.2', 'libOpenGL.so.0')  # by name at run time
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


def is_elf(path):
    with open(path, 'rb') as f:
        return f.read(4) == b'\x7fELF'


def files_below(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if not os.path.islink(path):
                yield path


class Bundle:
    def __init__(self, build, output):
        self.build, self.output, self.packages = build, output, set()
        self.lacking = []

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

    def note_package(self, path):
        """Which package a file is from, for the list in the bundle."""
        for p in (path, os.path.realpath(path), os.path.realpath(path).replace('/usr/lib/', '/lib/', 1)):
            r = subprocess.run(['dpkg', '-S', p], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
            if r.returncode == 0:
                self.packages.add(r.stdout.split(': ')[0].split(',')[0])
                return

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
                    'exec python3 "$build/../bench/xengpu_bench.py" --build "$build" "$@"\n')
        if not any(p.endswith('.nvcc') for p in files_below(self.at('build/tests/programs'))):
            self.lacking.append('the programs of nvcc (*.nvcc, *.fatbin): nvcc is not installed here')

    def add_sources(self):
        for name in SOURCES:
            path = os.path.join(ROOT, name)
            if os.path.isdir(path):
                self.copy_tree(path, name, skip=lambda n: '__pycache__' in n or n.startswith(('results/', 'programs/')) or n.endswith(('.mk', 'bundle.py')))
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
            self.note_package(path)
            self.copy(path, 'sys/bin', name)
        for name, path in DATA.items():
            self.copy_tree(path, 'sys/share', name)

    def add_libraries(self):
        """What programs and libraries in the bundle are linked with, and what those are, as this machine's loader finds it."""
        wanted = {}
        cache = dict(re.findall(r'^\s(\S+) \(libc6,x86-64.*\) => (\S+)$', run(['/sbin/ldconfig', '-p']), re.M))
        for name in LOADED:
            if name not in cache:
                raise Wrong(f'{name} is not installed')
            wanted[name] = cache[name]
        starts = [p for p in files_below(self.output) if is_elf(p) and '/sys/lib/' not in p]
        for path in [*starts, *wanted.values()]:
            for name, _, where in re.findall(r'^\s*(\S+) => ((\S+) \(|not found)', run(['ldd', path]), re.M):
                if not MACHINES.match(name) and not DRIVERS.match(name):
                    if not where:
                        raise Wrong(f'{os.path.relpath(path, self.output)} needs {name}, which is not installed')
                    wanted.setdefault(name, where)
        for name, path in sorted(wanted.items()):
            self.note_package(path)
            self.copy(path, 'sys/lib', name)

    # --- checks

    def check_symbols(self, glibc):
        """No file may need a symbol of a newer glibc."""
        newest = tuple(map(int, glibc.split('.')))
        elves = [p for p in files_below(self.output) if is_elf(p)]
        wrong = []
        for path in elves:
            for version in set(re.findall(r'Name: GLIBC_(\d+(?:\.\d+)+)', run(['readelf', '-V', '-W', path]))):
                if tuple(map(int, version.split('.'))) > newest:
                    wrong.append(f'{os.path.relpath(path, self.output)} needs glibc {version}')
        if wrong:
            raise Wrong(f"newer than glibc {glibc}: {'; '.join(sorted(wrong))}")

    def check_size(self, mib):
        sizes = {p: os.path.getsize(p) for p in files_below(self.output)}
        total = int(run(['du', '-sb', self.output]).split()[0])
        if total > mib << 20:
            big = sorted(sizes, key=sizes.get, reverse=True)[:8]
            raise Wrong(f'{total / 2**20:.1f} MiB, more than {mib}; the biggest: ' +
                        ', '.join(f'{os.path.relpath(p, self.output)} {sizes[p] / 2**20:.1f}' for p in big))
        return total

    def write_facts(self, glibc):
        packages = run(['dpkg-query', '-W', '-f', '${Package} ${Version}\n', *sorted(self.packages)]).splitlines() if self.packages else []
        with open(self.at('bundle.json'), 'w') as f:
            json.dump({'xengpu': e2e.release(), 'glibc': glibc, 'packages': packages, 'lacking': self.lacking}, f, indent=1)
            f.write('\n')


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
    bundle = Bundle(os.path.abspath(args.build), new)
    try:
        bundle.add_build()
        bundle.add_sources()
        bundle.add_programs()
        bundle.add_libraries()
        bundle.check_symbols(args.glibc)
        bundle.write_facts(args.glibc)
        size = bundle.check_size(args.limit)
    except (Wrong, OSError) as e:
        print(f'bundle.py: {e}', file=sys.stderr)
        return 1
    shutil.rmtree(output, ignore_errors=True)
    os.rename(new, output)
    print(f'{args.output}: {size / 2**20:.1f} MiB; start {args.output}/run on the machine with the GPU')
    for text in bundle.lacking:
        print(f'not in it: {text}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
