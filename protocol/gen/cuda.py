#!/usr/bin/env python3
"""The CUDA front end of the generator: cuda.py --api cuda.api --lock cuda.lock --abi abi_func.h [--assign] WHAT > file

WHAT is one of
  ops       opcodes, wire structures (both sides)
  dispatch  the worker's decoder
  handlers  prototypes of what the decoder calls
  exports   the guest's table of symbols, its per-thread variants, and what is not supported
  shapes    each command's fields and blobs as a table, for tests that make frames
  dict      a dictionary of frames for fuzzers
  table     the list of exported symbols for docs/cuda.md
--assign appends new operations to the lock file first.

What is the same for every API (lock file, opcodes, structures, blobs, messages) is wire.py's. CUDA's own: the structure lies as the description
says, a handler gets it whole and gives a CUresult, and a reply is a structure too.
"""
import argparse
import re
import sys

import wire
from wire import Error, Where

SCALARS = {"u32": wire.Scalar("uint32_t", "u", 4), "i32": wire.Scalar("int32_t", "i", 4), "f32": wire.Scalar("float", "f", 4),
           "u64": wire.Scalar("uint64_t", "u", 8)}
BLOBS = {"data", "private", "string"}
MAX_FIXED = 256
RESULT = [wire.Value("result", SCALARS["u32"]), wire.Value("reserved_", SCALARS["u32"])]


class Cuda(wire.Api):
    prefix = "xg_cuda"
    upper = "XG_CUDA"
    number = 3
    fields_as_described = True

    def struct(self, call):
        return "struct xg_cuda_" + call.name.lower()


API = Cuda()


class Op(wire.Call):
    """A command: values, then blobs; and what stands in its reply behind the CUresult."""

    def __init__(self, where, name, call, version, values, blobs, reply):
        super().__init__(name, values + blobs, sync=call, since=version, where=where)
        self.values, self.blobs, self.reply = values, blobs, reply

    @property
    def lower(self):
        return self.name.lower()


class Description:
    def __init__(self, path):
        self.path = Where(path, 1)
        self.ops, self.symbols, self.version = [], {}, None
        self.gone = [] # operations that were
        self.takes = [] # symbols that allocate

    def add_symbol(self, where, name, how, reason=None):
        if name in self.symbols:
            raise Error(where, "%s is listed twice" % name)
        self.symbols[name] = (how, reason)


def check_values(where, values):
    """Natural alignment without holes: the structure is the wire format on every compiler."""
    at, seen = 0, set()
    for v in values:
        if v.name in seen:
            raise Error(where, "field '%s' is there twice" % v.name)
        seen.add(v.name)
        size = v.scalar.wire_size
        if at % size:
            raise Error(where, "field '%s' is not aligned; put a reserved:u32 before it" % v.name)
        at += size
    if at > MAX_FIXED:
        raise Error(where, "%d bytes of fixed fields, the limit is %d" % (at, MAX_FIXED))


def parse_blob(name, kind, nullable):
    if kind == "string":
        return wire.InString(name, nullable=nullable, scratch="s")
    return wire.InBlob(name, nullable=nullable, private=kind == "private", scratch="s")


def parse_op(where, words):
    if len(words) < 2 or words[1] not in ("oneway", "call"):
        raise Error(where, "expected 'op NAME oneway|call ...'")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", words[0]):
        raise Error(where, "'%s' is not an operation's name" % words[0])
    rest, version = words[2:], 1
    if rest and re.fullmatch(r"v[0-9]+", rest[0]):
        version = int(rest.pop(0)[1:])
    values, blobs, reply = [], [], []
    into = values
    for word in rest:
        if word == "->":
            if words[1] == "oneway":
                raise Error(where, "a one-way operation has no reply")
            into = reply
            continue
        name, _, kind = word.partition(":")
        if kind in SCALARS and re.fullmatch(r"[a-z][a-z0-9_]*", name):
            if blobs and into is values:
                raise Error(where, "field '%s' behind a blob" % name)
            into.append(wire.Value(name, SCALARS[kind], where=where))
        elif kind.rstrip("?") in BLOBS and into is values:
            blobs.append(parse_blob(name, kind.rstrip("?"), kind.endswith("?")))
        else:
            raise Error(where, "'%s' is neither a field nor a blob" % word)
    check_values(where, values)
    check_values(where, RESULT + reply)
    return Op(where, words[0], words[1] == "call", version, values, blobs, reply)


