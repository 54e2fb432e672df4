#!/usr/bin/env python3
"""Makes C from the CUDA description: cuda.py --api cuda.api --lock cuda.lock --abi abi_func.h WHAT > file

WHAT is one of
  ops       opcodes, wire structures, names for tracing (both sides)
  dispatch  the worker's decoder
  handlers  prototypes of what the decoder calls
  exports   the guest's table of symbols, its per-thread variants, and what is not supported
  shapes    each command's fields and blobs as a table, for tests that make frames
  dict      a dictionary of frames for fuzzers
  table     the list of exported symbols for docs/cuda.md
  lock      the lock file with new operations appended
"""
import argparse
import re
import sys

TYPES = {"u32": ("uint32_t", 4), "i32": ("int32_t", 4), "f32": ("float", 4), "u64": ("uint64_t", 8)}
BLOBS = {"data", "private", "string"}
MAX_FIXED = 256


class DescriptionError(Exception):
    pass


class Op:
    def __init__(self, where, name, mode, version):
        self.where, self.name, self.mode, self.version = where, name, mode, version
        self.fields, self.blobs, self.reply = [], [], []
        self.number = None

    @property
    def lower(self):
        return self.name.lower()


class Description:
    def __init__(self):
        self.ops, self.symbols, self.version = [], {}, None

    def add_symbol(self, where, name, how, reason=None):
        if name in self.symbols:
            raise DescriptionError(f"{where}: {name} is listed twice")
        self.symbols[name] = (how, reason)


def check_fields(where, fields):
    """Natural alignment without holes: the structure is the wire format on every compiler."""
    at, seen = 0, set()
    for name, kind in fields:
        if name in seen:
            raise DescriptionError(f"{where}: field '{name}' is there twice")
        seen.add(name)
        size = TYPES[kind][1]
        if at % size:
            raise DescriptionError(f"{where}: field '{name}' is not aligned; put a reserved:u32 before it")
        at += size
    if at > MAX_FIXED:
        raise DescriptionError(f"{where}: {at} bytes of fixed fields, the limit is {MAX_FIXED}")


def parse_op(where, words):
    if len(words) < 2 or words[1] not in ("oneway", "call"):
        raise DescriptionError(f"{where}: expected 'op NAME oneway|call ...'")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", words[0]):
        raise DescriptionError(f"{where}: '{words[0]}' is not an operation's name")
    rest, version = words[2:], 1
    if rest and re.fullmatch(r"v[0-9]+", rest[0]):
        version = int(rest.pop(0)[1:])
    op = Op(where, words[0], words[1], version)
    into = op.fields
    for word in rest:
        if word == "->":
            if op.mode == "oneway":
                raise DescriptionError(f"{where}: a one-way operation has no reply")
            into = op.reply
            continue
        name, _, kind = word.partition(":")
        if kind in TYPES and re.fullmatch(r"[a-z][a-z0-9_]*", name):
            if op.blobs and into is op.fields:
                raise DescriptionError(f"{where}: field '{name}' behind a blob")
            into.append((name, kind))
        elif kind.rstrip("?") in BLOBS and into is op.fields:
            op.blobs.append((name, kind.rstrip("?"), kind.endswith("?")))
        else:
            raise DescriptionError(f"{where}: '{word}' is neither a field nor a blob")
    check_fields(where, op.fields)
    check_fields(where, [("result", "u32"), ("reserved_", "u32")] + op.reply)
    return op


def parse(path):
    d = Description()
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        where = f"{path}:{number}"
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        word, _, rest = line.partition(" ")
        if word == "version":
            d.version = int(rest)
        elif word == "op":
            op = parse_op(where, rest.split())
            if any(o.name == op.name for o in d.ops):
                raise DescriptionError(f"{where}: operation {op.name} is there twice")
            d.ops.append(op)
        elif word in ("hand", "local", "alias"):
            for name in rest.split():
                d.add_symbol(where, name, word)
        elif word == "none":
            m = re.fullmatch(r'"([^"]+)"\s+(.*)', rest)
            if not m:
                raise DescriptionError(f"{where}: expected 'none \"reason\" SYMBOL ...'")
            for name in m.group(2).split():
                d.add_symbol(where, name, "none", m.group(1))
        else:
            raise DescriptionError(f"{where}: unknown word '{word}'")
    if d.version is None:
        raise DescriptionError(f"{path}: no version")
    for op in d.ops:
        if op.version > d.version:
            raise DescriptionError(f"{op.where}: {op.name} is newer than the description")
    return d


