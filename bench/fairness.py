"""Who has how much of one device: guests that share it honestly, and guests beside one that does not.

Each case lasts some seconds in which everybody always has work, by the scheduler's clock and by the work that was done. README.md tells what
a row's numbers are, and how far a case may be from what is due.
"""
import os
import signal
import subprocess
import threading
import time

import busy
import e2e
import shares

STARTS, SETTLE = 60, 1.0        # seconds: until all are at work, and then until the clocks are read
HONEST, CHEATED = 0.02, 0.05    # of what is due to a guest
JAIN_HONEST, JAIN_CHEATED = 0.999, 0.99
QUANTUM_MS = 2.0                # a turn; kernels longer than that are shared as well as their length allows
CALM = 1.0                      # seconds that a guest works, and then does nothing, in turns
LENGTHS = (0.05, 0.3, 1.0, 5.0, 50.0, 500.0)


class Worker:
    """A guest with programs in pieces of known length."""
    cheats = False

    def __init__(self, ms, gl=False, weight=100, programs=1, pauses=False, depth=3):
        """`pauses`: it works in turns with doing nothing; `depth`: launches under way, of each of its programs."""
        self.ms, self.gl, self.weight, self.programs, self.pauses, self.depth = ms, gl, weight, programs, pauses, depth

    def start(self, bench, name):
        calibrated = bench.gl if self.gl else bench.cuda
        self.guests = [busy.Guest(bench.bed, calibrated, name, self.ms, depth=self.depth) for _ in range(self.programs)]

    def wait_at_work(self):
        until = time.monotonic() + STARTS
        for g in self.guests:
            g.wait_at_work(max(1, until - time.monotonic()))

    def signal(self, number):
        for g in self.guests:
            os.killpg(g.process.pid, number)

    def stop(self):
        return [g.stop(60) for g in self.guests]


class Cheat:
    """A guest that takes no care of others (bench/programs). When its program has ended, it starts another."""
    cheats, pauses, weight = True, False, 100

    def __init__(self, program, *args):
        self.command, self.over = [program, *args], threading.Event()
        self.starts, self.process = 0, None

    def start(self, bench, name):
        self.bed, self.name = bench.bed, name
        self.command[0] = bench.bed.program(self.command[0], 'bench')
        self.command = [str(bench.cuda.rounds[5.0]) if a == '5ms' else a for a in self.command]
        self.out = os.path.join(bench.bed.tmp, f'cheat-{time.monotonic_ns()}')
        self.thread = threading.Thread(target=self.go_on, daemon=True)
        self.thread.start()

    def go_on(self):
        while not self.over.is_set():
            with open(self.out, 'a') as out:
                self.process = self.bed.start(self.bed.as_guest(self.name, self.command), stdout=out, stderr=out)
            self.starts += 1
            self.process.wait()

    def text(self):
        try:
            with open(self.out) as f:
                return f.read()
        except OSError:
            return ''

    def wait_at_work(self):
        e2e.wait_for(lambda: 'at work' in self.text(), STARTS, lambda: f'{self.command}: does not work: {self.text()}')

    def stop(self):
        self.over.set()
        self.bed.stop(self.process, 0)
        self.thread.join(10)
        return []


