#!/usr/bin/env python3
"""Remoted against direct: each pair of runs is one direct and one remoted, right after each other, in turn of order.

The ratio of a pair is remoted / direct for rates, direct / remoted for times: 1.0 means that remoting costs nothing, more is better.
What is reported is the median over the pairs. bench/README.md says what each row measures.
"""
import argparse
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import e2e  # noqa: E402
import fairness as fair  # noqa: E402
import table  # noqa: E402

TIMES = ('ns', 'us', 'ms', 's')


class Failed(Exception):
    pass


def median(values):
    values = sorted(values)
    n = len(values)
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2


class Row:
    """What one measurement gave, pair by pair."""

    def __init__(self, suite, name, unit):
        self.suite, self.name, self.unit = suite, name, unit
        self.direct, self.remoted, self.error = [], [], None

    def ratios(self):
        if self.unit in TIMES:
            return [d / r for d, r in zip(self.direct, self.remoted) if r > 0]
        return [r / d for d, r in zip(self.direct, self.remoted) if d > 0]

    def json(self):
        out = {'suite': self.suite, 'name': self.name, 'unit': self.unit, 'direct': self.direct, 'remoted': self.remoted}
        if self.ratios():
            out.update(ratios=[round(x, 4) for x in self.ratios()], ratio=round(median(self.ratios()), 4))
        if self.error:
            out['error'] = self.error
        return out


class Bench:
    def __init__(self, bed, pairs, seconds, budget=None):
        """`seconds`: how long a glmark2 scene runs; `budget`: seconds for each run of cuda_bench, and few rounds of calls."""
        self.bed, self.pairs, self.seconds, self.budget = bed, pairs, seconds, budget
        self.rows = {}
        self.turn = 0

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def row(self, suite, name, unit):
        return self.rows.setdefault((suite, name), Row(suite, name, unit))

    def paired(self, suite, label, measure):
        """measure(remoted) -> [(name, unit, value)]; both sides of a pair are taken, or neither."""
        for i in range(self.pairs):
            self.turn += 1
            order = (False, True) if self.turn % 2 else (True, False)
            try:
                got = {side: measure(side) for side in order}
            except (Failed, e2e.BedError) as e:
                self.row(suite, label, '').error = str(e)[:300]
                self.say(f'{label}: {e}')
                return
            remoted = {name: value for name, _, value in got[True]}
            for name, unit, value in got[False]:
                if name in remoted:
                    row = self.row(suite, name, unit)
                    row.direct.append(value)
                    row.remoted.append(remoted[name])
            for name, unit, value in got[True]:
                if name not in {n for n, _, _ in got[False]}:
                    self.row(suite, name, unit).remoted.append(value)
            self.say(f'{label}: pair {i + 1} of {self.pairs}')

    def command(self, remoted, guest, command, timeout=120, direct_env=True):
        if not shutil.which(command[0]):
            raise Failed(f'{command[0]} is not there: `make bench` builds or installs what the benchmarks need')
        if remoted:
            r = self.bed.guest(guest, command, timeout=timeout)
        elif direct_env:
            r = self.bed.direct(command, timeout=timeout)
        else:
            r = self.bed.run(command, timeout=timeout)
        if r.returncode != 0:
            raise Failed(f'{"remoted" if remoted else "direct"}: {" ".join(command)}: status {r.returncode}: '
                         f'{(r.stderr or r.stdout).strip()[-300:]}')
        return r.stdout

    # --- OpenGL

    def glxgears(self):
        def measure(remoted):
            command = self.bed.as_guest('gears', ['glxgears']) if remoted else ['glxgears']
            p = self.bed.start(command, {'vblank_mode': '0'}, stdout=subprocess.PIPE, text=True)
            timer = time.monotonic() + 30
            fps = None
            for line in p.stdout:  # one every five seconds
                if m := re.search(r'= ([\d.]+) FPS', line):
                    fps = float(m[1])
                    break
                if time.monotonic() > timer:
                    break
            self.bed.stop(p)
            if fps is None:
                raise Failed('glxgears says no frame rate')
            return [('glxgears', 'fps', fps)]
        self.paired('gl', 'glxgears', measure)

    def glmark2(self):
        with open(os.path.join(ROOT, 'tests/lib/glmark2.scenes')) as f:
            scenes = f.read().split()
        for n, scene in enumerate(scenes):
            def measure(remoted):
                out = self.command(remoted, 'glmark2', ['glmark2', '-b', f'{scene}:duration={self.seconds}'], direct_env=False)
                m = re.search(r'FPS: (\d+)(?:\s+FrameTime: ([\d.]+) ms)?', out)
                if not m:
                    raise Failed(f'glmark2 says no frame rate for {scene}')
                # the frame time has more digits where frames are slow
                fps = 1000 / float(m[2]) if m[2] and int(m[1]) < 100 else float(m[1])
                return [(scene, 'fps', fps)]
            self.paired('glmark2', f'{n + 1}/{len(scenes)} {scene}', measure)

    def gl(self):
        command = [f'{self.bed.build}/bench/programs/gl_bench', '--budget', str(getattr(self, 'budget', None) or 10)]
        timeout = 2 * self.budget + 5 if self.budget else 120
        self.bed.env['XG_TEST_EGL'] = 'device'  # both sides without a window
        self.paired('gl', 'gl_bench', lambda remoted: self.json_lines(self.command(remoted, 'gl', command, timeout)))

    # --- CUDA and calls

    def json_lines(self, out):
        rows = []
        for line in out.splitlines():
            if line.startswith('{'):
                r = json.loads(line)
                if 'error' in r:
                    raise Failed(f"{r.get('name')}: {r['error']}")
                rows.append((r['name'], r['unit'], float(r['value'])))
        if not rows:
            raise Failed('no result')
        return rows

    def cuda(self):
        command = [f'{self.bed.build}/bench/programs/cuda_bench']
        if self.budget:
            command += ['--budget', str(self.budget)]
        timeout = 2 * self.budget + 10 if self.budget else 600
        self.paired('cuda', 'cuda_bench', lambda remoted: self.json_lines(self.command(remoted, 'cuda', command, timeout)))

    def calls(self):
        """A null call against the bare exchange on a ring of the same layout."""
        where = f'{self.bed.build}/bench/programs'
        rounds = ['20000'] if self.budget else []

        def measure(remoted):
            if remoted:
                return self.json_lines(self.command(True, 'calls', [f'{where}/null_call', *rounds]))
            return [('null_call', unit, value) for _, unit, value in self.json_lines(self.command(False, '', [f'{where}/ring_pingpong', *rounds]))]
        self.paired('calls', 'null_call', measure)


