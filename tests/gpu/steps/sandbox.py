"""What a worker's sandbox refuses that the driver asks for, and whether programs work in it."""
import os
import re
import subprocess
import sys

import e2e

from bed import SANDBOX_FAILS
from report import ABSENT, FAILED, NOTE, OK

LIMIT = 60
QUICK = 25
# Loading and compiling kernels late, threads, memory of every kind; EGL, frames, shaders.
PROGRAMS = (('cuda_vectoradd', ()), ('cuda_module', ()), ('cuda_managed', ()), ('cuda_streams', ()), ('cuda_hostfunc', ()),
            ('cuda_print', ()), ('gl_frames', ('3',)), ('gl_modern', ()), ('gl_es', ()))
QUICK_PROGRAMS = PROGRAMS[:1] + PROGRAMS[7:8]
REFUSED = re.compile(r'\(worker \d+\): the sandbox refuses (system call \S+ \(\d+\))(, arguments .*)')
REPORTED = re.compile(r'\(worker \d+\): sandbox report: (.*)')
NOBODY = 65534
BECOME = 'import os, sys; u = int(sys.argv[1]); os.setgroups([]); os.setgid(u); os.setuid(u); os.execv(sys.argv[2], sys.argv[2:])'
NAMED = re.compile(r'\(worker \d+\): (refused system calls are not named .*|this kernel has no Landlock.*)')


def programs(bed, chosen):
    """{name: why it failed, or ''} as a guest of the daemon that runs; those of an API that is not there are left out."""
    e2e.wait_for(lambda: bed.list()['pgpus'][0]['ready'], bed.left() if bed.left() < 30 else 30, 'the daemon finds no device')
    there = bed.list()['pgpus'][0]
    found = {}
    for name, arguments in chosen:
        if not there['cuda' if name.startswith('cuda') else 'gl'] or bed.left() < 4:
            continue
        r = bed.guest('sandboxed', [bed.program(name), *arguments], timeout=min(20, bed.left()))
        found[name] = '' if r.returncode == 0 else f'status {r.returncode}: {r.stderr.strip()[-300:]}'
    return found


def lines(bed, pattern, since):
    """What the pattern finds in the log, each once, in order."""
    return list(dict.fromkeys(m for m in pattern.findall(bed.log_text()[since:])))


def round_of(bed, report, chosen, *args):
    since = len(bed.log_text())
    daemon = bed.daemon(list(args))
    found = programs(bed, chosen)
    bed.stop(daemon)
    report.log(bed.log_text()[since:])
    return found, since


def as_nobody(bed, report):
    """Root tries an ordinary user's daemon too: its workers are that user's, alone in namespaces where the machine allows it."""
    home = os.path.join(bed.tmp, 'nobody')
    os.makedirs(home)
    os.chown(home, NOBODY, NOBODY)
    daemon = bed.start([sys.executable, '-c', BECOME, str(NOBODY), f'{bed.build}/bin/xengpud', '--local', '--socket-dir', home, '--config', bed.config()],
                       {'HOME': home, 'XDG_RUNTIME_DIR': home}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    tool = f'{bed.build}/bin/xengpu'
    e2e.wait_for(lambda: bed.run([tool, 'list', '--socket-dir', home]).returncode == 0, 15, "nobody's daemon does not answer")
    sockets, bed.sockets = bed.sockets, home
    r = bed.guest('sandboxed', [bed.program('cuda_vectoradd')], timeout=min(25, max(1, bed.left())))
    bed.sockets = sockets
    bed.stop(daemon)
    said = daemon.stdout.read()
    report.log(said)
    report.result('ordinary user', OK if r.returncode == 0 else FAILED, 'cuda_vectoradd with a daemon that is not root\'s' if r.returncode == 0 else
                  f'status {r.returncode}: {r.stderr.strip()[-200:]}')
    for call, arguments in dict.fromkeys(REFUSED.findall(said)):
        report.result('refused', NOTE, f"with an ordinary user's daemon: {call}{arguments}")


def run(bed, report, quick):
    chosen = QUICK_PROGRAMS if quick else PROGRAMS
    report.result('user', NOTE, "root: workers become users of their own" if os.geteuid() == 0 else "not root: workers are this user's, as the daemon is")
    strict, since = round_of(bed, report, chosen)
    refused = lines(bed, REFUSED, since)
    for text in lines(bed, NAMED, since):
        report.result('kernel', NOTE, text)
    free, since = round_of(bed, report, chosen, '--sandbox=report')
    reported = lines(bed, REPORTED, since)
    if not strict:
        report.result('programs', ABSENT, 'no device was found; the log of the daemon is in report.json')
    broken = [name for name in strict if strict[name] and not free.get(name)]
    for name, why in strict.items():
        if not why:
            report.result(name, OK, 'works in the sandbox')
        elif name in broken:
            report.result(name, FAILED, f'works outside the sandbox alone: {why}')
        else:
            report.result(name, FAILED, f'fails outside the sandbox too, so it is not that: {free.get(name) or why}')
    for call, arguments in refused:
        report.result('refused', FAILED if broken else NOTE, call + arguments)
    for text in reported:
        report.result('would be refused', FAILED if broken else NOTE, text)
    if not refused and not reported:
        report.result('refused', OK, 'no system call and no file')
    if os.geteuid() == 0 and not quick and e2e.others_reach(bed.build):
        as_nobody(bed, report)
    if broken and bed.gpu:
        with open(os.path.join(os.path.dirname(os.environ['XG_STAGE']), SANDBOX_FAILS), 'w') as f:
            f.write(' '.join(broken))
        report.result('the steps after this one', NOTE, 'run without the sandbox (sandbox = report)')