def cases():
    """(name, guests, whether the lengths of kernels let the shares be as they are due)"""
    for count in (2, 4, 8):
        for ms in LENGTHS:
            yield f'{count} guests, kernels of {ms:g} ms', [Worker(ms) for _ in range(count)], ms < QUANTUM_MS
    yield 'kernels of 0.05 and 50 ms', [Worker(0.05), Worker(50.0)], False
    yield 'CUDA beside OpenGL, 1 ms', [Worker(1.0), Worker(1.0, gl=True)], True
    yield 'CUDA beside OpenGL, 5 ms', [Worker(5.0), Worker(5.0, gl=True)], False
    yield 'weights 1:2:5', [Worker(1.0, weight=w) for w in (100, 200, 500)], True
    yield 'one works every other second', [Worker(1.0), Worker(1.0, pauses=True)], True
    # The one has so much under way that it wants the device while it waits for a processor, too.
    yield '16 programs of a guest beside 1', [Worker(0.3, programs=16, depth=1), Worker(0.3, depth=64)], True
    yield '64 programs of a guest beside 1', [Worker(0.3, programs=64, depth=1), Worker(0.3, depth=64)], True
    for what, *command in (('empty commands', 'cuda_cheat', 'flood'), ('empty commands of OpenGL', 'gl_cheat', 'flood'),
                           ('kernels, never synchronised', 'cuda_cheat', 'nosync', '5ms'), ('draws, never synchronised', 'gl_cheat', 'nosync'),
                           ('copies, never synchronised', 'cuda_cheat', 'copies'), ('modules loaded', 'cuda_cheat', 'load'),
                           ('shaders compiled', 'gl_cheat', 'compile'), ('endless kernels', 'cuda_cheat', 'endless'),
                           ('endless shaders', 'gl_cheat', 'endless'), ('host functions that sleep', 'cuda_cheat', 'sleep'),
                           ('memory set, never synchronised', 'cuda_cheat', 'sets'), ('copies of pageable memory', 'cuda_cheat', 'sends'),
                           ('graphs of 1,000 kernels of 5 ms', 'cuda_cheat', 'graphs', '5ms'), ('large modules loaded', 'cuda_cheat', 'big'),
                           ('large modules linked', 'cuda_cheat', 'link'), ('long shaders, a draw of each', 'gl_cheat', 'big'),
                           ('large pictures read', 'gl_cheat', 'read'), ('mipmaps made', 'gl_cheat', 'mipmap'),
                           ('textures copied', 'gl_cheat', 'copies'), ('parts of buffers replaced', 'gl_cheat', 'buffers'),
                           ('queries of draws', 'gl_cheat', 'queries')):
        yield f'beside {what}', [Worker(1.0), Cheat(*command)], True
        yield f'two beside {what}', [Worker(1.0), Worker(1.0), Cheat(*command)], True


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values)) if any(values) else 0.0


def waits(pieces, ms, since, until):
    """How much longer than alone each piece took, from when it was the program's next: seconds."""
    found, before = [], 0.0
    for sent, complete in zip(pieces.sent, pieces.complete):
        ready, before = max(sent, before), complete
        if since <= ready and complete < until:
            found.append(max(0.0, complete - ready - ms / 1e3))
    return found


