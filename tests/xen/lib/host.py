"""Dom0 itself: commands, xenstore, the daemon, and what Xen's own tools say about who holds what."""
import collections
import json
import os
import re
import signal
import subprocess
import threading
import time

HOUSE = '/opt/xengpu'
PROGRAMS, KERNELS = f'{HOUSE}/tests/programs', f'{HOUSE}/tests/kernels'
LOGS = os.environ.get('XG_LOGS', '/logs')
START = time.monotonic()
SLOW = 1.0      # all limits are multiplied by this
lock = threading.Lock()


class HostError(Exception):
    """A command in Dom0 failed that the harness stands on."""


def log(text):
    with lock, open(f'{LOGS}/dom0.log', 'a') as f:
        f.write(f'[{time.monotonic() - START:7.2f}] {text}\n')


def run(argv, timeout=60, env=None, check=True, status=False):
    """What it said on both streams; its exit status too if `status`."""
    timeout *= SLOW
    try:
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False,
                           env=dict(os.environ, **(env or {})))
    except subprocess.TimeoutExpired as e:
        raise HostError(f'{argv}: no end after {timeout} s: {e.stdout}') from None
    out = p.stdout.decode('utf-8', 'backslashreplace')
    if status:
        return p.returncode, out
    if check and p.returncode:
        raise HostError(f'{argv} ended with {p.returncode}: {out[-2000:]}')
    return out


def wait_for(condition, seconds, what):
    """The first true value of condition()."""
    until = time.monotonic() + seconds * SLOW
    while True:
        v = condition()
        if v:
            return v
        if time.monotonic() > until:
            raise HostError(f'{what() if callable(what) else what}: not within {seconds} s')
        time.sleep(0.05)


def direct(argv, timeout=120, env=None):
    """A program of ours on Dom0's own device: (status, what it said)."""
    ours = {'LD_LIBRARY_PATH': f'{HOUSE}/lib/softcuda:{HOUSE}/lib', 'XG_KERNELS': KERNELS}
    return run(argv, timeout, dict(ours, **(env or {})), status=True)


# --- xenstore -----------------------------------------------------------------------------------------------------------------------

