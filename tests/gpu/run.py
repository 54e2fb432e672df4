#!/usr/bin/env python3
"""Runs the steps on this machine, each in a process group of its own with a limit, goes on after any failure, and writes
report.json and report.txt. The exit status is 0 if nothing failed. In the bundle `run` starts this; see README.md there.

A step is a file NAME.py in tests/gpu/steps; tests/gpu/README.md says how one is written.
"""
import argparse
import ast
import ctypes
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, 'tests/lib'), os.path.join(ROOT, 'bench')]
import bed  # noqa: E402
import e2e  # noqa: E402
import kernel_log  # noqa: E402
import remover  # noqa: E402
import report  # noqa: E402
import stage  # noqa: E402
import supervise  # noqa: E402

# Last what a driver may not survive, and before it what takes long and is told best by itself.
ORDER = ('machine', 'driver', 'sandbox', 'cuda', 'tables', 'pictures', 'gl', 'bench', 'glmark2', 'sharing', 'kill', 'codes', 'sanitizer', 'python', 'endless',
         'together')
WHOLE = 350         # seconds for all steps together, if --seconds says nothing else
STEP_ITSELF = '(the step)'  # the name of a result about the step as a whole
KERNEL = '(the kernel)'     # ... about Xid lines in the kernel's log while it ran
LEAST = 3           # a step is not begun with less left
STUBBORN = 20       # seconds after its limit until a step is left behind that a driver does not let go
OUTPUT = 20000      # characters of a step's own output that are kept


class Step:
    """What its file says of it, read and not run: a step that cannot even be loaded fails alone."""

    def __init__(self, path):
        self.path, self.name = path, os.path.splitext(os.path.basename(path))[0]
        self.about, self.limit, self.quick = '', 60, None
        try:
            with open(path, encoding='utf-8') as f:
                tree = ast.parse(f.read())
            self.about = (ast.get_docstring(tree) or '').split('\n')[0].rstrip('.')
            told = {n.targets[0].id: n.value.value for n in tree.body
                    if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name) and isinstance(n.value, ast.Constant)}
            self.limit, self.quick = told.get('LIMIT', self.limit), told.get('QUICK')
        except (OSError, ValueError, SyntaxError) as e:
            self.about, self.quick = f'cannot be read: {e}', self.limit


def find_steps(folders):
    """In their order; those that have none come last."""
    steps = {}
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            if name.endswith('.py'):
                steps[name[:-3]] = Step(os.path.join(folder, name))
    return sorted(steps.values(), key=lambda s: ORDER.index(s.name) if s.name in ORDER else len(ORDER))


