#!/usr/bin/env python3
"""make xen-check: boots Xen in QEMU with a Debian Dom0 and two guests, runs the cases there, ends with "N passed, N failed".

run.py [--build DIR] [--limit SECONDS] [--list] [NAME...]

NAME is the start of a case's name in tests/xen/cases; with no NAME all run. What all of them said lies in DIR/xen/shared afterwards.
See tests/xen/README.md.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, 'lib'))
import speed  # noqa: E402

# Seconds. An idle machine takes 50 to boot, and half of LIMIT for everything.
LIMIT = 1080        # for all that happens in QEMU, however busy this machine is
QUIET = 360         # without a verdict or any other news
STAGES = {          # of the boot: its limit on a machine that does nothing else, and at most
    'dom0': ('Dom0 is not up', 120, 360),
    'guests': ('the guests are not up', 200, 500),
}
IMAGE_LIMIT = 1200  # for making the image, once
HEARTBEAT = 60      # between signs of life
MEMORY, DOM0 = 5120, 2560   # MiB


def say(text):
    print(text, flush=True)


def make_payload(build, path, installed):
    """A disk with what was built, and the scripts of this folder: small, made anew for each run. `installed`: what `make install` makes
    of it, too."""
    tree = path + '.tree'
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    for name in ('bin', 'lib', 'tests/programs', 'tests/kernels'):
        shutil.copytree(os.path.join(build, name), os.path.join(tree, name), symlinks=True, ignore=shutil.ignore_patterns('*.o', '*.d'))
    for name in ('boot', 'lib', 'cases'):
        shutil.copytree(os.path.join(HERE, name), os.path.join(tree, 'xen', name), ignore=shutil.ignore_patterns('__pycache__'))
    for contract in (f'{ROOT}/tests/lib/layout.py', f'{build}/gen/layout.txt'):
        shutil.copy(contract, os.path.join(tree, 'xen/lib'))
    for script in os.listdir(os.path.join(tree, 'xen/boot')):
        os.chmod(os.path.join(tree, 'xen/boot', script), 0o755)
    if installed:
        subprocess.run(['make', '-C', ROOT, '--no-print-directory', f'BUILD={os.path.relpath(build, ROOT)}', f'DESTDIR={tree}/installed',
                        'install'], check=True, stdout=subprocess.DEVNULL)
    size = int(subprocess.check_output(['du', '-sm', tree]).split()[0])
    if os.path.exists(path):
        os.unlink(path)
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-E', 'root_owner=0:0', '-d', tree, path,
                    f'{size * 11 // 10 + 16}M'], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)


def qemu_command(images, payload, logs):
    # With SMAP, Dom0 dies under emulation in create_bounce_frame; with AVX, programs lose the upper halves of registers now and then
    # when Xen switches between domains.
    drive = 'if=virtio,format=raw,readonly=on,file='
    cpu = 'max,-smap,-smep,-pku,-la57,-avx,-avx2,-f16c,-fma,-xsave,-xsaveopt,-xsavec,-xgetbv1'
    xen = f'dom0_mem={DOM0}M,max:{DOM0}M dom0_max_vcpus=2 console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all conring_size=2M ' \
        'spec-ctrl=no xpti=no'
    return ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', cpu, '-m', str(MEMORY), '-smp', '2', '-nodefaults',
            '-display', 'none', '-no-reboot', '-serial', f'file:{logs}/serial.log', '-kernel', f'{images}/xen', '-append', xen,
            '-initrd', f'{images}/vmlinuz console=hvc0 quiet mitigations=off,{images}/initrd.gz',
            '-drive', f'{drive}{images}/root.img', '-drive', f'{drive}{payload}',
            '-virtfs', f'local,path={logs},mount_tag=logs,security_model=none']


class Vm:
    def __init__(self, command, logs):
        self.logs, self.measured_at = logs, 0
        self.progress = os.path.join(logs, 'progress')
        open(self.progress, 'w').close()
        self.place = 0
        with open(os.path.join(logs, 'qemu.log'), 'w') as f:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True,
                                            preexec_fn=die_with_parent)
        self.meter = speed.Meter(self.process.pid)

    def measure(self):
        """Once a second Dom0 is told what processor time QEMU had."""
        if time.monotonic() - self.measured_at > 1:
            self.measured_at = time.monotonic()
            self.meter.publish(self.logs)

    def had(self):
        """The part that QEMU had of the processor time that it wanted so far."""
        return speed.had((0, 0), self.meter.read())

    def news(self):
        """What Dom0 has told since the last look."""
        with open(self.progress) as f:
            f.seek(self.place)
            text = f.read()
        whole = text[:text.rfind('\n') + 1]
        self.place += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def stop(self):
        self.process.kill()
        self.process.wait()


def die_with_parent():
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Report:
    def __init__(self, total, slow):
        self.total, self.running, self.since, self.done = total, None, 0, {}
        self.slow, self.stage, self.told_at = slow, 'dom0', time.monotonic()

    def say(self, text):
        self.told_at = time.monotonic()
        say(f'{time.monotonic() - START:5.0f} s: {text}')

    def take(self, news):
        self.slow = max(self.slow, news.get('slow', 0))
        self.stage = news.get('stage', self.stage)
        if 'say' in news:
            self.say(news['say'])
        elif 'passed' in news:
            self.verdict(news['case'], news['passed'], news['seconds'], news['text'], news['notes'])
        elif 'case' in news:
            self.running, self.since = news['case'], time.monotonic()

    def heartbeat(self, had):
        if time.monotonic() - self.told_at > HEARTBEAT:
            what = f'xen/{self.running} has run for {time.monotonic() - self.since:.0f} s' if self.running else STAGES[self.stage][0] + ' yet' \
                if self.stage in STAGES else 'between two cases'
            self.say(f'{what}; {speed.words(had)}')

    def verdict(self, name, passed, seconds, text='', notes=()):
        self.running, self.told_at = None, time.monotonic()
        self.done[name] = passed
        say(f'[{len(self.done):3}/{self.total}] {"ok" if passed else "FAILED":7} {seconds:6.1f} s  xen/{name}')
        for line in notes:
            say(f'    {line}')
        for line in text.splitlines():
            say(f'    | {line}')


def too_long(report, had, limit, quiet, given):
    """Why this must end now, or ''. `quiet`: since when nothing has happened; `given`: the factor asked for."""
    elapsed, why = time.monotonic() - START, ''
    if report.stage in STAGES:
        what, usual, most = STAGES[report.stage]
        allowed = min(usual * max(1 / max(had, 0.01), report.slow / given), most) * given
        if time.monotonic() - quiet > allowed:
            why = f'{what} after {allowed:.0f} s'
    elif time.monotonic() - quiet > QUIET * report.slow:
        why = f'nothing has happened for {QUIET * report.slow:.0f} s'
    if elapsed > limit:
        why = f'the limit of {limit:.0f} s for the whole run is reached'
    if not why:
        return ''
    if had < speed.BUSY:
        return f'{why}. {speed.words(had)}: this machine is too busy with other things. Run it again when it is not, or with XG_XEN_SLOW=4'
    return f'{why}, although this machine was free: {speed.words(had)}'


def run(vm, report, limit, given):
    """Until Dom0 says that it is done; otherwise why it did not."""
    last = time.monotonic()
    while True:
        ended = vm.process.poll() is not None
        for news in vm.news():
            last = time.monotonic()
            if 'end' in news:
                return ''
            report.take(news)
        if ended:
            return 'QEMU ended before the cases did'
        vm.measure()
        had = vm.had()
        if why := too_long(report, had, limit, last, given):
            return why
        report.heartbeat(had)
        time.sleep(0.1)


def make_images():
    """The folder that image.sh prints, or None."""
    p = subprocess.Popen([os.path.join(HERE, 'image.sh')], stdout=subprocess.PIPE, text=True, start_new_session=True)
    out, start = '', time.monotonic()
    try:
        while True:
            try:
                out, _ = p.communicate(timeout=HEARTBEAT)
                break
            except subprocess.TimeoutExpired:
                say(f'{time.monotonic() - start:5.0f} s: no image yet: it is being made, perhaps by another run')
            if time.monotonic() - start > IMAGE_LIMIT:
                say(f'run.py: no image after {IMAGE_LIMIT} s')
                break
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGTERM)
            p.wait()
    return out.strip() if p.returncode == 0 else None


def tail(path, lines):
    try:
        with open(path, errors='replace') as f:
            return f.read().splitlines()[-lines:]
    except OSError:
        return []


def says(name, line):
    """Whether a case has this line among its comments."""
    with open(os.path.join(HERE, 'cases', name + '.py')) as f:
        return f'# {line}\n' in f.readlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help="start of a case's name")
    parser.add_argument('--build', default=os.path.join(ROOT, 'build'))
    parser.add_argument('--limit', type=int, default=LIMIT, help='seconds for all that happens in QEMU, however busy this machine is')
    parser.add_argument('--slow', type=float, default=float(os.environ.get('XG_XEN_SLOW') or 1), metavar='FACTOR',
                        help='multiplies every limit, for a machine that is busy with other things ($XG_XEN_SLOW)')
    parser.add_argument('--list', action='store_true', help='names only')
    args = parser.parse_args()
    wanted = tuple(n.removeprefix('xen/') for n in args.names)
    names = sorted(n[:-3] for n in os.listdir(os.path.join(HERE, 'cases')) if n.endswith('.py'))
    names = [n for n in names if (n.startswith(wanted) if wanted else not says(n, 'on request'))]
    if args.list:
        say('\n'.join(names))
        return 0
    if not names:
        say('run.py: no case is called that')
        return 2

    images = make_images()
    if not images:
        say(f'0 passed, {len(names)} failed')
        return 1
    logs = os.path.join(os.path.abspath(args.build), 'xen')
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(os.path.join(logs, 'shared'))
    payload = os.path.join(logs, 'payload.img')
    make_payload(args.build, payload, any(says(n, 'installed') for n in names))
    shared = os.path.join(logs, 'shared')
    with open(os.path.join(shared, 'wanted'), 'w') as f:
        json.dump({'names': names, 'slow': args.slow}, f)

    global START
    START = time.monotonic()
    report = Report(len(names), args.slow)
    vm = Vm(qemu_command(images, payload, shared), shared)
    say(f'Xen boots; a verdict comes within {args.limit * args.slow / 60:.0f} minutes; logs are in {os.path.relpath(shared)}')
    try:
        why = run(vm, report, args.limit * args.slow, args.slow)
    finally:
        vm.stop()
    if why:
        say(f'run.py: {why}')
        for name in ('serial.log', 'dom0.log', 'xengpud.log'):
            for line in tail(os.path.join(shared, name), 15):
                say(f'    | {name}: {line}')
    for name in names:
        if name not in report.done:
            text = f'it had run for {time.monotonic() - report.since:.0f} s' if name == report.running else 'it was not begun'
            report.verdict(name, False, 0, f'no verdict: {text} when the run ended')
    failed = [n for n in names if not report.done[n]]
    for name in failed:
        say(f'failed: xen/{name}')
    say(f'{time.monotonic() - START:.0f} s in QEMU')
    say(f'{len(names) - len(failed)} passed, {len(failed)} failed')
    return 1 if failed else 0


START = time.monotonic()
if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