def parse(path):
    d = Description(path)
    for where, line in wire.read_lines(path):
        word, _, rest = line.partition(" ")
        if word == "version":
            d.version = int(rest)
        elif word == "op":
            op = parse_op(where, rest.split())
            if any(o.name == op.name for o in d.ops):
                raise Error(where, "operation %s is there twice" % op.name)
            d.ops.append(op)
        elif word == "gone":
            d.gone += [wire.Call(name, [], where=where) for name in rest.split()]
        elif word in ("hand", "local", "alias"):
            for name in rest.split():
                d.add_symbol(where, name, word)
        elif word == "takes":
            d.takes += [(where, name) for name in rest.split()]
        elif word == "none":
            m = re.fullmatch(r'"([^"]+)"\s+(.*)', rest)
            if not m:
                raise Error(where, "expected 'none \"reason\" SYMBOL ...'")
            for name in m.group(2).split():
                d.add_symbol(where, name, "none", m.group(1))
        else:
            raise Error(where, "unknown word '%s'" % word)
    if d.version is None:
        raise Error(d.path, "no version")
    for where, name in d.takes:
        if d.symbols.get(name, ("none", None))[0] == "none":
            raise Error(where, "%s is not exported, or not supported" % name)
    for gone in d.gone:
        if any(o.name == gone.name for o in d.ops):
            raise Error(gone.where, "operation %s is not gone" % gone.name)
    for op in d.ops:
        if op.since > d.version:
            raise Error(op.where, "%s is newer than the description" % op.name)
    return d


def read_abi(path):
    text = re.sub(r"/\*.*?\*/", "", open(path, encoding="utf-8").read(), flags=re.S)
    protos = {}
    for m in re.finditer(r"CUresult\s+(cu\w+)\(([^;]*)\);", text):
        args = [" ".join(a.split()) for a in m.group(2).split(",")]
        protos[m.group(1)] = [] if args == ["void"] else args
    return protos


def fields(values):
    return [f for v in values for f in v.fields()]


def size_of(values):
    return (sum(f[2] for f in fields(values)) + 7) // 8 * 8


def struct(name, lines, values):
    return lines + ['_Static_assert(sizeof(%s) == %d, "wire");' % (name, size_of(values))]


def gen_ops(d, protos):
    out = wire.generated("cuda.api")
    out += ["#ifndef XG_GEN_CUDA_OPS_H", "#define XG_GEN_CUDA_OPS_H", "", '#include "protocol/codec.h"', '#include "protocol/ring.h"', ""]
    out += wire.emit_opcodes(API, d.ops) + ['_Static_assert(XG_API_CUDA == %d, "wire");' % API.number, ""]
    for o in d.ops:
        name = API.struct(o)
        if o.values:
            out += struct(name, wire.emit_struct(API, o), o.values)
        if o.sync:
            out += struct(name + "_reply", wire.struct_lines(name + "_reply", fields(RESULT + o.reply)), RESULT + o.reply)
        out.append("")
    out.append("#endif")
    return out


def handler_args(o):
    args = ["struct cu_worker *w"]
    if o.values:
        args.append(f"const {API.struct(o)} *a")
    for b in o.blobs:
        args.append(f"{b.ctype}{b.name}")
        if isinstance(b, wire.InBlob):
            args.append(f"uint32_t {b.name}_size")
    return args


def gen_handlers(d, protos):
    out = wire.generated("cuda.api")
    out += ["#ifndef XG_GEN_CUDA_HANDLERS_H", "#define XG_GEN_CUDA_HANDLERS_H", "", '#include "cuda_ops.h"', "",
            "struct cu_worker;", "struct xg_worker_ring;", ""]
    for o in d.ops:
        out.append(f"uint32_t xg_cu_{o.lower}({', '.join(handler_args(o))});")
    out += ["", "/* Decodes one command and calls its handler, which gives the CUresult of one that replies for itself too. */",
            "uint32_t xg_cu_decode(struct cu_worker *w, struct xg_scratch *s, uint16_t op, struct xg_reader *rd, bool *oneway, bool *known);", "#endif"]
    return out


