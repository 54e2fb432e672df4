#!/usr/bin/env python3
"""style.py FILE...: what holds for every file of the repository; one line for each that breaks it."""
import ast
import collections
import os
import re
import sys

LONGEST = 1500
FEW = 10  # files of a folder that needs no README.md
WIDEST = 100  # columns of a line of C
ARROWS = {  # what a folder may include beside itself; a header of backend/ alone is a contract between its folders
    'protocol': (),
    'settings': ('protocol',),
    'frontend': ('protocol', 'settings'),
    'cuda': ('protocol/base.h',),
    'interposer': ('frontend', 'protocol', 'cuda'),
    'softcuda': ('protocol', 'cuda'),
    'tools': ('frontend', 'protocol', 'settings', 'backend/platform/nodes.h'),
    'backend': ('protocol',),
    'backend/loop': ('protocol', 'settings'),
    'backend/platform': ('protocol', 'settings', 'backend/loop', 'backend/worker.h'),
    'backend/sched': ('protocol', 'settings', 'backend/sched.h'),
    'backend/worker': ('protocol', 'backend/worker.h', 'backend/spawn.h', 'backend/sched.h'),
    'backend/gl': ('protocol', 'backend/worker.h'),
    'backend/wsi': ('protocol', 'backend/worker.h', 'backend/gl', 'backend/platform/egl.h'),
    'backend/cuda': ('protocol', 'backend/worker.h', 'cuda', 'softcuda/gate.h'),
    'backend/broker': ('protocol', 'settings', 'backend/loop', 'backend/platform', 'backend/sched/scheduler.h', 'backend/spawn.h',
                       'backend/worker.h'),
}
ROOMS = {f.split('/')[0] for f in ARROWS}
# Folders where the name of a static function says what it does to what: noun_verb. The list grows.
NAMED = ('backend/', 'bench/', 'cuda/', 'frontend/', 'interposer/', 'protocol/', 'settings/', 'softcuda/', 'tools/')
STATIC = re.compile(r'^static\s[^;={}()]*?\b(\w+)\(', re.M)
wrong = []
uses = {}  # file without its suffix: those of the same folder whose headers it, or its own header, includes


def complain(path, text, line=None):
    wrong.append(f'{path}:{line}: {text}' if line else f'{path}: {text}')


def room_of(path):
    """The folder whose arrows hold for a file."""
    folder = '/'.join(path.split('/')[:2])
    return folder if folder in ARROWS else path.split('/')[0]


def may_include(room, name):
    if room not in ARROWS or name.split('/')[0] not in ROOMS:  # tests look everywhere; what is generated belongs to its folder
        return True
    own = room_of(name) == room and not (room == 'backend' and name.count('/') > 1)
    return own or any(name == f or name.startswith(f + '/') for f in ARROWS[room])


def check_width(path, text):
    """Tables that clang-format leaves alone, and what tests/module.mk reads from one line, may be wider."""
    free = path.startswith('tests/gen/')
    for n, line in enumerate(text.split('\n'), 1):
        if 'clang-format off' in line or 'clang-format on' in line:
            free = 'off' in line
        if len(line) > WIDEST and not free and not line.startswith('/* links: '):
            complain(path, f'{len(line)} columns, more than {WIDEST}', n)


def check_names(path, text):
    """One word, like `take`, says nothing in a profile or a backtrace. Functions that an API has named, as glXSwapBuffers, begin with a capital."""
    for m in STATIC.finditer(text):
        if '_' not in m[1] and not m[1][0].isupper():
            complain(path, f'{m[1]}() is one word: name it noun_verb', text.count('\n', 0, m.start(1)) + 1)


def check_c(path, text):
    check_width(path, text)
    if path.startswith(NAMED):
        check_names(path, text)
    for n, line in enumerate(text.split('\n'), 1):
        if '\t' in line:
            complain(path, 'a tab', n)
        if line != line.rstrip():
            complain(path, 'space at the end of the line', n)
        if not line.isascii():
            complain(path, 'not ASCII', n)
        # but for the memory of a CUDA program, which is declared nowhere
        if '__atomic_' in line and path.split('/')[0] in ARROWS and not path.startswith('softcuda/'):
            complain(path, 'atomics are those of <stdatomic.h>', n)
        if 'atomic_thread_fence' in line and path.startswith(('frontend/', 'backend/worker/', 'interposer/')):
            complain(path, "the barriers of rings stand in protocol/ring_sync.h", n)
        if re.search(r'\bXG_(CUDA|WSI)_OP_', line) and path.startswith('interposer/'):
            complain(path, 'frames are written by the generated senders', n)
        m = re.match(r'#include "([^"]+)"', line)
        if m and not may_include(room_of(path), m[1]):
            complain(path, f'{room_of(path)}/ must not include {m[1]}', n)
        if m and path.startswith('backend/') and os.path.dirname(m[1]) == os.path.dirname(path) and m[1][:-2] != path[:-2]:
            uses.setdefault(path[:-2], set()).add(m[1][:-2])
    if path.endswith('.h'):
        if not text.startswith('/*'):
            complain(path, 'does not start with a comment that says what it is')
        # tables and templates are included several times, and say so
        again = path.endswith('_table.h') or os.path.basename(path).startswith('exec_') or 'includ' in text[:text.find('*/')].lower()
        if not again and not re.search(r'^#(ifndef|pragma once)', text, re.M):
            complain(path, 'no include guard')


def check_ring(file, above=(), seen=set()):
    """Files of a folder of backend/ use each other one way: none uses one that uses it."""
    if file in above:
        complain(file + '.c', 'a ring of includes: ' + ', '.join(os.path.basename(f) for f in (*above[above.index(file):], file)))
    elif file not in seen:
        for other in sorted(uses.get(file, ())):
            check_ring(other, (*above, file))
        seen.add(file)


for path in sys.argv[1:]:
    path = path.removeprefix('./')
    if not os.path.isfile(path) or os.path.islink(path):
        continue
    if re.search(r'\.(o|a|so|so\.\d+|ptx|fatbin|pyc)$', path):
        complain(path, 'is built, not written')
        continue
    with open(path, 'rb') as f:
        raw = f.read()
    if b'\0' in raw:
        continue
    text = raw.decode(errors='replace')
    if not text:
        continue
    if not text.endswith('\n'):
        complain(path, 'no newline at the end')
    if re.search(r'\.(c|h|py|sh|mk|cu)$', path) and text.count('\n') > LONGEST:
        complain(path, f'{text.count(chr(10))} lines, more than {LONGEST}: make it two files')
    if re.search(r'^(<{7}|>{7}) ', text, re.M):
        complain(path, 'merge marks')
    if text.startswith('#!') and not os.access(path, os.X_OK):
        complain(path, 'not executable')
    if path.endswith(('.c', '.h', '.cu')):
        check_c(path, text)
    if path.endswith('.py'):
        try:
            ast.parse(text)
        except SyntaxError as e:
            complain(path, e)

for file in sorted(uses):
    check_ring(file)
paths = {path.removeprefix('./') for path in sys.argv[1:] if os.path.isfile(path)}
for folder, count in sorted(collections.Counter(map(os.path.dirname, paths)).items()):
    page = 'tests' if folder.startswith('tests/') else folder  # that one tells of its folders
    if folder and count > FEW and f'{page}/README.md' not in paths:
        complain(folder, f'{count} files and no README.md that says what they are')

print('\n'.join(wrong))
sys.exit(bool(wrong))
