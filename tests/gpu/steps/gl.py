"""OpenGL on the device through EGL, and GLX where it works: each test program directly and as a guest, and what the device tells of itself."""
# On a GPU the programs run one after the other: the first that was tried (H100, 580.159) stood still when two drew at the same time. What two do
# is told by `together`.
import concurrent.futures
import os
import time

import e2e
from pair import Pairs, first_difference, said
from report import ABSENT, FAILED, NOTE, OK

LIMIT = 75
QUICK = 30
MOST = 10       # for one program

# `drawn`: NVIDIA's driver does not always show a context the texture that another one has filled and finished, if no context has drawn it yet.
# They draw on a pbuffer of an EGL device (XG_TEST_EGL, tests/programs/egl_common.h).
PROGRAMS = ('egl_devices', 'egl_surfaces', 'gl_legacy', 'gl_modern', 'gl_es', 'gl_maps', 'gl_share', 'gl_threads 300 drawn', 'gl_names', 'gl_refused',
            'gl_untouched', 'gl_answers', 'gl_frames 30')
WALKS = [f'gl_walk {seed} 400 {what}' for seed in (1, 37) for what in ('compat', 'split', 'core', 'es-alone')]
QUICKLY = ('egl_devices', 'egl_surfaces', 'gl_modern', 'gl_es', 'gl_maps', 'gl_threads 60 drawn', 'gl_walk 1 400 core')
WINDOWS = ('glx_windows', 'glx_threads 60 drawn', 'gl_pixmaps')
# A guest has none of these by design (docs/opengl.md): program binaries.
HIDDEN_LIMITS = ('0x87fe',)


def facts_of(text):
    """{kind: lines}"""
    found = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(' ')
        found.setdefault(kind, []).append(rest)
    return found


def strings(pairs, direct, remoted):
    for a, b in zip(direct.get('string', []), remoted.get('string', [])):
        name = ' '.join(a.split()[:2])
        if name.split()[1] in ('renderer', 'version'):
            pairs.report.result(name, NOTE, f"{' '.join(a.split()[2:])} / {' '.join(b.split()[2:])}")


def extensions(pairs, kind, direct, remoted):
    """Extensions by API: how many there are, and which only one side has."""
    for api in sorted({line.split()[0] for line in direct.get(kind, [])}):
        a, b = ({line.split()[-1] for line in side.get(kind, []) if line.split()[0] == api} for side in (direct, remoted))
        pairs.report.result(f'{kind}s {api}', NOTE, f'{len(a)} directly, {len(b)} as a guest',
                            hidden=len(a - b), only_guest=len(b - a))
        pairs.report.log(f"{kind}s of {api}, hidden from guests: {' '.join(sorted(a - b))}\nonly in a guest: {' '.join(sorted(b - a))}")


def facts(pairs, direct_env):
    command = [pairs.bed.program('gl_facts')]
    direct, remoted = pairs.both(command, {**direct_env, 'XENGPU_GL_ERRORS': 'strict'})
    pairs.report.log(f'gl_facts directly:\n{direct.stdout}')
    if direct.returncode or remoted.returncode:
        pairs.details('gl_facts', direct, remoted)
        pairs.report.result('what the device tells', FAILED, f'directly {said(direct)}; as a guest {said(remoted)}')
        return
    a, b = facts_of(direct.stdout), facts_of(remoted.stdout)
    strings(pairs, a, b)
    extensions(pairs, 'extension', a, b)
    for api in dict.fromkeys(line.split()[0] for line in a.get('pbuffer', [])):
        pairs.report.result(f'pbuffer {api}', NOTE, ', '.join(line.split(' ', 1)[1] for line in a['pbuffer'] if line.split()[0] == api))
    for kind in ('version', 'config', 'limit', 'pbuffer', 'context', 'option', 'bracket'):
        sides = [[line for line in side.get(kind, []) if line.split()[1] not in HIDDEN_LIMITS and 'low_priority' not in line] for side in (a, b)]
        different = first_difference(*map(sorted, sides)) if kind in ('config', 'limit') else first_difference(*sides)
        if different:
            pairs.report.log(f'{kind}s as a guest:\n' + '\n'.join(sides[1]))
        if sides[0] or different:
            pairs.report.result(f'{kind}s', FAILED if different else OK, different or f'{len(sides[0])}, the same in a guest')


def devices(pairs):
    """Which EGL device is which card: by the number that CUDA gives it, and whether both have the same UUID."""
    r = pairs.side(False, [pairs.bed.program('gl_facts'), 'devices'])
    pairs.report.log(f'gl_facts devices: status {r.returncode}\n{r.stdout}{r.stderr}')
    lines = [line for line in r.stdout.splitlines() if line.startswith('device ') and line.split()[1].isdigit()]
    if r.returncode or not lines:
        pairs.report.result('EGL devices', FAILED, said(r) if r.returncode else 'there is none')
        return 0
    for line in lines:
        pairs.report.result('EGL ' + ' '.join(line.split()[:2]), NOTE, ' '.join(line.split()[2:]))
    if pairs.bed.gpu:
        same_card(pairs, lines)
    return len(lines)


