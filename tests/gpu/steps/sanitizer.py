"""compute-sanitizer over a small program: directly it works, in a guest it cannot, and must not seem to."""
import glob
import os
import re
import shutil

from report import ABSENT, FAILED, NOTE, OK

LIMIT = 45
QUICK = 15

NAME = 'compute-sanitizer'
FOLDERS = ('/usr/local/cuda/bin', '/usr/local/cuda-*/bin', '/opt/cuda/bin', '/usr/local/cuda*/compute-sanitizer',
           '/opt/nvidia/*/bin', '/opt/nvidia/nsight-compute/*/host/*/sanitizer')
SUMMARY = re.compile(r'ERROR SUMMARY: (\d+) error')


def find(path):
    found = shutil.which(NAME, path=path)
    return found or next((f for folder in FOLDERS for f in sorted(glob.glob(f'{folder}/{NAME}')) if os.access(f, os.X_OK)), None)


def said(run):
    """What it says of itself, without the program's own output; at most a few lines of it."""
    lines = [line.lstrip('= ') for line in (run.stdout + run.stderr).splitlines() if line.startswith('=====')]
    other = [line for line in run.stderr.splitlines() if not line.startswith('=====')]
    return f'status {run.returncode}: ' + ('; '.join(line for line in lines if line)[:300] or '; '.join(other)[-300:] or 'nothing')


def errors(run):
    """How many it counted, or None."""
    m = SUMMARY.search(run.stdout + run.stderr)
    return int(m[1]) if m else None


def directly(bed, report, tool, program):
    r = bed.direct([tool, '--error-exitcode', '99', program], bed.direct_env(program), timeout=18)
    report.log(f'directly:\n{r.stdout[-4000:]}\n{r.stderr[-4000:]}')
    report.result('directly', OK if r.returncode == 0 and errors(r) == 0 else FAILED, said(r))


def as_guest(bed, report, tool, program):
    """No tool can look into a worker from the guest. It has to say that it saw nothing; a summary without errors would be a lie."""
    r = bed.guest('one', [tool, '--error-exitcode', '99', program], timeout=18)
    report.log(f'as a guest:\n{r.stdout[-4000:]}\n{r.stderr[-4000:]}')
    ours = [line for line in r.stderr.splitlines() if line.startswith('xengpu:')]
    hung = 'no end after' in r.stderr
    if hung or errors(r) == 0 and not ours:
        report.result('as a guest', FAILED, ('hangs: ' if hung else 'it seems to have found nothing: ') + said(r))
    else:
        report.result('as a guest', NOTE, f'{said(r)}; xengpu says {"; ".join(ours)[:300] or "nothing"}')


def surroundings(bed, report, tool):
    """How the tool comes into a program: what it puts into its environment."""
    r = bed.direct([tool, '--require-cuda-init', 'no', shutil.which('env') or '/usr/bin/env'], timeout=10)
    known = set(f'{k}={v}' for k, v in bed.env.items())
    report.log('its environment: ' + ' '.join(line for line in r.stdout.splitlines() if '=' in line and line not in known)[:2000])


def notice(bed, report, program):
    """The way by which such tools come into a driver; with or without one here."""
    r = bed.guest('one', [program], {'CUDA_INJECTION64_PATH': '/no/such/tool.so'})
    clear = r.returncode == 0 and r.stderr.count('/no/such/tool.so') == 1
    report.result('notice', OK if clear else FAILED, 'a tool that asks to be loaded is told that it is not' if clear else
                  f'status {r.returncode}: {r.stderr.strip()[-300:]}')


def run(bed, report, quick):
    program, tool = bed.program('cuda_vectoradd'), find(bed.env.get('PATH'))
    bed.daemon()
    notice(bed, report, program)
    if not tool:
        report.result(NAME, ABSENT, f'not in the path, nor where a toolkit has it ({", ".join(FOLDERS[:3])})')
    elif not bed.gpu:
        report.result(NAME, ABSENT, f'{tool} is there, but no GPU')
    else:
        directly(bed, report, tool, program)
        as_guest(bed, report, tool, program)
        surroundings(bed, report, tool)