def run_step(path, results, quick):
    """In the step's own process."""
    told = report.Report(results)
    with bed.GpuBed() as b:
        b.report = told
        try:
            spec = importlib.util.spec_from_file_location('step_' + os.path.basename(path)[:-3], path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.run(b, told, quick)
        except Exception as e:
            traceback.print_exc()
            print(f'--- xengpud said:\n{b.log_text()[-4000:]}', flush=True)
            told.result(STEP_ITSELF, report.FAILED, f'{type(e).__name__}: {e}'[:600])
            return 1
    return 0


def tell(text):
    """On standard output; when nobody reads that any more, or its disk is full, the report is still written."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Runner:
    def __init__(self, args, steps, place):
        self.args, self.steps, self.place = args, steps, place
        self.started = time.monotonic()
        self.child, self.unwritten = None, ''
        self.kernel = kernel_log.KernelLog()
        self.whole = {'format': 1, 'xengpu': e2e.release(), 'started': time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime()),
                      'quick': args.quick, 'gpu': place.facts['gpu'], 'cuda': place.facts['cuda'], 'taken': place.facts['taken'],
                      'bundle': place.bundle, 'seconds': 0.0, 'steps': []}

    def left(self):
        return self.args.seconds - (time.monotonic() - self.started)

    def say(self, entry, result):
        entry['results'].append(result)
        tell(report.line(entry['name'], result))

    def step(self, step):
        entry = {'name': step.name, 'about': step.about, 'seconds': 0.0, 'results': [], 'log': [], 'output': ''}
        self.whole['steps'].append(entry)
        own = step.quick if self.args.quick and step.quick else step.limit
        limit = min(own, self.left())
        begun = time.monotonic()
        if limit < LEAST:
            self.say(entry, self.failure(f'not begun: the {self.args.seconds:.0f} s for all steps are over; `run {step.name}` runs it alone'))
            return
        tmp = os.path.join(self.place.tmp, f"t{len(self.whole['steps'])}")  # short: a socket's path has few characters
        os.makedirs(tmp)
        os.chmod(tmp, 0o755)
        try:
            why = self.supervise(step, entry, limit, tmp)
            if why.startswith('no end') and limit < own:
                why += f'; {self.args.seconds:.0f} s for all steps left it no more, `run {step.name}` runs it alone'
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
        entry['seconds'] = round(time.monotonic() - begun, 2)
        told = bool(entry['results'])
        xids = self.kernel.new()
        if xids:
            entry['log'] += xids
            self.say(entry, {'name': KERNEL, 'outcome': report.NOTE, 'text': f'it logs {xids[0]}', 'figures': {'xids': len(xids)}})
        if not why and not told:
            why = 'it told nothing'
        if why:
            self.say(entry, self.failure(why))

    def failure(self, why):
        return {'name': STEP_ITSELF, 'outcome': report.FAILED, 'text': why, 'figures': {}}

    def supervise(self, step, entry, limit, tmp):
        """Why it failed as a whole, or ''. Everything that it started is ended with it."""
        results, log, end = (os.path.join(tmp, n) for n in ('results', 'output', 'end.json'))
        command = [sys.executable, os.path.join(HERE, 'run.py'), '--step', step.path, '--results', results, *(['--quick'] if self.args.quick else [])]
        env = {**os.environ, **self.place.env, 'TMPDIR': tmp, 'HOME': tmp, 'XDG_RUNTIME_DIR': tmp, 'LC_ALL': 'C.UTF-8',
               'PYTHONDONTWRITEBYTECODE': '1', 'PYTHONUNBUFFERED': '1', 'MESA_SHADER_CACHE_DIR': os.path.join(tmp, 'mesa'),
               'CUDA_CACHE_PATH': os.path.join(tmp, 'cuda'), 'XG_UNTIL': str(time.monotonic() + limit)}
        for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'LD_PRELOAD', 'XENGPU_SOCKET'):
            env.pop(name, None)
        self.child = subprocess.Popen([sys.executable, os.path.join(ROOT, 'tests/lib/supervise.py'), str(limit), log, end, '--', *command],
                                      env=env, stdin=subprocess.DEVNULL, start_new_session=True)
        seen, until = 0, time.monotonic() + limit + STUBBORN
        try:
            while True:
                ended = self.child.poll() is not None
                seen = self.take(step, entry, results, seen)
                if ended or time.monotonic() > until:
                    break
                time.sleep(0.05)
        finally:
            self.end_child()
        if os.path.exists(log):
            with open(log, encoding='utf-8', errors='replace') as f:
                entry['output'] = f.read()[-OUTPUT:]
        try:
            with open(end) as f:
                how = json.load(f)
        except (OSError, ValueError):
            return f'no end {STUBBORN} s after its limit of {limit:.0f} s, whatever was done'
        if how['timeout']:
            return f'no end after {limit:.0f} s' + ''.join(f'; was running: {t}' for t in how['leftovers'][:4])
        if how['status'] < 0:
            return f"killed by {signal.Signals(-how['status']).name}"
        if how['status'] and entry['results'] and entry['results'][-1]['name'] == STEP_ITSELF:
            return ''
        if how['status']:
            lines = entry['output'].strip().splitlines() or ['it says nothing']
            return f"exit status {how['status']}: {lines[-1][:300]}"
        return 'left processes behind: ' + '; '.join(how['leftovers'][:4]) if how['leftovers'] else ''

    def end_child(self):
        """With everything below it; what a driver holds in the kernel is left behind."""
        child, self.child = self.child, None
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(supervise.ASKED + 2)
            except subprocess.TimeoutExpired:
                child.kill()
        supervise.kill_all()

    def take(self, step, entry, path, seen):
        """Whole lines that are new in the file of results."""
        if not os.path.exists(path):
            return seen
        with open(path, 'rb') as f:
            f.seek(seen)
            text = f.read()
        text = text[:text.rfind(b'\n') + 1]
        for raw in text.splitlines():
            found = json.loads(raw)
            if 'log' in found:
                entry['log'].append(found['log'])
            else:
                self.say(entry, found)
        return seen + len(text)

    def tell_damage(self, names):
        """A result of its own, before all others: it explains what they say."""
        self.whole['steps'].append({'name': 'bundle', 'about': 'The files of the bundle', 'seconds': 0.0, 'results': [], 'log': names, 'output': ''})
        text = f"not what it was when the bundle was made: {', '.join(names[:8])}" + (f', and {len(names) - 8} more' if len(names) > 8 else '')
        self.say(self.whole['steps'][-1], {'name': 'files', 'outcome': report.FAILED, 'text': text, 'figures': {}})

    def run(self):
        """Writes the report after each step: what is known survives whatever comes."""
        if self.place.facts['damaged']:
            self.tell_damage(self.place.facts['damaged'])
        for step in self.steps:
            self.step(step)
            self.write()

    def write(self):
        self.whole['seconds'] = round(time.monotonic() - self.started, 1)
        self.unwritten = report.write(self.args.output, self.whole)


class Place:
    """The stage in the bundle, the tree itself elsewhere; for both the environment that steps get."""

    def __init__(self, args):
        bundle = os.path.exists(os.path.join(ROOT, 'bundle.json'))
        self.stage = stage.Stage(ROOT) if bundle else None
        self.facts = self.stage.facts if bundle else stage.in_place()
        self.bundle = None
        if bundle:
            with open(os.path.join(ROOT, 'bundle.json')) as f:
                self.bundle = json.load(f)
        self.tmp = self.stage.root if bundle else tempfile.mkdtemp(prefix='xengpu-gpu-')
        self.remover = self.stage.remover if bundle else remover.start(self.tmp)
        os.chmod(self.tmp, 0o755)
        facts = os.path.join(self.tmp, 'stage.json')
        with open(facts, 'w') as f:
            json.dump(self.facts, f)
        self.root = self.stage.root if bundle else ROOT
        self.env = {'XG_STAGE': facts, 'XG_BUILD': self.stage.build if bundle else os.path.abspath(args.build), 'XG_ROOT': self.root,
                    'PATH': ':'.join([os.environ.get('PATH', '/usr/bin:/bin'), *self.facts['path']])}

    def remove(self):
        shutil.rmtree(self.tmp, ignore_errors=True)


def make_place(args):
    try:
        return Place(args)
    except (OSError, ValueError) as e:
        raise SystemExit(f'run: the bundle is not whole, or finds no room: {str(e)[:600]}')


def output_folder(wanted):
    """The one that is wanted, or the bundle's, or, since that may be read-only, the current one."""
    try:
        if wanted:
            os.makedirs(wanted, exist_ok=True)
    except OSError as e:
        raise SystemExit(f'run: --output {wanted}: {e.strerror}')
    for folder in [wanted] if wanted else [ROOT, os.getcwd()]:
        if os.access(folder, os.W_OK):
            return os.path.abspath(folder)
    raise SystemExit('run: the report cannot be written here; --output names a folder')


def stop(*_):
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)
    raise KeyboardInterrupt