def store_read(path):
    p = subprocess.run(['xenstore-read', path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return p.stdout.decode().rstrip('\n') if p.returncode == 0 else ''


def store_nodes():
    """Every node of the store."""
    return [line.split(' = ', 1)[0] for line in run(['xenstore-ls', '-f']).splitlines()]


# --- what Xen itself says -----------------------------------------------------------------------------------------------------------

def debug_key(key, last):
    """What the hypervisor prints for a debug key; `last`: a pattern of what it ends with."""
    run(['xl', 'dmesg', '-c'])
    run(['xl', 'debug-keys', key])
    text = ''
    for _ in range(100):
        text += run(['xl', 'dmesg', '-c'])
        if re.search(last, text):
            return text
        time.sleep(0.05)
    raise HostError(f'debug key {key}: no end: {text[-1000:]}')


def grants():
    """{domain: number of its grants that somebody has mapped}, by Xen's debug key g."""
    count, dom = {}, None
    for line in debug_key('g', r'gnttab_usage_print_all \]').splitlines():
        m = re.search(r'grant-table for remote d(?:om:)?\s*(\d+)', line)
        if m:
            dom = int(m[1])
            count.setdefault(dom, 0)
        elif dom is not None and re.search(r'\[\s*(?:0x)?[0-9a-f]+\]\s+\d+\s+0x', line):
            count[dom] += 1
    return count


def event_channels():
    """{domain: [line of each event channel that is not free]}, by Xen's debug key e."""
    ports, dom = {}, None
    text = debug_key('e', r'Event channel information for domain 0:[\s\S]*\d+ \[')
    for line in text.splitlines():
        m = re.search(r'Event channel information for domain (\d+)', line)
        if m:
            dom = int(m[1])
            ports[dom] = []
        elif dom is not None and (m := re.search(r'(\d+) \[[^]]*\]: (s=.*)', line)):
            ports[dom].append(f'{m[1]} {m[2]}')
    return ports


# --- xengpud ------------------------------------------------------------------------------------------------------------------------

class Daemon:
    """xengpud --xen. Its log is xengpud.log."""

    def __init__(self):
        self.process = None

    def start(self, *options, seconds=60):
        with open(f'{LOGS}/xengpud.log', 'ab') as f:
            self.process = subprocess.Popen([f'{HOUSE}/bin/xengpud', '--xen', *options], stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                            start_new_session=True)
        wait_for(lambda: self.process.poll() is not None or self.tool('list', '--json', check=False).startswith('{'), seconds,
                 'xengpud does not answer')
        if self.process.poll() is not None:
            raise HostError(f'xengpud ended with {self.process.returncode}; see xengpud.log')
        wait_for(lambda: all(p['ready'] for p in self.list()['pgpus']), seconds, 'the devices are not ready')

    def stop(self, sig=signal.SIGTERM, seconds=20):
        self.process.send_signal(sig)
        self.process.wait(seconds)
        return self.process.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)

    def running(self):
        return self.process is not None and self.process.poll() is None

    @staticmethod
    def tool(*args, check=True, timeout=60):
        return run([f'{HOUSE}/bin/xengpu', *args], check=check, timeout=timeout)

    def list(self):
        return json.loads(self.tool('list', '--json'))

    def guest(self, name):
        return next((g for g in self.list()['guests'] if g['name'] == name), None)

    def channels(self, name):
        g = self.guest(name)
        return g['channels'] if g else []

    def attach(self, guest, *options):
        """The device for a guest. On a slow machine its agent may need longer than the tool waits: see connected()."""
        self.tool('attach', guest.name, *options, check=False)

    def connected(self, guest):
        """Returns when both ends are."""
        wait_for(lambda: (self.guest(guest.name) or {}).get('state') == 'connected', 60,
                 lambda: f'{guest.name} is not connected: {self.guest(guest.name)}')

    def detach(self, guest):
        self.tool('detach', guest.name)

    def pids(self):
        """The daemon and all that descend from it."""
        children, found = {}, [self.process.pid]
        for p in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{p}/stat') as f:
                    children.setdefault(int(f.read().rsplit(')', 1)[1].split()[1]), []).append(int(p))
            except OSError:
                pass
        for p in found:
            found += children.get(p, [])
        return found


def descriptors(pid):
    return sorted(link(f'/proc/{pid}/fd/{n}') for n in os.listdir(f'/proc/{pid}/fd'))


def link(path):
    try:
        return re.sub(r'\[\d+\]|(?<=/xengpud-)\d+', '', os.readlink(path))  # numbers of sockets; of the daemon, in control groups
    except OSError:
        return '?'


def memory_kib(pid):
    """What a process has of its own: resident anonymous memory."""
    with open(f'/proc/{pid}/status') as f:
        return int(re.search(r'RssAnon:\s+(\d+)', f.read())[1])


class Holdings:
    """What there is to leak, counted at one moment: by Xen, by xenstore, by Dom0's kernel. Domains go by their names."""

    def __init__(self, daemon):
        names = {int(line.split()[1]): line.split()[0] for line in run(['xl', 'list']).splitlines()[1:]}
        self.grants = {names.get(k, f'domain {k}'): v for k, v in grants().items() if v}
        self.ports = {names.get(k, f'domain {k}'): len(v) for k, v in event_channels().items()}
        # Without xl's notes of how a domain was made: of one that was restored it has fewer.
        self.nodes = sorted(self.neutral(n, names) for n in store_nodes() if not n.startswith('/vm/'))
        pids = daemon.pids()
        self.processes = sorted(comm(p) for p in pids)
        self.descriptors = sorted((comm(p), tuple(descriptors(p))) for p in pids)
        self.memory = sum(memory_kib(p) for p in pids)

    @staticmethod
    def neutral(node, names):
        node = re.sub(r'[0-9a-f]{8}-[0-9a-f-]{27}', 'UUID', node)
        return '/'.join(names.get(int(w), w) if w.isdigit() and int(w) else w for w in node.split('/'))

    def numbers(self):
        return {'mapped grants': self.grants, 'event channels': self.ports, 'nodes': len(self.nodes),
                'descriptors': {c: len(d) for c, d in self.descriptors}}

    def differences(self, before):
        """What is not as it was before, in words; memory is for the case to judge."""
        pairs = (('mapped grants', before.grants, self.grants), ('event channels', before.ports, self.ports),
                 ('processes', before.processes, self.processes), ('descriptors', before.descriptors, self.descriptors))
        found = [f'{what}: {a} before, {b} now' for what, a, b in pairs if a != b]
        if self.nodes != before.nodes:
            found.append(f'nodes gone: {minus(before.nodes, self.nodes)}, new: {minus(self.nodes, before.nodes)}')
        return found


def minus(a, b):
    return sorted((collections.Counter(a) - collections.Counter(b)).elements())


def comm(pid):
    with open(f'/proc/{pid}/comm') as f:
        return f.read().strip()


def alive(pid):
    return os.path.exists(f'/proc/{pid}')