def read_lock(path):
    lock = {}
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.split("#", 1)[0].split()
        if not line:
            continue
        if len(line) != 2 or line[0] in lock or int(line[1]) in lock.values():
            raise DescriptionError(f"{path}:{number}: expected a new 'NAME NUMBER'")
        lock[line[0]] = int(line[1])
    return lock


def apply_lock(d, lock, path):
    for op in d.ops:
        if op.name not in lock:
            raise DescriptionError(f"{op.where}: {op.name} has no opcode in {path}; 'cuda.py lock' appends one")
        op.number = lock[op.name]
    gone = set(lock) - {op.name for op in d.ops}
    if gone:
        raise DescriptionError(f"{path}: {', '.join(sorted(gone))} not in the description: opcodes are never taken back")


def read_abi(path):
    text = re.sub(r"/\*.*?\*/", "", open(path, encoding="utf-8").read(), flags=re.S)
    protos = {}
    for m in re.finditer(r"CUresult\s+(cu\w+)\(([^;]*)\);", text):
        args = [" ".join(a.split()) for a in m.group(2).split(",")]
        protos[m.group(1)] = [] if args == ["void"] else args
    return protos


def head(out, what):
    out.append(f"/* Made by protocol/gen/cuda.py from cuda.api: {what}. */")


def struct(out, name, fields):
    out.append(f"struct {name} {{")
    at = 0
    for field, kind in fields:
        out.append(f"    {TYPES[kind][0]} {field};")
        at += TYPES[kind][1]
    if at % 8:
        out.append("    uint32_t pad_;")
        at += 4
    out.append("};")
    out.append(f'_Static_assert(sizeof(struct {name}) == {at}, "wire");')


def gen_ops(d, protos):
    out = []
    head(out, "opcodes and wire structures")
    out += ["#ifndef XG_GEN_CUDA_OPS_H", "#define XG_GEN_CUDA_OPS_H", "", '#include "protocol/codec.h"', '#include "protocol/ring.h"', ""]
    out.append("#define XG_CUDA_OPS(X) \\")
    out.append(" \\\n".join(f"    X({o.name}, {o.number})" for o in d.ops))
    out += ["", "enum {"]
    out += [f"    XG_CUDA_OP_{o.name} = (XG_API_CUDA << XG_OP_API_SHIFT) + {o.number}," for o in d.ops]
    out += ["};", ""]
    for o in d.ops:
        if o.fields:
            struct(out, f"xg_cuda_{o.lower}", o.fields)
        if o.mode == "call":
            struct(out, f"xg_cuda_{o.lower}_reply", [("result", "u32"), ("reserved_", "u32")] + o.reply)
        out.append("")
    out.append("#endif")
    return out


def handler_args(o):
    args = ["struct cu_worker *w"]
    if o.fields:
        args.append(f"const struct xg_cuda_{o.lower} *a")
    for name, kind, _ in o.blobs:
        if kind == "string":
            args.append(f"const char *{name}")
        else:
            args += [f"const void *{name}", f"uint32_t {name}_size"]
    return args


def gen_handlers(d, protos):
    out = []
    head(out, "what the decoder calls")
    out += ["#ifndef XG_GEN_CUDA_HANDLERS_H", "#define XG_GEN_CUDA_HANDLERS_H", "", '#include "cuda_ops.h"', "",
            "struct cu_worker;", "struct xg_worker_ring;", ""]
    for o in d.ops:
        out.append(f"uint32_t xg_cu_{o.lower}({', '.join(handler_args(o))});")
    out += ["", "/* Decodes one command and calls its handler, which gives the CUresult of one that replies for itself too. */",
            "uint32_t xg_cu_decode(struct cu_worker *w, struct xg_scratch *s, uint16_t op, struct xg_reader *rd, bool *oneway, bool *known);", "#endif"]
    return out