def tell_end(runner):
    """The exit status."""
    where = os.path.join(runner.args.output, 'report.txt')
    tell('\n' + report.summary(runner.whole) + '\n' + (where if not runner.unwritten else f'no report: {runner.unwritten}'))
    return 1 if runner.unwritten or report.counts(runner.whole['steps'])[report.FAILED] else 0


def main():
    parser = argparse.ArgumentParser(prog='run', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='STEP', help='only these; --list names them')
    parser.add_argument('--quick', action='store_true', help='the short form, under a minute')
    parser.add_argument('--seconds', type=float, metavar='N', default=WHOLE, help=f'for all steps together ({WHOLE})')
    parser.add_argument('--list', action='store_true', help='the steps, with what each tells')
    parser.add_argument('--output', metavar='DIR', help='where the report goes (the folder of the bundle)')
    parser.add_argument('--steps', metavar='DIR', action='append', default=[], help='a folder with more steps')
    parser.add_argument('--build', default=os.path.join(ROOT, 'build'), help='outside the bundle: the build to use')
    parser.add_argument('--step', help=argparse.SUPPRESS)
    parser.add_argument('--results', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        return run_step(args.step, args.results, args.quick)
    if sys.stdout:
        sys.stdout.reconfigure(errors='backslashreplace')
    for folder in args.steps:
        if not os.path.isdir(folder):
            parser.error(f'--steps: {folder} is not a folder')
    known = find_steps([os.path.join(HERE, 'steps'), *map(os.path.abspath, args.steps)])
    if args.list:
        for s in known:
            tell(f"{s.name:<10} {s.limit:4} s  {s.about}{'' if s.quick else ' (not in the short form)'}")
        return 0
    for name in args.names:
        if name not in [s.name for s in known]:
            parser.error(f"no step is called {name}; there are {', '.join(s.name for s in known)}")
    steps = [s for s in known if s.name in args.names or not args.names and (s.quick or not args.quick)]
    args.output = output_folder(args.output)

    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, stop)
    place, runner = None, None
    try:
        place = make_place(args)
        ctypes.CDLL(None).prctl(supervise.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        runner = Runner(args, steps, place)
        runner.run()
        return tell_end(runner)
    except KeyboardInterrupt:
        if runner:
            runner.write()
        tell('\nstopped')
        return 130
    finally:
        if place:
            place.remove()


if __name__ == '__main__':
    sys.exit(main())
