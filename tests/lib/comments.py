#!/usr/bin/env python3
"""comments.py <LIST: what comments of C files and documents name is there. One line for each name that is not.

Looked at are, in comments of C: words with an underscore or in backticks, names of functions (`name()`) and of files; in documents (*.md) files and our own names (XG_..., xg_...).
A name is there if the tree's code has it, or makes it: what a generator or a macro puts together is known by its parts. LIST has all files of the tree, each
with a NUL behind it.
"""
import ctypes
import os
import re
import sys

ABROAD = {'PIPE_BUF', 'RLIMIT_AS', 'evtchn_get', 'drivers/xen/evtchn.c'}  # names of other people's that stand in no code here
FOREIGN = re.compile(r'(ARB|EXT|KHR|MESA|NV|OES|GLX?|EGL|CU|CUDA|X|xcb)_\w+$|(glX?|egl|cu|cuda|nvml)[A-Z]\w*$|sm_\d+a?$|__\w+__$')
CODE = re.compile(r'\.(c|h|cu|py|sh|mk|api|lock|annot|list|def|service|example|driver|differ)$|(^|/)(Makefile|opcodes|run|init)$')
FILE = re.compile(r'(?<![\w/.*<-])((?:[\w.-]+/)*[\w-]+\.(?:c|h|py|sh|mk|cu|md|api|annot))\b(?![\w*/\[])')


def comments_of(text):
    """(line, text) of each comment of C; the rest of the text as one string."""
    found, code, at = [], [], 0
    for m in re.finditer(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', text, re.S):
        if m[0][0] == '/':
            code.append(text[at:m.start()])
            at = m.end()
            found.append((text.count('\n', 0, m.start()) + 1, m[0]))
    code.append(text[at:])
    return found, ''.join(code)


class Tree:
    def __init__(self, paths):
        self.paths = [p.removeprefix('./') for p in paths]
        self.comments, self.text, self.words = {}, {}, set()
        self.files = set(self.paths)
        self.names = {os.path.basename(p) for p in self.paths}
        self.folders = {p.split('/')[0] for p in self.paths if '/' in p}
        for path in self.paths:
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            with open(path, 'rb') as f:
                raw = f.read()
            if b'\0' in raw:
                continue
            text = raw.decode(errors='replace')
            if path.endswith('.md'):
                self.text[path] = text
            elif path.endswith(('.c', '.h', '.cu')):
                self.comments[path], code = comments_of(text)
                self.words.update(re.findall(r'[\w.-]*\w', code), re.findall(r'\w+', code))
            elif CODE.search(path):
                code = re.sub(r'(^|\s)#[^\n]*', '', text)
                self.words.update(re.findall(r'[\w.-]*\w', code), re.findall(r'\w+', code))
        self.parts = {w for w in self.words if w.endswith('_') or w.startswith('_')}
        self.all = '\n' + '\n'.join(sorted(self.words)) + '\n'

    def has_word(self, word):
        if word in self.words or word in ABROAD or FOREIGN.match(word):
            return True
        if word.isupper() and '_' + word.strip('_') + '\n' in self.all:  # without what all of its kind begin with
            return True
        if word.endswith('_'):  # what names begin with
            return '\n' + word in self.all
        # put together by a generator or a macro: PREFIX_ and what follows both stand somewhere
        return any(word.startswith(p) and word[len(p):] in self.words for p in self.parts if len(p) > 3)

    def has_function(self, name):
        return self.has_word(name) or hasattr(libc, name)

    def has_file(self, name, by):
        here = os.path.dirname(by)
        if name in ABROAD:
            return True
        if '/' not in name:
            return name in self.names or name in self.words
        if name in self.files or os.path.normpath(os.path.join(here, name)) in self.files:
            return True
        if name.split('/')[0] in self.folders:
            return False
        return any(p.endswith('/' + name) for p in self.files) or os.path.basename(name) in self.words  # or it is generated


def look(tree, path, line, text, words):
    bare = re.sub(r'https?://\S+|<[\w/.-]+>', ' ', text)
    for m in FILE.finditer(bare):
        if not tree.has_file(m[1], path):
            yield line + bare.count('\n', 0, m.start()), f'no file {m[1]}'
    bare = FILE.sub(lambda m: ' ' * len(m[0]), bare)
    for m in re.finditer(r'(?<![\w/.$%-])([A-Za-z_]\w*)(\(\))?(?![\w/])', bare):
        word, call = m[1], m[2]
        if call and not tree.has_function(word):
            yield line + bare.count('\n', 0, m.start()), f'no function {word}'
        elif not call and words(word, bare[m.start() - 1:m.end() + 1] == f'`{word}`') and not tree.has_word(word):
            yield line + bare.count('\n', 0, m.start()), f'nothing is called {word}'


libc = ctypes.CDLL(None)
tree = Tree([p for p in sys.stdin.read().split('\0') if p])
wrong = []
for path, found in sorted(tree.comments.items()):
    for line, text in found:
        wrong += [(path, *w) for w in look(tree, path, line, text, lambda w, quoted: quoted or '_' in w.strip('_'))]
for path, text in sorted(tree.text.items()):
    wrong += [(path, *w) for w in look(tree, path, 1, text, lambda w, quoted: re.match(r'(XG|xg)_\w', w))]
for path, line, what in wrong:
    print(f'{path}:{line}: {what}')
sys.exit(bool(wrong))
