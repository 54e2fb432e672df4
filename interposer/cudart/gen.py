#!/usr/bin/env python3
"""Turns api.list into the generated half of libcudart.

usage: gen.py OUTDIR api.list func_table.h

The table has the driver's prototypes. Writes into OUTDIR:
  api_12.h, api_13.h    prototypes of everything a library exports
  forward_12.c, ..._13  the functions that need no hand-written line
  cudart_12.map, ..._13 version scripts
  names_12.txt, ..._13  exported names, for the tests
  unsupported.txt       names that answer cudaErrorNotSupported, for the tests
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../protocol/gen'))
import cuda

VERSIONS = ('12', '13')


class Bad(Exception):
    pass


def split_args(text):
    """Splits at the commas outside parentheses."""
    out, depth, cur = [], 0, ''
    for c in text:
        depth += (c == '(') - (c == ')')
        if c == ',' and depth == 0:
            out.append(cur.strip())
            cur = ''
        else:
            cur += c
    if cur.strip():
        out.append(cur.strip())
    return out


class Entry:
    def __init__(self, line, where):
        self.where = where
        m = re.match(r'(?:(12|13):\s*)?([^(]*?)(\w+)\(([^)]*)\)\s*([\w=\s]*?)(?:(?<!\w)=\s*(.*))?$', line)
        if not m:
            raise Bad(f'{where}: not an entry: {line}')
        only, ret, self.name, args, flags, self.body = m.groups()
        self.versions = (only,) if only else VERSIONS
        self.ret = ret.strip() or 'cudaError_t'
        self.args = [] if args.strip() in ('', 'void') else split_args(args)
        self.required = [m.group(1) for a in self.args for m in re.finditer(r'@(\w+)', a)]
        self.args = [a.replace('@', '') for a in self.args]
        self.flags = set(flags.split())
        unknown = self.flags - {'noctx', 'ptsz', 'ptsz=hand', 'ptds'}
        if unknown:
            raise Bad(f'{where}: unknown flag: {" ".join(sorted(unknown))}')
        self.names = [re.search(r'(\w+)$', a).group(1) for a in self.args]
        if 'ptsz' in self.flags and 'stream' not in self.names:
            raise Bad(f'{where}: ptsz, but no argument is called stream')
        self.unsupported = self.body == 'unsupported'
        self.call = None
        if self.body and not self.unsupported:
            m = re.match(r'(cu\w+)\((.*)\)$', self.body)
            if not m:
                raise Bad(f'{where}: neither a driver call nor "unsupported": {self.body}')
            self.call = (m.group(1), split_args(m.group(2)))

    def symbols(self):
        suffix = [''] + [s for s in ('ptsz', 'ptds') if s in {f.split('=')[0] for f in self.flags}]
        return [self.name + ('_' + s if s else '') for s in suffix]

    def proto(self, name, extra=()):
        return f'{self.ret} {name}({", ".join([*self.args, *extra]) or "void"})'


def read_list(path):
    entries, pending, start = [], '', 0

    def flush():
        if pending:
            entries.append(Entry(re.sub(r'\s+', ' ', pending), f'{path}:{start}'))

    for n, line in enumerate(open(path), 1):
        line = line.split('#')[0].rstrip()
        if not line:
            continue
        if line[0].isspace():
            pending += ' ' + line.strip()
            continue
        flush()
        pending, start = line, n
    flush()
    for v in VERSIONS:
        seen = {}
        for e in entries:
            for s in e.symbols() if v in e.versions else ():
                if s in seen:
                    raise Bad(f'{e.where}: {s} is already at {seen[s]}')
                seen[s] = e.where
    return entries


def unsupported(e, name):
    return f'{e.ret} {name}(void)\n{{\n    return rt_fail(cudaErrorNotSupported);\n}}\n'


def forward(e, driver):
    func, values = e.call
    if func not in driver:
        raise Bad(f'{e.where}: the driver has no {func}')
    types = driver[func]
    if len(types) != len(values):
        raise Bad(f'{e.where}: {func} takes {len(types)} arguments, {len(values)} given')
    args = []
    for t, v in zip(types, values):
        args.append(v if v == 'NULL' else f'({t})(uintptr_t)({v})' if t == 'CUdeviceptr' else f'({t})({v})')
    text = e.proto(e.name) + '\n{\n'
    text += f'    {"RT_NEED_DRIVER" if "noctx" in e.flags else "RT_ENTER"}();\n'
    for r in e.required:
        text += f'    RT_NEED({r});\n'
    return text + f'    return rt_result(drv.{func}({", ".join(args)}));\n}}\n'


def generate(entries, driver, version):
    """The prototypes and the generated functions of one library."""
    proto, code, names = [], [], []
    for e in entries:
        if version not in e.versions:
            continue
        names += e.symbols()
        if e.unsupported:
            for s in e.symbols():
                proto.append(f'XG_EXPORT {e.ret} {s}(void);')
                code.append(unsupported(e, s))
            continue
        proto += [f'XG_EXPORT {e.proto(s)};' for s in e.symbols()]
        args = ', '.join(e.names)
        if 'ptds' in e.flags:
            proto.append(f'{e.proto("rt_" + e.name, ["cudaStream_t stream"])};')
            for s, stream in ((e.name, 'NULL'), (e.name + '_ptds', 'cudaStreamPerThread')):
                code.append(f'{e.proto(s)}\n{{\n    return rt_{e.name}({args}, {stream});\n}}\n')
            continue
        if e.call:
            code.append(forward(e, driver))
        if 'ptsz' in e.flags:
            code.append(f'{e.proto(e.name + "_ptsz")}\n{{\n    return {e.name}('
                        + ', '.join('RT_PTSZ(stream)' if n == 'stream' else n for n in e.names)
                        + ');\n}\n')
    return proto, code, names


def main(out, api, table):
    entries, driver, made = read_list(api), cuda.read_prototypes(table), {}
    for v in VERSIONS:
        proto, code, names = generate(entries, driver, v)
        made[f'api_{v}.h'] = '\n'.join(proto) + '\n'
        made[f'forward_{v}.c'] = ('#include "interposer/cudart/runtime.h"\n\n' + '\n'.join(code))
        made[f'cudart_{v}.map'] = (f'libcudart.so.{v} {{\nglobal:\n'
                                    + ''.join(f'    {n};\n' for n in sorted(names))
                                    + 'local:\n    *;\n};\n')
        made[f'names_{v}.txt'] = '\n'.join(sorted(names)) + '\n'
    made['unsupported.txt'] = ''.join(sorted({e.name + '\n' for e in entries if e.unsupported}))
    os.makedirs(out, exist_ok=True)
    for name, text in made.items():
        with open(os.path.join(out, name), 'w') as f:
            f.write(text)


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except Bad as e:
        sys.exit(f'gen.py: {e}')