def gen_dispatch(d, protos):
    out = wire.generated("cuda.api")
    out += ['#include "backend/cuda/replay.h"', "", '#include "cuda_handlers.h"', ""]
    for o in d.ops:
        out += [f"static uint32_t decode_{o.lower}(struct cu_worker *w, struct xg_scratch *s, struct xg_reader *rd)", "{"]
        call, body = ["w"], []
        if o.values:
            body.append(f"const {API.struct(o)} *a = xg_read(rd, sizeof *a);")
            call.append("a")
        for b in o.blobs:
            body += b.worker_read(API)
            call.append(b.worker_arg())
        body.append(f"return xg_reader_ok(rd) ? xg_cu_{o.lower}({', '.join(call)}) : 0;")
        out += wire.indent(body) + ["}", ""]
    out += ["static const struct {", "    uint32_t (*decode)(struct cu_worker *, struct xg_scratch *, struct xg_reader *);",
            "    bool oneway;", "} ops[] = {"]
    for o in d.ops:
        out.append(f"    [{o.op}] = {{decode_{o.lower}, {'false' if o.sync else 'true'}}},")
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
    out = wire.generated("cuda.api")
    out += ['#include "interposer/cuda/cu.h"', ""]
    table = []
    for name, (how, reason) in sorted(d.symbols.items()):
        table.append(name)
        if how == "none" and name not in protos: # what its arguments are does not matter
            out += [f"XG_EXPORT CUresult {name}(void);"]
        if how == "none":
            out += [proto_text(name, protos.get(name, [])), "{", "    return cu_not_supported(\"" + name + "\");", "}"]
    for name in sorted(protos):
        base = variant_of(name)
        if not base or base not in d.symbols:
            continue
        if name in d.symbols:
            raise Error(d.path, f"{name} is made from {base}: do not list it")
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
        raise Error(d.path, "not here, but in the ABI header: " + " ".join(missing))
    return out


def gen_shapes(d, protos):
    out = wire.generated("cuda.api")
    out += ["#ifndef XG_GEN_CUDA_SHAPES_H", "#define XG_GEN_CUDA_SHAPES_H", "", '#include "cuda_ops.h"', "",
            "/* The shape of each command. A name is NULL behind the last. */",
            "struct xg_cuda_shape {", "    const char *name;", "    uint16_t op;", "    bool call;",
            "    uint32_t fixed; /* bytes of the structure */", "    struct {", "        const char *name;",
            "        uint32_t at, size;", f"    }} field[{max(len(o.values) for o in d.ops) + 1}];", "    struct {",
            "        const char *name;", "        bool string, null;",
            f"    }} blob[{max(len(o.blobs) for o in d.ops) + 1}];", "};", "",
            "static const struct xg_cuda_shape xg_cuda_shapes[] = {"]
    for o in d.ops:
        at, values = 0, []
        for v in o.values:
            values.append(f'{{"{v.name}", {at}, {v.scalar.wire_size}}}')
            at += v.scalar.wire_size
        blobs = [f'{{"{b.name}", {"true" if isinstance(b, wire.InString) else "false"}, {"true" if b.nullable else "false"}}}' for b in o.blobs]
        out.append(f'    {{"{o.name}", {API.op(o)}, {"true" if o.sync else "false"}, {size_of(o.values)},')
        out.append(f"     {{{', '.join(values) or '{0}'}}},")
        out.append(f"     {{{', '.join(blobs) or '{0}'}}}}},")
    out += ["};", "", "#endif"]
    return out


def gen_takes(d, protos):
    """What allocates, for a test that tries each."""
    out = wire.generated("cuda.api") + ["#ifndef XG_GEN_CUDA_TAKES_H", "#define XG_GEN_CUDA_TAKES_H", "#define XG_CUDA_TAKES(X) \\"]
    return out + ["    X(%s) \\" % name for _, name in d.takes] + ["", "#endif"]


def gen_dict(d, protos):
    return wire.emit_dictionary(API, d.ops)


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


GENERATORS = {"ops": gen_ops, "dispatch": gen_dispatch, "handlers": gen_handlers, "exports": gen_exports,
              "shapes": gen_shapes, "dict": gen_dict, "takes": gen_takes, "table": gen_table}


def main(argv):
    p = argparse.ArgumentParser()
    p.add_argument("--api", required=True)
    p.add_argument("--lock", required=True)
    p.add_argument("--abi")
    p.add_argument("--assign", action="store_true")
    p.add_argument("what", nargs="?", choices=list(GENERATORS))
    a = p.parse_args(argv)
    d = parse(a.api)
    lock = wire.Opcodes(a.lock, since=False)
    if a.assign:
        print("%d new opcodes" % lock.assign(d.ops, d.version), file=sys.stderr)
    lock.apply(d.ops + d.gone)
    lock.all_described(d.ops + d.gone)
    if a.what:
        print("\n".join(GENERATORS[a.what](d, read_abi(a.abi) if a.abi else {})))
    return 0


if __name__ == "__main__":
    wire.run(main)
