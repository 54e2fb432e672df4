#!/usr/bin/env python3
"""Compares cuda/abi/*.h and procs_table.h with a CUDA toolkit, if there is one.

usage: check.py [--cuda DIR] [--cc CC]      exit status: 0 equal, 1 different, 77 no toolkit

Three checks, none of which needs a GPU:
 - every constant, and size and offset of every structure and field, has the same value;
 - every prototype of ours compiles beside the toolkit's of the same name;
 - every row of procs_table.h has the type that the toolkit gives that name and version.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "cuda")
sys.path.insert(0, os.path.join(ROOT, "protocol/gen"))
import wire


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)


def constants():
    names = []
    for body in re.findall(r"typedef enum \{(.*?)\}", read("abi/enum.h"), re.S):
        names += re.findall(r"(\w+)\s*=", body)
    names += [n for n in re.findall(r"^#define (CU\w+) +\S", read("abi.h"), re.M)
              if n not in ("CUDAAPI", "CUDA_CB")]
    return names


def split_fields(body, prefix=""):
    """Yields the dotted name of each field of a struct body, nested ones too."""
    i = 0
    while i < len(body):
        m = re.compile(r"\s*(struct|union)\s*\{").match(body, i)
        if m:
            depth, j = 1, m.end()
            while depth:
                depth += {"{": 1, "}": -1}.get(body[j], 0)
                j += 1
            end = body.index(";", j)
            name = body[j:end].strip()
            name = re.sub(r"\[.*", "", name)
            inner = body[m.end():j - 1]
            if name:
                yield prefix + name
                yield from split_fields(inner, prefix + name + ".")
            else:
                yield from split_fields(inner, prefix)
            i = end + 1
            continue
        end = body.find(";", i)
        if end < 0:
            return
        decl = body[i:end].strip()
        i = end + 1
        pointer = re.search(r"\(\*(\w+)\)", decl)
        if pointer:
            yield prefix + pointer.group(1)
            continue
        for part in decl.split(","):
            part = re.sub(r"\[.*", "", part).strip()
            yield prefix + re.search(r"(\w+)$", part).group(1)


def structures():
    text = read("abi/struct.h")
    i = 0
    while True:
        m = re.compile(r"typedef (struct|union) \{").search(text, i)
        if not m:
            return
        depth, j = 1, m.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[j], 0)
            j += 1
        name = re.compile(r"\s*(\w+);").match(text, j).group(1)
        yield name, list(split_fields(text[m.end():j - 1]))
        i = j


def table_program(header):
    out = ['#include <stdio.h>', '#include <stddef.h>', header, "int main(void) {"]
    for n in constants():
        out.append(f'    printf("{n} = %lld\\n", (long long){n});')
    for name, fields in structures():
        out.append(f'    printf("sizeof {name} = %zu align %zu\\n", sizeof({name}), _Alignof({name}));')
        for f in fields:
            out.append(f'    printf("{name}.{f} @ %zu + %zu\\n", offsetof({name}, {f}), '
                       f'sizeof((({name} *)0)->{f}));')
    out.append("    return 0;\n}")
    return "\n".join(out) + "\n"


def compile_c(cc, source, args, output):
    path = output + ".c"
    with open(path, "w", encoding="utf-8") as f:
        f.write(source)
    return subprocess.run([cc, "-std=gnu11", "-w", *args, path, "-o", output],
                          stderr=subprocess.PIPE, text=True, check=False)


def compare_tables(cc, include, tmp):
    ours = os.path.join(tmp, "ours")
    theirs = os.path.join(tmp, "theirs")
    runs = []
    for path, header, args in ((ours, '#include "cuda/abi.h"', ["-I", ROOT]),
                               (theirs, "#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>",
                                ["-I", include])):
        r = compile_c(cc, table_program(header), args, path)
        if r.returncode:
            print(r.stderr[:4000])
            return [f"{path}: does not compile"]
        runs.append(subprocess.run([path], stdout=subprocess.PIPE, text=True,
                                   check=True).stdout.splitlines())
    print(f"  {len(runs[0])} constants, sizes and offsets compared")
    return [f"ours: {a}    toolkit: {b}" for a, b in zip(*runs) if a != b]


def compare_prototypes(cc, include, tmp):
    source = ("#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n#include <cudaProfiler.h>\n"
              '#define F(name, ...) CUresult name(__VA_ARGS__);\n#include "cuda/abi/func_table.h"\n')
    r = compile_c(cc, source, ["-I", include, "-I", ROOT, "-c"], os.path.join(tmp, "proto.o"))
    return [line for line in r.stderr.splitlines() if "error" in line]


def compare_procs(cc, include, tmp):
    rows = [row for _, row in wire.read_rows(os.path.join(HERE, "procs_table.h"), "P")]
    headers = []
    for h in ("cudaTypedefs.h", "cudaProfilerTypedefs.h"):
        if os.path.exists(os.path.join(include, h)):
            headers.append(h)
    known = set()
    for h in headers:
        with open(os.path.join(include, h), encoding="utf-8") as f:
            known |= set(re.findall(r"\b(PFN_cu\w+?_v\d+(?:_ptsz|_ptds)?)\)", f.read()))
    source = "#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n#include <cudaProfiler.h>\n"
    source += "".join(f"#include <{h}>\n" for h in headers)
    checked = set()
    for i, (name, version, thread, symbol) in enumerate(rows):
        suffix = symbol[-5:] if thread == "1" else ""
        pfn = f"PFN_{name}_v{version}{suffix}"
        if pfn in known:
            checked.add(pfn)
            source += f"{pfn} p{i} = {symbol};\n"
    r = compile_c(cc, source, ["-I", include, "-c", "-Werror=incompatible-pointer-types"],
                  os.path.join(tmp, "procs.o"))
    print(f"  {len(checked)} of {len(rows)} versioned names compared with the toolkit's typedefs")
    bad = [line for line in r.stderr.splitlines() if "error" in line]
    # Left out on purpose: the versions with 32-bit device addresses, older than our first row.
    first = {}
    for name, version, _, _ in rows:
        first[name] = min(first.get(name, 1 << 30), int(version))
    for pfn in sorted(known - checked):
        name, version = re.match(r"PFN_(\w+?)_v(\d+)", pfn).groups()
        if int(version) >= first.get(name, 0):
            bad.append(f"{pfn}: not in procs_table.h")
    return bad


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cuda", default=os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    p.add_argument("--cc", default="gcc")
    a = p.parse_args()
    include = os.path.join(a.cuda, "include")
    try:
        with open(os.path.join(include, "cuda.h"), encoding="utf-8") as f:
            version = re.search(r"#define CUDA_VERSION (\d+)", f.read()).group(1)
    except OSError:
        print(f"cuda/abi/check.py: no toolkit at {a.cuda} (set CUDA_HOME): skipped")
        return 77
    if version != "13000":
        print(f"cuda/abi/check.py: toolkit {version} is not the 13000 that abi.h describes: skipped")
        return 77
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        for check in (compare_tables, compare_prototypes, compare_procs):
            bad = check(a.cc, include, tmp)
            for line in bad[:40]:
                print(f"cuda/abi/check.py: {check.__name__}: {line}")
            failed |= bool(bad)
    print("cuda/abi/check.py:", "different" if failed else "equal")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
