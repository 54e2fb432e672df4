"""Pictures drawn by the device directly and as a guest, compared: off screen, in a window, and pixels in every format."""
import os
import re
import select
import shutil
import subprocess
import time

import e2e
from pair import Pairs, last_line, said
from report import ABSENT, FAILED, NOTE, OK

LIMIT = 60
QUICK = 25
MOST = 12       # for one program

# No channel of a pixel may differ by more, but for so many pixels of 256 x 256: the same device draws both, and edges may be rounded otherwise
# in a window of another kind.
DELTA, PIXELS = 2, 64
SCENES = ('plain', 'textures', 'samples', 'srgb', 'floats', 'shadows', 'layers')
NOTHING = 'nothing'
TICKS = (40, 400)   # of the clock of the gears


def compare(bed, report, name, a, b):
    for path, side in ((a, 'directly'), (b, 'as a guest')):
        if not os.path.exists(path):
            report.result(name, FAILED, f'there is no picture {side}')
            return
    equal, text = bed.images_equal(a, b, DELTA, PIXELS)
    report.result(name, OK if equal else FAILED, f'{text} (allowed: {DELTA}, and {PIXELS} pixels more)')


def off_screen(bed, report, pairs, scenes, folders):
    """The pictures of the two sides come into folders[False] and folders[True]."""
    commands = [[bed.program('gl_pictures'), folders[remoted], *scenes] for remoted in (False, True)]
    for folder in folders.values():
        os.makedirs(folder)
    runs = dict(zip((False, True), pairs.both(commands[False], {'XG_TEST_EGL': 'device'}, remoted=commands[True])))
    for remoted, r in runs.items():
        if r.returncode:
            report.result('off screen', FAILED, f"{'as a guest' if remoted else 'directly'}: {said(r)}")
    if runs[False].stdout != runs[True].stdout:
        report.result('off screen', FAILED, f'directly {runs[False].stdout.strip()!r}; as a guest {runs[True].stdout.strip()!r}')
    for name in (f'{scene}{where}' for scene in scenes for where in ('', '.surface')):
        if f'{name}:' in runs[False].stdout.split():
            report.result(name, ABSENT, 'the device cannot draw it')
        else:
            compare(bed, report, name, *(f'{folders[side]}/{name}.png' for side in (False, True)))


def shown(bed, command, seconds):
    """Starts a program that says "shown"; its process, or None and what it said."""
    p = bed.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said_so = select.select([p.stdout], [], [], seconds)[0]
    line = p.stdout.readline().decode(errors='replace') if said_so else f'{NOTHING} within {seconds:.0f} s'
    if line.strip() == 'shown':
        return p, ''
    bed.stop(p)
    rest = p.stdout.read().decode(errors='replace')
    return None, last_line(line + rest)


def in_window(bed, report, pairs, scenes, direct):
    """What the presenter puts on an X server's screen, against what was read of a pbuffer directly."""
    program = bed.program('gl_pictures')
    for scene in scenes:
        name, shot = f'{scene} in a window', os.path.join(bed.tmp, f'{scene}-window.png')
        if not os.path.exists(f'{direct}/{scene}.surface.png'):
            continue
        if pairs.left_out(name, [program]):
            continue
        pairs.wait_alone()
        p, why = shown(bed, bed.as_guest('window', [program, '--window', scene]), 10)
        if not p:
            pairs.hangs += why.startswith(NOTHING)
            report.result(name, FAILED, f'as a guest: {why}')
            continue
        r = bed.run([bed.program('xshot'), shot])
        bed.stop(p)
        if r.returncode:
            report.result(name, FAILED, f'no picture of the screen: {r.stderr.strip()}')
        else:
            compare(bed, report, name, f'{direct}/{scene}.surface.png', shot)


def gears(bed, report, pairs):
    """glxgears when its clock has been asked so often, on the screen."""
    if not shutil.which('glxgears'):
        report.result('glxgears', ABSENT, 'not installed')
        return
    r = bed.direct(['glxgears', '-info'], {'LD_PRELOAD': '', 'vblank_mode': '0'}, timeout=2)  # it never ends by itself
    renderer = re.search(r'GL_RENDERER += (.*)', r.stdout)
    if not renderer or bed.gpu and 'llvmpipe' in renderer[1]:
        report.result('glxgears', ABSENT, f"directly on Xvfb: {f'it draws with {renderer[1]}' if renderer else said(r)}")
        return
    for at in TICKS:
        shots = {remoted: os.path.join(bed.tmp, f'gears-{at}-{remoted}.png') for remoted in (False, True)}
        try:
            for remoted, png in shots.items():
                pairs.wait_alone()
                bed.frame(png, ['glxgears'], at, 'gears' if remoted else None)
        except e2e.BedError as e:
            report.result(f'glxgears at {at}', FAILED, str(e))
            continue
        compare(bed, report, f'glxgears at {at}', shots[False], shots[True])


def run(bed, report, quick):
    until = time.monotonic() + min(QUICK if quick else LIMIT, bed.left()) - 3
    scenes = SCENES[1:3] if quick else SCENES
    bed.daemon()
    pairs = Pairs(bed, report, until, quick, 'pictures', most=MOST if bed.gpu else 60, alone=bed.gpu)
    folders = {False: os.path.join(bed.tmp, 'direct'), True: os.path.join(bed.tmp, 'guest')}
    off_screen(bed, report, pairs, scenes, folders)
    pairs.compare('formats', [bed.program('gl_pictures'), '--formats', *(['8'] if quick else [])],
                  {'XG_TEST_EGL': 'device', 'XENGPU_GL_ERRORS': 'strict'})
    try:
        bed.xvfb('256x256')
    except e2e.BedError as e:
        report.result('windows', ABSENT, str(e))
        return
    in_window(bed, report, pairs, scenes, folders[False])
    if not quick and not pairs.lost() and time.monotonic() + 10 < until:
        gears(bed, report, pairs)