def same_card(pairs, lines):
    cuda = pairs.bed.cuda['devices']
    for line in lines:
        word = line.split()
        if 'cuda' not in word or 'uuid' not in word:
            continue
        ordinal, uuid = int(word[word.index('cuda') + 1]), word[word.index('uuid') + 1]
        other = cuda[ordinal].get('uuid') if ordinal < len(cuda) else None
        name = f'CUDA device {ordinal} in EGL'
        if not other:
            pairs.report.result(name, NOTE, f'OpenGL calls it {uuid}; CUDA does not say')
        else:
            pairs.report.result(name, OK if other == uuid else FAILED, 'is the same card' if other == uuid else f'{uuid} for OpenGL, {other} for CUDA')
    if not any('cuda' in line.split() for line in lines):
        pairs.report.result('CUDA device in EGL', FAILED, 'no EGL device says which CUDA device it is')


def chosen(pairs):
    """What the daemon found, once it has looked."""
    def pgpu():
        return pairs.bed.list()['pgpus'][0]
    e2e.wait_for(lambda: pgpu()['gl'] or pgpu()['gl_error'], 20, 'the daemon does not come to an end with its look at OpenGL')
    found = pgpu()
    text = ', '.join(map(str, found['gl'].values())) if found['gl'] else found['gl_error']
    good = bool(found['gl']) and not (pairs.bed.gpu and any(word in text for word in ('llvmpipe', 'softpipe')))
    pairs.report.result("the daemon's OpenGL", OK if good else FAILED, text)
    return good


def glx_facts(pairs):
    """What the driver's GLX finds on this X server, and how far it comes."""
    r = pairs.side(False, [pairs.bed.program('glx_facts')], {'LIBGL_DEBUG': 'verbose'})
    pairs.report.log(f'glx_facts directly: status {r.returncode}\n{r.stdout}{r.stderr}')
    lines = [line for line in r.stdout.splitlines() if not line.startswith(('extensions:', 'X extensions:'))]
    has = next((line.split()[2:] for line in r.stdout.splitlines() if line.startswith('X extensions:')), [])
    lines.append("the X server's extensions of GLX: " + (' '.join(e for e in has if 'GLX' in e) or 'none'))
    pairs.report.result('GLX on Xvfb', NOTE, '; '.join(lines) + (f'; {said(r)}' if r.returncode else ''))


def windows(pairs, quick):
    """GLX, and EGL's windows, on an X server of our own. The direct side needs a driver that draws on it."""
    try:
        pairs.bed.xvfb()
    except e2e.BedError as e:
        pairs.report.result('windows', ABSENT, str(e))
        return
    if time.monotonic() + 2 * pairs.LEAST > pairs.until:
        pairs.report.result('windows', NOTE if quick else FAILED, 'not run: the step had no time left')
        return
    glx_facts(pairs)
    tries = {'glx_windows': None, 'egl_surfaces': None}
    for name in tries:
        r = pairs.side(False, [pairs.bed.program(name)])
        tries[name] = said(r) if r.returncode else ''
    pairs.report.result('GLX on Xvfb directly', NOTE, tries['glx_windows'] or 'works')
    pairs.report.result('EGL on Xvfb directly', NOTE, tries['egl_surfaces'] or 'works')
    for name in WINDOWS[:1] if quick else (*WINDOWS, 'egl_surfaces'):
        why = tries['egl_surfaces' if name == 'egl_surfaces' else 'glx_windows']
        command = [pairs.bed.program(name.split()[0]), *name.split()[1:]]
        if why:
            pairs.remoted_only(f'{name} in windows', command, f'directly: {why}')
        else:
            pairs.compare(f'{name} in windows', command, together=False)  # windows lie over each other


def run(bed, report, quick):
    end = time.monotonic() + min(QUICK if quick else LIMIT, bed.left()) - 4
    bed.daemon()
    pairs = Pairs(bed, report, end, quick, most=MOST if bed.gpu else 60, alone=bed.gpu)
    env = {'XG_TEST_EGL': 'device'}
    good = chosen(pairs)
    if not devices(pairs) or not good:
        return
    facts(pairs, env)
    commands = QUICKLY if quick else (*PROGRAMS, *WALKS)
    workers = 1 if bed.gpu else max(1, min(4, (os.cpu_count() or 1) // 2))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda c: pairs.compare(c, [bed.program(c.split()[0]), *c.split()[1:]], env, wild=c.startswith('gl_walk')), commands))
    windows(pairs, quick)