def gen_dispatch(d, protos):
    out = []
    head(out, "the worker's decoder")
    out += ['#include "backend/cuda/replay.h"', "", '#include "cuda_handlers.h"', ""]
    for o in d.ops:
        out.append(f"static uint32_t decode_{o.lower}(struct cu_worker *w, struct xg_scratch *s, struct xg_reader *rd)")
        out.append("{")
        call = ["w"]
        if o.fields:
            out.append(f"    const struct xg_cuda_{o.lower} *a = xg_read(rd, sizeof *a);")
            call.append("a")
        for name, kind, null in o.blobs:
            n = "true" if null else "false"
            if kind == "string":
                out.append(f"    const char *{name} = xg_read_string(rd, s);")
                call.append(name)
                continue
            out.append(f"    uint32_t {name}_size;")
            if kind == "data":
                out.append(f"    const void *{name} = xg_read_blob(rd, 0, {n}, &{name}_size);")
            else:
                out.append(f"    const void *{name} = xg_read_blob_private(rd, s, 0, {n}, &{name}_size);")
            call += [name, f"{name}_size"]
        out.append(f"    return xg_reader_ok(rd) ? xg_cu_{o.lower}({', '.join(call)}) : 0;")
        out += ["}", ""]
    out += ["static const struct {", "    uint32_t (*decode)(struct cu_worker *, struct xg_scratch *, struct xg_reader *);",
            "    bool oneway;", "} ops[] = {"]
    for o in d.ops:
        out.append(f"    [{o.number}] = {{decode_{o.lower}, {'true' if o.mode == 'oneway' else 'false'}}},")
    out += ["};", "",
            "uint32_t xg_cu_decode(struct cu_worker *w, struct xg_scratch *s, uint16_t op, struct xg_reader *rd, bool *oneway, bool *known)",
            "{", "    unsigned n = op & ((1u << XG_OP_API_SHIFT) - 1);",
            "    *known = n < XG_ARRAY_LEN(ops) && ops[n].decode;",
            "    if (!*known)", "        return 0;",
            "    *oneway = ops[n].oneway;", "    return ops[n].decode(w, s, rd);", "}"]
    return out


def variant_of(name):
    m = re.fullmatch(r"(\w+?)_(ptsz|ptds)", name)
    return m.group(1) if m else None


def proto_text(name, args):
    named = []
    for i, a in enumerate(args):
        named.append(f"{a}{'' if a.endswith('*') else ' '}a{i}")
    return f"CUresult {name}({', '.join(named) or 'void'})"


def gen_exports(d, protos):
    out = []
    head(out, "what libcuda exports")
    out += ['#include "interposer/cuda/cu.h"', ""]
    table = []
    for name, (how, reason) in sorted(d.symbols.items()):
        table.append(name)
        if name not in protos and how == "none": # what its arguments are does not matter
            out += [f"XG_EXPORT CUresult {name}(void);"]
            protos = dict(protos, **{name: []})
        if how == "none":
            out += [proto_text(name, protos[name]), "{", "    return cu_not_supported(\"" + name + "\");", "}"]
    for name in sorted(protos):
        base = variant_of(name)
        if not base or base not in d.symbols:
            continue
        if name in d.symbols:
            raise DescriptionError(f"{name} is made from {base}: do not list it")
        table.append(name)
        args = ", ".join(f"a{i}" for i in range(len(protos[name])))
        out += [proto_text(name, protos[name]), "{", "    CUstream before = cu_default_stream;",
                "    cu_default_stream = CU_STREAM_PER_THREAD;", f"    CUresult r = {base}({args});",
                "    cu_default_stream = before;", "    return r;", "}"]
    out += ["", "const struct cu_export cu_exports[] = {"]
    for name in sorted(table):
        out.append(f'    {{"{name}", (void *){name}}},')
    out += ["};", f"const unsigned cu_export_count = {len(table)};"]
    missing = sorted(n for n in protos if n not in table)
    if missing:
        raise DescriptionError("in the ABI header but not in cuda.api: " + " ".join(missing))
    return out


