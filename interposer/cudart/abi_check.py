#!/usr/bin/env python3
"""Compares cuda/abi/runtime.h and api.list with a CUDA toolkit, if there is one.

usage: abi_check.py [--cuda DIR] [--cc CC]      exit status: 0 equal, 1 different, 77 no toolkit

Three checks, none of which needs a GPU:
 - every enumerator, and the size and offset of every structure and field, has the same value;
 - every prototype of api.list compiles beside the toolkit's of the same name;
 - the toolkit's library exports nothing that ours does not.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import gen

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADER = os.path.join(ROOT, 'cuda', 'abi', 'runtime.h')
API = os.path.join(ROOT, 'interposer', 'cudart', 'api.list')
VENDOR_TAG = {'cudaUUID': 'CUuuid_st'}


def blocks(text, kind):
    """(tag, body) of every top-level 'struct TAG {' or 'enum TAG {'."""
    for m in re.finditer(rf'^(?:typedef )?{kind} (\w+) {{', text, re.M):
        depth, end = 1, m.end()
        while depth:
            depth += {'{': 1, '}': -1}.get(text[end], 0)
            end += 1
        yield m.group(1), text[m.end():end - 1]


def fields(body, prefix=''):
    i = 0
    while i < len(body):
        m = re.compile(r'\s*(?:struct|union) \{').match(body, i)
        if m:
            depth, j = 1, m.end()
            while depth:
                depth += {'{': 1, '}': -1}.get(body[j], 0)
                j += 1
            end = body.index(';', j)
            name = body[j:end].strip()
            if name:
                yield prefix + name
            yield from fields(body[m.end():j - 1], prefix + name + '.' if name else prefix)
            i = end + 1
            continue
        end = body.find(';', i)
        if end < 0:
            return
        decl = re.sub(r'\[[^]]*\]', '', body[i:end])
        for part in decl.split(','):
            m = re.search(r'(\w+)\s*$', part)
            if m:
                yield prefix + m.group(1)
        i = end + 1


def facts(text, version):
    """Lines 'name expression', the expression in a form that both headers understand."""
    out = []
    for _, body in blocks(text, 'enum'):
        out += [(n, f'(long)({n})') for n in re.findall(r'(\w+)\s*=', body)]
    for kind in ('struct', 'union'):
        for tag, body in blocks(text, kind):
            m = re.match(r'(.*)_(11|12|13)$', tag)
            if m and m.group(2) != version:
                continue
            vendor = m.group(1) if m else tag
            vendor = VENDOR_TAG.get(vendor, vendor)
            out.append((tag, f'sizeof({kind} {tag})', f'sizeof({kind} {vendor})'))
            for f in fields(body):
                out.append((f'{tag}.{f}', f'offsetof({kind} {tag}, {f})',
                            f'offsetof({kind} {vendor}, {f})'))
    return [f if len(f) == 3 else (*f, f[1]) for f in out]


def values(cc, flags, include, lines, tmp):
    """What a program with that header prints, one value per line."""
    src, exe = os.path.join(tmp, 'v.c'), os.path.join(tmp, 'v')
    with open(src, 'w') as f:
        f.write(f'#include <stddef.h>\n#include <stdio.h>\n{include}\nint main(void)\n{{\n')
        f.writelines(f'    printf("%ld\\n", (long)({e}));\n' for e in lines)
        f.write('    return 0;\n}\n')
    subprocess.run([cc, '-w', *flags, '-o', exe, src], check=True)
    return subprocess.run([exe], check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def check_values(cc, inc, version, tmp):
    text = re.sub(r'/\*.*?\*/', '', open(HEADER).read(), flags=re.S)
    text = re.sub(r'^enum \{.*?^\};', '', text, flags=re.S | re.M)  # our own constants
    all_facts = [f for f in facts(text, version) if not (version == '12' and f[0] in NOT_IN_12)]
    ours = values(cc, [f'-I{ROOT}'], '#include "cuda/abi/runtime.h"',
                  [f[1] for f in all_facts], tmp)
    theirs = values(cc, [f'-I{inc}'], '#include <cuda_runtime_api.h>', [f[2] for f in all_facts], tmp)
    bad = [(f[0], a, b) for f, a, b in zip(all_facts, ours, theirs) if a != b]
    for name, a, b in bad:
        print(f'{name}: {a} here, {b} in the toolkit')
    print(f'{len(all_facts)} values, sizes and offsets')
    return not bad


# Enumerators that 13 brought; a toolkit of version 12 does not know them.
NOT_IN_12 = {'cudaMemLocationTypeNone', 'cudaMemAllocationTypeManaged', 'cudaDevP2PAttrOnlyPartialNativeAtomicSupported'}


def check_prototypes(cc, inc, version, tmp):
    header = open(os.path.join(inc, 'cuda_runtime_api.h')).read()
    src, count = os.path.join(tmp, 'p.c'), 0
    with open(src, 'w') as f:
        f.write('#include <cuda_runtime_api.h>\n')
        for e in gen.read_list(API):
            if version not in e.versions or e.unsupported or e.name.startswith('__'):
                continue
            if not re.search(rf'\b{e.name}\s*\(', header):
                continue
            count += 1
            f.write(f'#line {e.where.split(":")[1]} "{API}"\n{e.proto(e.name)};\n')
    print(f'{count} prototypes')
    return subprocess.run([cc, '-w', f'-I{inc}', '-fsyntax-only', src]).returncode == 0


def check_exports(cuda, version):
    for sub in ('lib64', 'lib', 'targets/x86_64-linux/lib'):
        lib = os.path.join(cuda, sub, f'libcudart.so.{version}')
        if os.path.exists(lib):
            break
    else:
        return True
    out = subprocess.run(['nm', '-D', '--defined-only', lib], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    theirs = {m.group(1) for m in re.finditer(r' T (\w+)', out)}
    ours = {s for e in gen.read_list(API) if version in e.versions for s in e.symbols()}
    for name in sorted(theirs - ours):
        print(f'{name}: exported by {lib}, not by ours')
    print(f'{len(theirs)} exports')
    return theirs <= ours


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--cuda', default=os.environ.get('CUDA_PATH', '/usr/local/cuda'))
    p.add_argument('--cc', default='gcc')
    a = p.parse_args()
    inc = os.path.join(a.cuda, 'include')
    header = os.path.join(inc, 'cuda_runtime_api.h')
    if not os.path.exists(header):
        print('no CUDA toolkit')
        return 77
    version = re.search(r'#define CUDART_VERSION\s+(\d+)', open(header).read()).group(1)[:2]
    if version not in gen.VERSIONS:
        print(f'a toolkit of version {version}, which this library does not speak for')
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        ok = [check_values(a.cc, inc, version, tmp), check_prototypes(a.cc, inc, version, tmp),
              check_exports(a.cuda, version)]
    return 0 if all(ok) else 1


if __name__ == '__main__':
    sys.exit(main())