def machine():
    model = ''
    try:
        with open('/proc/cpuinfo') as f:
            model = next((line.split(':', 1)[1].strip() for line in f if line.startswith('model name')), '')
    except OSError:
        pass
    return {'cpu': model, 'cpus': os.cpu_count(), 'kernel': platform.release(), 'load': os.getloadavg()[0],
            'date': time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())}


def geometric_mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def main():
    os.environ['vblank_mode'] = '0'  # neither side waits for a screen's refresh
    parser = argparse.ArgumentParser(prog='xengpu-bench', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=f'%(prog)s {e2e.release()}')
    parser.add_argument('--build', default='build', help=argparse.SUPPRESS)
    parser.add_argument('--output', default='build/bench', metavar='DIR', help='where results.json and the plots go')
    parser.add_argument('--pairs', type=int, default=3, metavar='N', help='pairs of runs (3)')
    parser.add_argument('--seconds', type=float, default=2, metavar='S', help='how long a glmark2 scene runs (2)')
    parser.add_argument('--budget', type=float, metavar='S', help='seconds for each run of cuda_bench, and few rounds of calls (as long as they take)')
    parser.add_argument('--json', action='store_true', help='results on standard output as JSON instead of a table')
    parser.add_argument('--share-seconds', type=float, default=10, metavar='S', help='how long a case of fairness lasts (10)')
    parser.add_argument('--only', action='append', default=[], metavar='TEXT', help='of fairness, only cases whose name has it')
    parser.add_argument('suites', nargs='*', metavar='SUITE', help='calls, cuda, gl, glxgears, glmark2: all of these without any; fairness')
    args = parser.parse_args()
    known = ('calls', 'cuda', 'gl', 'glxgears', 'glmark2')
    if bad := [s for s in args.suites if s not in (*known, 'fairness')]:
        parser.error(f'no suite {bad[0]}; there are {", ".join(known)}, fairness')

    shared = []
    with e2e.Bed(args.build) as bed:
        try:
            bed.daemon()
            bench = Bench(bed, args.pairs, args.seconds, args.budget)
            suites = args.suites or known
            if 'glxgears' in suites or 'glmark2' in suites:
                bed.xvfb()
            for suite in suites:
                bench.say(f'--- {suite}')
                if suite == 'fairness':
                    bench.say(fair.HEAD)
                    shared = fair.Fairness(bed, args.share_seconds, bench.say).run(args.only)
                else:
                    getattr(bench, suite)()
        except e2e.BedError as e:
            print(f'xengpu-bench: {e}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print('xengpu-bench: stopped', file=sys.stderr)
            return 130

    rows = [r.json() for r in bench.rows.values()]
    result = {'machine': machine(), 'pairs': args.pairs, 'rows': rows}
    if shared:
        result['fairness'] = shared
    scenes = [r['ratio'] for r in rows if r['suite'] == 'glmark2' and 'ratio' in r]
    if scenes:
        result['glmark2_geometric_mean'] = round(geometric_mean(scenes), 4)
    os.makedirs(args.output, exist_ok=True)
    with open(os.path.join(args.output, 'results.json'), 'w') as f:
        json.dump(result, f, indent=1)
        f.write('\n')
    plots = table.plots(result, args.output)
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        if rows:
            table.show(result)
        if shared:
            print('\n'.join(['', fair.HEAD, *map(fair.line, shared)]))
        print(f"\n{os.path.join(args.output, 'results.json')}" + ''.join(f', {p}' for p in plots))
    return 1 if any(r.get('error') for r in rows) or not all(r.get('good', True) for r in shared) else 0


if __name__ == '__main__':
    sys.exit(main())