class Fairness:
    def __init__(self, bed, seconds, say):
        self.bed, self.seconds, self.say = bed, seconds, say
        bed.program = lambda name, folder='tests': f'{bed.build}/{folder}/programs/{name}'
        self.cuda = busy.Calibrated(bed, 'cuda_busy', *LENGTHS)
        self.gl = busy.Calibrated(bed, 'gl_busy', 5.0)
        self.number = 0

    def moment(self, names):
        return shares.Look(self.bed.list(), names), time.time()

    def paused(self, names, guest):
        """Looks around each time in which it works; between them it does nothing."""
        spans = []
        for _ in range(max(1, round(self.seconds / CALM / 2))):
            before = self.moment(names)
            time.sleep(CALM)
            spans.append((before, self.moment(names)))
            guest.signal(signal.SIGSTOP)
            time.sleep(CALM)
            guest.signal(signal.SIGCONT)
        return spans

    def case(self, name, guests, exact):
        self.number += 1
        names = [f'{self.number}-{i}' for i in range(len(guests))]
        for n, g in zip(names, guests):
            busy.attach(self.bed, n, f'weight={g.weight}')
        started = []
        try:
            for n, g in zip(names, guests):
                started.append(g)
                g.start(self, n)
            for g in guests:
                g.wait_at_work()
            time.sleep(SETTLE)
            pausing = [g for g in guests if g.pauses]
            if pausing:
                looks = self.paused(names, pausing[0])
            else:
                before = self.moment(names)
                time.sleep(self.seconds)
                looks = [(before, self.moment(names))]
            pieces = [g.stop() for g in guests]
        finally:
            for g in started:
                for p in [x.process for x in g.guests] if not g.cheats else [g.process]:
                    self.bed.stop(p, 0)
                if g.cheats:
                    g.over.set()
            busy.detach(self.bed, *names)
        return self.row(name, guests, names, looks, pieces, exact)

    def row(self, name, guests, names, looks, pieces, exact):
        spans = [(shares.Span(b, a), since, until) for (b, since), (a, until) in looks]
        seconds = sum(s.seconds for s, _, _ in spans)
        used = [sum(s.used[n] for s, _, _ in spans) / seconds for n in names]
        cheated = any(g.cheats for g in guests)
        weights = sum(g.weight for g in guests)
        idle = [sum(s.lack[n] for s, _, _ in spans) / seconds for n in names]
        # Beside a cheat what is lost counts as taken. What a guest did not want, since it waited for a processor, nobody owes it; and who
        # wants less than its part takes nothing from others.
        due = [(1.0 if cheated else sum(used)) * g.weight / weights for g in guests]
        left = [min(i, max(0.0, d - u)) for u, i, d in zip(used, idle, due)]
        part = [(u + x) / d if u < d else max(1.0, (u - sum(left)) / d) for u, x, d in zip(used, left, due)]
        owed = max(0.0, *(1 - p for p, g in zip(part, guests) if not g.cheats))
        error = max(0.0, *(1 - u / d for u, d, g in zip(used, due, guests) if not g.cheats))
        index = jain([p for p, g in zip(part, guests) if p > 1 or not g.cheats])
        late, work = [], []
        for g, of_guest in zip(guests, pieces):
            if of_guest:
                late += [w for p in of_guest for _, since, until in spans for w in waits(p, g.ms, since, until)]
                work.append(sum(p.completed(since, until) for p in of_guest for _, since, until in spans) * g.ms / 1e3 / seconds)
        row = {'name': name, 'guests': len(guests), 'share': [round(u, 4) for u in used], 'error': round(error, 4), 'jain': round(index, 5),
               'wait_p50_ms': round(1e3 * busy.percentile(late, 0.5), 2), 'wait_p99_ms': round(1e3 * busy.percentile(late, 0.99), 2),
               'work': [round(w, 3) for w in work],
               'idle': [round(i, 4) for i in idle],
               'turn_ms': [round(1e3 * max(s.turn[n] for s, _, _ in spans), 2) for n in names], 'others_cpus': round(max(s.foreign for s, _, _ in spans), 2)}
        starts = [g.starts for g in guests if g.cheats]
        if starts:
            row['starts'] = starts[0]
        if exact:
            row['good'] = owed <= (CHEATED if cheated else HONEST) and index >= (JAIN_CHEATED if cheated else JAIN_HONEST)
        return row

    def run(self, only=()):
        rows = []
        for name, guests, exact in cases():
            if only and not any(o in name for o in only):
                continue
            try:
                row = self.case(name, guests, exact)
            except (e2e.BedError, subprocess.SubprocessError, OSError) as e:
                row = {'name': name, 'error_text': str(e)[:300], 'good': False}
            self.say(line(row))
            rows.append(row)
        return rows


HEAD = f"{'':42} {'error':>7} {'Jain':>7} {'p50 ms':>8} {'p99 ms':>8}  share of the device (work done)"


def line(row):
    if 'error_text' in row:
        return f"{row['name']:42} failed: {row['error_text']}"
    verdict = '' if row.get('good', True) else '  NOT AS IT IS DUE'
    if row['others_cpus'] >= shares.FOREIGN:
        verdict += f"  others used {row['others_cpus']} processors"
    if max(row['idle']) >= 0.01:
        verdict += f"  did not want it {100 * max(row['idle']):.0f} % of the time"
    part = ' '.join(f'{100 * s:.1f}' for s in row['share'])
    work = ' '.join(f'{100 * w:.1f}' for w in row['work'])
    return f"{row['name']:42} {100 * row['error']:6.1f}% {row['jain']:7.4f} {row['wait_p50_ms']:8.2f} {row['wait_p99_ms']:8.2f}  {part} ({work}){verdict}"
