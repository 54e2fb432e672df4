#!/usr/bin/env python3
"""The CUDA front end of the generator: cuda.py --api cuda.api --lock cuda.lock --abi func_table.h [--assign] WHAT > file

WHAT is one of
  ops       opcodes, wire structures (both sides)
  send      the guest's senders
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

import ops
import wire
from wire import Error

RESULT = [wire.Value("result", ops.SCALARS["u32"]), wire.Value("reserved_", ops.SCALARS["u32"])]

API = ops.Api("cuda", 3)


class Description(ops.Description):
    def __init__(self, path):
        super().__init__(path)
        self.symbols = {}
        self.takes = [] # symbols that allocate

    def add_symbol(self, where, name, how, reason=None):
        if name in self.symbols:
            raise Error(where, "%s is listed twice" % name)
        self.symbols[name] = (how, reason)


def parse(path):
    d = Description(path)
    for where, line in wire.read_lines(path):
        word, _, rest = line.partition(" ")
        if word == "version":
            d.version = int(rest)
        elif word == "op":
            d.add_op(where, rest.split(), RESULT)
        elif word == "gone":
            d.add_gone(where, rest.split())
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
    d.check()
    for where, name in d.takes:
        if d.symbols.get(name, ("none", None))[0] == "none":
            raise Error(where, "%s is not exported, or not supported" % name)
    return d


def read_prototypes(path):
    """Of cuda/abi/func_table.h: name -> types of its arguments."""
    return {name: [] if args == ["void"] else args for _, (name, *args) in wire.read_rows(path, "F")}


def gen_ops(d, protos):
    out = wire.generated("cuda.api")
    out += ["#ifndef XG_GEN_CUDA_OPS_H", "#define XG_GEN_CUDA_OPS_H", "", '#include "protocol/codec.h"', '#include "protocol/ring.h"', ""]
    out += wire.emit_opcodes(API, d.ops) + ['_Static_assert(XG_API_CUDA == %d, "wire");' % API.number, ""]
    out += ops.emit_structs(API, d.ops, RESULT)
    out.append("#endif")
    return out


def blob_args(b):
    if isinstance(b, ops.BuiltBlob):
        return [f"uint32_t {b.name}_size"]
    return [f"{b.ctype}{b.name}"] + ([] if isinstance(b, wire.InString) else [f"uint64_t {b.name}_size"])


def blob_size(b):
    """Lines that make NAME_size what it is to be."""
    if isinstance(b, wire.InString):
        length = f"strlen({b.name}) + 1"
        return [f"uint64_t {b.name}_size = {f'{b.name} ? {length} : 0' if b.nullable else length};"]
    return [f"if (!{b.name})", f"    {b.name}_size = 0;"] if b.nullable else []


def blob_room(b):
    return f"{'cu_built_room' if isinstance(b, ops.BuiltBlob) else 'xg_blob_room'}({b.name}_size)"


def blob_put(b, last):
    if isinstance(b, ops.BuiltBlob):
        return f"void *built = cu_built_put(&at, {b.name}_size);"
    return f"{'' if last else 'at = '}xg_blob_put(c->ring, at, {b.name}, {b.name}_size);"


def sender_args(o):
    return ([f"const {API.struct(o)} *a"] if o.values else []) + [a for b in o.blobs for a in blob_args(b)]


def function(head, body):
    return [head, "{"] + wire.indent(body) + ["}"]


def gen_put(o):
    """Writes the frame. A blob that is built goes where the answer says."""
    built = any(isinstance(b, ops.BuiltBlob) for b in o.blobs)
    size = " + ".join((["sizeof(*p)"] if o.values else []) + [blob_room(b) for b in o.blobs]) or "0"
    frame = f"cu_frame{'_call' if o.sync else ''}(c, {API.op(o)}, {f'(uint32_t)({size})' if o.blobs else size})"
    body = [line for b in o.blobs for line in blob_size(b)]
    if o.values:
        body += [f"{API.struct(o)} *p = {frame};", "*p = *a;"]
    if o.blobs:
        body += [f"void *at = {'p + 1' if o.values else frame};"] + [blob_put(b, b is o.blobs[-1]) for b in o.blobs]
    elif not o.values:
        body += [frame + ";"]
    args = ", ".join(["struct cu_cmd *c"] + sender_args(o))
    return function(f"static inline {'void *' if built else 'void '}cu_put_{o.lower}({args})", body + (["return built;"] if built else []))


def gen_whole(o):
    """Begins, writes and ends; a call waits, too."""
    put = ", ".join(["&c"] + [a.split()[-1].lstrip("*") for a in sender_args(o)])
    reply = o.sync and o.reply
    body = ["struct cu_cmd c;", f"cu_begin{'_call' if o.sync else ''}(&c, ctx);", f"cu_put_{o.lower}({put});"]
    body += ["cu_send(&c);", "return cu_wait(&c, reply, sizeof(*reply));"] if reply else ["return cu_end(&c);"]
    args = ["struct cu_ctx *ctx"] + sender_args(o) + ([f"{API.struct(o)}_reply *reply"] if reply else [])
    return function(f"static inline CUresult cu_{'call' if o.sync else 'send'}_{o.lower}({', '.join(args)})", body)


def gen_send(d, protos):
    """Senders take the structure whole, so that their callers name the fields, and the reserved ones are 0."""
    out = ['#include "interposer/cuda/cu.h"', ""]
    for o in d.ops:
        out += gen_put(o)
        if not any(isinstance(b, ops.BuiltBlob) for b in o.blobs):
            out += gen_whole(o)
        out.append("")
    return wire.generated("cuda.api") + ops.guard("XG_GEN_CUDA_SEND_H", out[:-1])


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
    out += ["#ifndef XG_GEN_CUDA_HANDLERS_H", "#define XG_GEN_CUDA_HANDLERS_H", "", '#include "cuda/ops.h"', "",
            "struct cu_worker;", "struct xg_worker_ring;", ""]
    for o in d.ops:
        out.append(f"uint32_t xg_cu_{o.lower}({', '.join(handler_args(o))});")
    out += ["", "/* Decodes one command and calls its handler, which gives the CUresult of one that replies for itself too. */",
            "uint32_t xg_cu_decode(struct cu_worker *w, struct xg_scratch *s, uint16_t op, struct xg_reader *rd, bool *oneway, bool *known);", "#endif"]
    return out


def gen_dispatch(d, protos):
    out = wire.generated("cuda.api")
    out += ['#include "backend/cuda/replay.h"', "", '#include "cuda/handlers.h"', ""]
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
        if not base or base not in d.symbols or name in d.symbols:
            continue
        table.append(name)
        args = ", ".join(f"a{i}" for i in range(len(protos[name])))
        out += [proto_text(name, protos[name]), "{", "    CUstream before = xg_cuda_default_stream;",
                "    xg_cuda_default_stream = CU_STREAM_PER_THREAD;", f"    CUresult r = {base}({args});",
                "    xg_cuda_default_stream = before;", "    return r;", "}"]
    out += ["", "const struct cu_export cu_exports[] = {"]
    for name in sorted(table):
        out.append(f'    {{"{name}", (void *){name}}},')
    out += ["};", f"const unsigned cu_export_count = {len(table)};"]
    missing = sorted(n for n in protos if n not in table)
    if missing:
        raise Error(d.path, "not here, but in the ABI header: " + " ".join(missing))
    return out


def gen_shapes(d, protos):
    return ops.emit_shapes(API, "cuda.api", "cuda/ops.h", d.ops)


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


def gen_names(d, _protos):
    return wire.generated("cuda.api") + ops.guard("XG_GEN_CUDA_NAMES_H", wire.emit_names(API, d.ops))


GENERATORS = {"names": gen_names, "ops": gen_ops, "send": gen_send, "dispatch": gen_dispatch, "handlers": gen_handlers, "exports": gen_exports,
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
    new = d.number(wire.Opcodes(a.lock, since=False), a.assign)
    if a.assign:
        print("%d new opcodes" % new, file=sys.stderr)
    if a.what:
        print("\n".join(GENERATORS[a.what](d, read_prototypes(a.abi) if a.abi else {})))
    return 0


if __name__ == "__main__":
    wire.run(main)