def gen_shapes(d, protos):
    out = []
    head(out, "the shape of each command")
    out += ["#ifndef XG_GEN_CUDA_SHAPES_H", "#define XG_GEN_CUDA_SHAPES_H", "", '#include "cuda_ops.h"', "",
            "struct xg_cuda_shape {", "    const char *name;", "    uint16_t op;", "    bool call;",
            "    uint32_t fixed; /* bytes of the structure */", "    struct {", "        const char *name; /* NULL behind the last */",
            "        uint32_t at, size;", f"    }} field[{max(len(o.fields) for o in d.ops) + 1}];", "    struct {",
            "        const char *name; /* NULL behind the last */", "        bool string, null;",
            f"    }} blob[{max(len(o.blobs) for o in d.ops) + 1}];", "};", "",
            "static const struct xg_cuda_shape xg_cuda_shapes[] = {"]
    for o in d.ops:
        at, fields = 0, []
        for name, kind in o.fields:
            fields.append(f'{{"{name}", {at}, {TYPES[kind][1]}}}')
            at += TYPES[kind][1]
        blobs = [f'{{"{name}", {"true" if kind == "string" else "false"}, {"true" if null else "false"}}}' for name, kind, null in o.blobs]
        out.append(f'    {{"{o.name}", XG_CUDA_OP_{o.name}, {"true" if o.mode == "call" else "false"}, {(at + 7) // 8 * 8},')
        out.append(f"     {{{', '.join(fields) or '{0}'}}},")
        out.append(f"     {{{', '.join(blobs) or '{0}'}}}}},")
    out += ["};", "", "#endif"]
    return out


def gen_dict(d, protos):
    """As for OpenGL: each opcode as the first four bytes of a frame."""
    return [f'{o.name}="\\x{o.number & 255:02x}\\x{3 << 4 | o.number >> 8:02x}\\x{int(o.mode == "call"):02x}\\x00"' for o in d.ops]


def gen_table(d, protos):
    out = []
    reasons = {}
    for name, (how, reason) in sorted(d.symbols.items()):
        if how == "none":
            reasons.setdefault(reason, []).append(name)
    out.append("| not supported, because | functions |")
    out.append("| --- | --- |")
    for reason, names in sorted(reasons.items()):
        out.append(f"| {reason} | {' '.join(names)} |")
    return out


def gen_lock(d, lock):
    out = ["# Opcodes of the CUDA operations. Appended by protocol/gen/cuda.py lock; a line never changes."]
    out += [f"{n} {v}" for n, v in lock.items()]
    top = max(lock.values(), default=0)
    for o in d.ops:
        if o.name not in lock:
            top += 1
            out.append(f"{o.name} {top}")
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--api", required=True)
    p.add_argument("--lock", required=True)
    p.add_argument("--abi")
    p.add_argument("what", choices=["ops", "dispatch", "handlers", "exports", "shapes", "dict", "table", "lock"])
    a = p.parse_args()
    try:
        d = parse(a.api)
        lock = read_lock(a.lock)
        if a.what == "lock":
            out = gen_lock(d, lock)
        else:
            apply_lock(d, lock, a.lock)
            gens = {"ops": gen_ops, "dispatch": gen_dispatch, "handlers": gen_handlers, "exports": gen_exports,
                    "shapes": gen_shapes, "dict": gen_dict, "table": gen_table}
            out = gens[a.what](d, read_abi(a.abi) if a.abi else {})
    except DescriptionError as e:
        print(e, file=sys.stderr)
        return 1
    print("\n".join(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
