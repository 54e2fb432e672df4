#!/usr/bin/env python3
"""The window system's front end of the generator: wsi.py --api wsi.api --lock wsi.lock [--assign] WHAT > file

WHAT is one of
  ops       opcodes, wire structures (both sides)
  send      the guest's senders
  handlers  prototypes of what the worker's decoder calls
  dispatch  the decoder
  shapes    each command's fields as a table, for tests that make frames
--assign appends new operations to the lock file first.

A call without a reply of its own is answered by what its handler returns; one with a reply answers for itself, perhaps later.
"""
import argparse
import sys

import ops
import wire
from wire import Error

API = ops.Api("wsi", 2)
SOURCE = "wsi.api"


def parse(path):
    d = ops.Description(path)
    for where, line in wire.read_lines(path):
        word, _, rest = line.partition(" ")
        if word == "version":
            d.version = int(rest)
        elif word == "op":
            d.add_op(where, rest.split())
        elif word == "gone":
            d.add_gone(where, rest.split())
        else:
            raise Error(where, "unknown word '%s'" % word)
    d.check()
    for o in d.ops:
        if o.blobs or not o.values:
            raise Error(o.where, "%s: a command of the window system is one structure, without blobs" % o.name)
    return d


def gen_ops(d):
    out = ['#include "protocol/gl/wire.h"', '#include "protocol/ring.h"', ""]
    out += wire.emit_opcodes(API, d.ops) + ['_Static_assert(XG_API_WSI == %d, "wire");' % API.number, ""]
    return wire.generated(SOURCE) + ops.guard("XG_GEN_WSI_OPS_H", out + ops.emit_structs(API, d.ops))


def gen_send(d):
    """A sender takes the whole structure, so that its caller names the fields, and the reserved ones are 0."""
    out = ['#include "frontend/channel.h"', '#include "wsi/ops.h"', ""]
    for o in d.ops:
        ticket, begin = (", uint32_t *ticket", "xg_ring_begin_call(r, %s, sizeof(*p), ticket)") if o.sync else ("", "xg_ring_begin(r, %s, sizeof(*p))")
        body = ["%s *p = %s;" % (API.struct(o), begin % API.op(o)), "*p = *c;"] + ([] if o.sync else ["xg_ring_end(r);"])
        out += [f"static inline void xg_wsi_send_{o.lower}(struct xg_ring *r, const {API.struct(o)} *c{ticket})", "{"] + wire.indent(body) + ["}"]
    return wire.generated(SOURCE) + ops.guard("XG_GEN_WSI_SEND_H", out)


def handler(o):
    end = ")" if answered(o) else ", struct xg_reader *rd)"
    return f"{'int' if answered(o) else 'void'} xg_wsir_{o.lower}(struct xg_worker_ring *r, struct wsi_state *s, const {API.struct(o)} *c{end}"


def answered(o):
    """By its status, which the handler returns."""
    return o.sync and not o.reply


def gen_handlers(d):
    out = ['#include "wsi/ops.h"', "", "struct wsi_state;", "struct xg_reader;", "struct xg_worker_ring;", ""]
    out += [handler(o) + ";" for o in d.ops]
    out += ["", "/* Decodes one command and calls its handler. False: it is unknown. */",
            "bool xg_wsir_decode(struct xg_worker_ring *r, struct wsi_state *s, uint16_t op, struct xg_reader *rd);"]
    return wire.generated(SOURCE) + ops.guard("XG_GEN_WSI_HANDLERS_H", out)


def gen_dispatch(d):
    out = wire.generated(SOURCE) + ['#include "backend/wsi/wsi.h"', ""]
    for o in d.ops:
        call = f"xg_wsir_{o.lower}(r, s, c{'' if answered(o) else ', rd'})"
        body = [f"const {API.struct(o)} *c = xg_read(rd, sizeof(*c));", "if (xg_reader_ok(rd))",
                f"    xg_reply(r, r->ticket, {call}, NULL, 0);" if answered(o) else f"    {call};"]
        out += [f"static void decode_{o.lower}(struct xg_worker_ring *r, struct wsi_state *s, struct xg_reader *rd)", "{"] + wire.indent(body) + ["}", ""]
    out += ["static void (*const decode[])(struct xg_worker_ring *, struct wsi_state *, struct xg_reader *) = {"]
    out += [f"    [{API.op(o)} & ((1u << XG_OP_API_SHIFT) - 1)] = decode_{o.lower}," for o in d.ops]
    out += ["};", "", "bool xg_wsir_decode(struct xg_worker_ring *r, struct wsi_state *s, uint16_t op, struct xg_reader *rd)", "{",
            "    unsigned n = op & ((1u << XG_OP_API_SHIFT) - 1);", "", "    if (n >= XG_ARRAY_LEN(decode) || !decode[n])", "        return false;",
            "    decode[n](r, s, rd);", "    return true;", "}"]
    return out


def gen_shapes(d):
    return ops.emit_shapes(API, SOURCE, "wsi/ops.h", d.ops)


def gen_names(d):
    return wire.generated(SOURCE) + ops.guard("XG_GEN_WSI_NAMES_H", wire.emit_names(API, d.ops))


GENERATORS = {"names": gen_names, "ops": gen_ops, "send": gen_send, "handlers": gen_handlers, "dispatch": gen_dispatch, "shapes": gen_shapes}


def main(argv):
    p = argparse.ArgumentParser()
    p.add_argument("--api", required=True)
    p.add_argument("--lock", required=True)
    p.add_argument("--assign", action="store_true")
    p.add_argument("what", nargs="?", choices=list(GENERATORS))
    a = p.parse_args(argv)
    d = parse(a.api)
    new = d.number(wire.Opcodes(a.lock, since=False, first=0), a.assign)
    if a.assign:
        print("%d new opcodes" % new, file=sys.stderr)
    if a.what:
        print("\n".join(GENERATORS[a.what](d)))
    return 0


if __name__ == "__main__":
    wire.run(main)
