"""What remoting costs OpenGL: draws, uploads and reading back without a window, and glmark2's scenes in one, as ratios."""
import os
import re
import shutil
import sys
import time

import e2e
from pair import hung, said, tell_row, wait_alone
from report import ABSENT, FAILED, NOTE

sys.path.insert(0, os.path.join(e2e.ROOT, 'bench'))
import table  # noqa: E402
import xengpu_bench  # noqa: E402

LIMIT = 60
QUICK = 25
MOST = 10   # for one program
HANGS = 2   # then the rest is not tried
PROGRAMS = ('glmark2', 'glmark2-es2')   # by GLX, by EGL
CPU = ('llvmpipe', 'softpipe', 'Software Rasterizer')


def without_window(bed, report, quick):
    bench = xengpu_bench.Bench(bed, 1 if quick else 2, 1)
    bench.budget = 1 if quick else 5
    bench.say = report.log
    bench.gl()
    for row in bench.rows.values():
        tell_row(report, row)


class Scenes:
    def __init__(self, bed, report, until, seconds):
        self.bed, self.report, self.until, self.seconds = bed, report, until, seconds
        self.ratios, self.hangs = [], 0

    def run(self, program, remoted, scene):
        """(frames per second, renderer, what it said if there are none)"""
        command = [shutil.which(program) or program, '-b', f'{scene}:duration={self.seconds}']
        run = self.bed.guest if remoted else self.bed.direct
        if self.bed.gpu:
            wait_alone(self.bed)
        r = run(*(['glmark2'] if remoted else []), command, timeout=max(2, min(MOST, self.until - time.monotonic())))
        self.hangs += hung(r)
        m = re.search(r'FPS: (\d+)(?:\s+FrameTime: ([\d.]+) ms)?', r.stdout)
        renderer = re.search(r'GL_RENDERER: +(.*)', r.stdout)
        if not m or r.returncode:
            self.report.log(f"{' '.join(command)}, {'as a guest' if remoted else 'directly'}: status {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}")
            return None, '', said(r)
        fps = 1000 / float(m[2]) if m[2] and int(m[1]) < 100 else float(m[1])
        return fps, renderer[1].strip() if renderer else '', ''

    def works(self, program, remoted):
        """'' if it draws on the device that is there, else why not."""
        if not shutil.which(program):
            return 'it is not installed'
        fps, renderer, why = self.run(program, remoted, 'build:use-vbo=true')
        if fps is None:
            return why
        on_cpu = any(word in renderer for word in CPU)
        return f'it draws with {renderer}' if self.bed.gpu and on_cpu else ''

    def choose(self):
        """(program, whether there is a direct side); reports why there is none."""
        remoted = [p for p in PROGRAMS if not self.unfit(p, True)]
        direct = [p for p in remoted if not self.unfit(p, False)]
        return (direct or remoted or [None])[0], bool(direct)

    def unfit(self, program, remoted):
        why = self.works(program, remoted)
        text = f"{program} {'as a guest' if remoted else 'directly'}"
        if why:
            self.report.result(text, ABSENT, f'on Xvfb: {why}')
        return why

    def scene(self, program, scene, direct, turn):
        got = {}
        for remoted in ((False, True) if turn % 2 else (True, False)) if direct else (True,):
            got[remoted], _, why = self.run(program, remoted, scene)
            if got[remoted] is None:
                self.report.result(scene, FAILED, f"{'as a guest' if remoted else 'directly'}: {why}")
                return
        figures = {name: f'{table.number(got[side])} fps' for side, name in ((False, 'direct'), (True, 'remoted')) if side in got}
        if direct:
            ratio = got[True] / got[False]
            figures['ratio'] = round(ratio, 3)
            self.ratios.append(ratio)
        self.report.result(scene, NOTE, **figures)


def windows(bed, report, until, quick):
    try:
        bed.xvfb()
    except e2e.BedError as e:
        report.result('glmark2', ABSENT, str(e))
        return
    scenes = Scenes(bed, report, until, 0.3 if quick else 0.5)
    program, direct = scenes.choose()
    if not program:
        report.result('glmark2', FAILED, 'as a guest neither glmark2 nor glmark2-es2 draws')
        return
    report.result('glmark2', NOTE, f'{program} in a window of Xvfb' + ('' if direct else ', as a guest only'))
    with open(os.path.join(bed.root, 'tests/lib/glmark2.scenes')) as f:
        names = f.read().split()
    names = [n for first in range(4) for n in names[first::4]]  # of each kind some, should the time be over
    if quick or not direct:  # without another side a figure says little
        names = names[:2 if quick else 8]
    for turn, name in enumerate(names):
        if scenes.hangs >= HANGS or time.monotonic() + 4 > until:
            why = 'no time left' if scenes.hangs < HANGS else f'{scenes.hangs} programs before them did not end'
            report.result('scenes', NOTE if scenes.hangs < HANGS else FAILED, f'{len(names) - turn} of {len(names)} not run: {why}')
            break
        scenes.scene(program, name, direct, turn)
    if scenes.ratios:
        report.result('geometric mean', NOTE, f'of {len(scenes.ratios)} scenes', ratio=round(xengpu_bench.geometric_mean(scenes.ratios), 3))


def run(bed, report, quick):
    until = time.monotonic() + min(QUICK if quick else LIMIT, bed.left()) - 3
    bed.env.update(vblank_mode='0', __GL_SYNC_TO_VBLANK='0')  # neither side waits for a screen's refresh
    bed.daemon()
    without_window(bed, report, quick)
    windows(bed, report, until, quick)
