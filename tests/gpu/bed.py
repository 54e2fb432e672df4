"""What a step stands on: e2e.Bed with the bundle's build, the libraries that this machine lacks, and the device that is there.

bed.gpu             True where an NVIDIA driver works; else softcuda and Mesa are the devices
bed.cuda            what the driver says of itself and its devices (cuda_facts.py)
bed.root            the bundle's root, as ROOT of a source tree
bed.program(NAME)   the path of a test program; a BedError if it is not in the bundle (those of nvcc: NAME.nvcc)
bed.python          the machine's own python3, or None
bed.left()          seconds until the step is ended; less than its limit if all steps together have taken long
bed.config(TEXT)    a configuration file for the daemon with these sections, and what the machine's device needs
"""
import glob
import json
import os
import shutil
import time

import e2e
import stacks
import stage

SANDBOX_FAILS = 'sandbox-fails'  # a file beside stage.json
VENDORS = ('__EGL_VENDOR_LIBRARY_FILENAMES', '__GLX_VENDOR_LIBRARY_NAME')
MESA_FOLDERS = ('/usr/lib/x86_64-linux-gnu/dri', '/usr/lib64/dri', '/usr/lib/dri')


class GpuBed(e2e.Bed):
    def __init__(self, build=None):
        self.root = e2e.ROOT
        super().__init__(build or os.environ.get('XG_BUILD') or os.path.join(self.root, 'build'))
        path = os.environ.get('XG_STAGE')
        if path:
            with open(path) as f:
                self.stage = json.load(f)
        else:
            self.stage = stage.in_place()
        self.gpu, self.cuda = self.stage['gpu'], self.stage['cuda']
        for name in ('PYTHONPATH', 'XG_PYTHON_LIBRARIES', 'XG_LIBRARY_PATH'):
            self.env.pop(name, None)
        if self.stage['libraries']:
            self.env['LD_LIBRARY_PATH'] = ':'.join(self.stage['libraries'])
        # For programs on the device itself; the daemon forgets it, and guests must not have it.
        for name, value in zip(VENDORS, (self.stage['egl_vendor'], self.stage['glx_vendor'])):
            self.env.pop(name, None)
            if value:
                self.env[name] = value
        self.python = shutil.which('python3')
        self.report = None  # where details go

    def at_limit(self, p):
        """Where the program's threads are, and its workers'."""
        if not self.report:
            return
        pids = []
        for entry in filter(str.isdigit, os.listdir('/proc')):
            try:
                if os.getpgid(int(entry)) == p.pid:
                    pids.append(int(entry))
            except OSError:
                pass
        try:
            guests = self.list()['guests'] if self.daemon_process else []
        except (e2e.BedError, ValueError):
            guests = []
        workers = [c['worker'] for g in guests for c in g['channels'] if c['pid'] in pids and c['worker']]
        self.report.log(f"{' '.join(map(os.path.basename, p.args))} does not end:\n{stacks.text_of(pids + workers)}")

    def as_guest(self, name, command):
        unset = [word for v in VENDORS if v in self.env for word in ('-u', v)]
        return [*(['env', *unset] if unset else []), *super().as_guest(name, command)]

    def direct_env(self, program):
        b = self.build_of(program)
        if not self.gpu:
            ours = [f'{b}/lib/softcuda', f'{b}/lib']
        else:  # the system's libcuda.so.1, and our runtime for programs that want one
            ours = [os.path.join(self.tmp, 'runtime')]
            os.makedirs(ours[0], exist_ok=True)
            for lib in os.listdir(f'{b}/lib'):
                if lib.startswith('libcudart.so.') and not os.path.lexists(os.path.join(ours[0], lib)):
                    os.symlink(f'{b}/lib/{lib}', os.path.join(ours[0], lib))
        return {'LD_LIBRARY_PATH': ':'.join(ours + self.stage['libraries'])}

    def xvfb(self, size='1280x1024'):
        """With GLX also where the server finds no driver of Mesa's: tests/tools/libglx_only.c."""
        if not any(glob.glob(f'{d}/swrast_dri.so') for d in MESA_FOLDERS):
            folder = os.path.join(self.tmp, 'dri')
            os.makedirs(folder, exist_ok=True)
            if not os.path.lexists(f'{folder}/swrast_dri.so'):
                os.symlink(self.program('libglx_only.so'), f'{folder}/swrast_dri.so')
            self.env['LIBGL_DRIVERS_PATH'] = folder
        try:
            return super().xvfb(size)
        finally:
            self.env.pop('LIBGL_DRIVERS_PATH', None)

    def program(self, name):
        for folder in ('tests/programs', 'bench/programs', 'tests/tools'):
            path = os.path.join(self.build, folder, name)
            if os.path.exists(path):
                return path
        raise e2e.BedError(f'{name} is not in the bundle' + (': it was made without nvcc' if name.endswith('.nvcc') else ''))

    def sandbox_fails(self):
        """The step `sandbox` found that this driver does not work in it; what the others have to tell is told without it."""
        path = os.environ.get('XG_STAGE')
        return path is not None and os.path.exists(os.path.join(os.path.dirname(path), SANDBOX_FAILS))

    def left(self):
        return float(os.environ.get('XG_UNTIL', 'inf')) - time.monotonic()

    def config(self, text=''):
        """`text` may have any sections but [pgpu gpu0]."""
        path = os.path.join(self.tmp, f'xengpud-{len(os.listdir(self.tmp))}.conf')
        with open(path, 'w') as f:
            f.write(f'{text}\n[pgpu gpu0]\n')
            if self.stage['egl_vendor']:
                f.write(f"egl-vendor = {self.stage['egl_vendor']}\n")
        return path

    def daemon(self, args=()):
        if '--config' not in args:
            args = ['--config', self.config(), *args]
        if self.sandbox_fails() and not any('sandbox' in a for a in args):
            args = ['--sandbox=report', *args]
        return super().daemon(args)
