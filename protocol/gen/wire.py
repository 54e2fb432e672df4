"""The API-neutral half of the generator: calls, parameters, frames, opcodes.

An API's front end (gl.py, cuda.py) turns its description into Call objects made of Param objects and asks
this module for C. Each kind of parameter knows four things: its fields in the frame's fixed structure, how the
guest writes it, how the worker reads and checks it, and what of it comes back in the reply.

Names in the emitted C, which hooks may use:
    guest   c (the API's context), p (the frame's structure), at (where the next blob goes), reply, take, got (the reply, the part
            that is looked at, its length)
    worker  r (struct xg_worker_ring), c (the API's context), rd (struct xg_reader), p (the frame's structure)

The reply of a call is its return value (8 bytes) and then each out parameter, padded to 8.
"""

import os
import re
import sys


# Names of locals in the emitted C: a parameter must not be called so (a front end appends _).
RESERVED = {"c", "p", "r", "rd", "at", "ticket", "got", "small", "reply", "room", "status", "take", "result", "need", "total", "out", "o", "again"}


class Error(Exception):
    """What is wrong with a description; str() is `file:line: error: text`."""

    def __init__(self, where, text):
        super().__init__("%s: error: %s" % (where, text))


class Where:
    """A place in a description."""

    def __init__(self, path, line):
        self.path = path
        self.line = line

    def __str__(self):
        return "%s:%d" % (self.path, self.line)


def read_lines(path):
    """Yields (Where, text): no comments (# to the end of the line), no empty lines; a line that starts with a blank goes on with the one before."""
    held = None
    with open(path, encoding="utf-8") as f:
        for number, raw in enumerate(f, 1):
            text = re.sub(r"(^|\s)#.*", "", raw.rstrip("\n")).rstrip()
            if not text:
                continue
            if text[0] in " \t":
                if held is None:
                    raise Error(Where(path, number), "continuation of nothing")
                held = (held[0], held[1] + " " + text.strip())
                continue
            if held:
                yield held
            held = (Where(path, number), text)
    if held:
        yield held


def read_rows(path, word):
    """Yields (Where, [cell, ...]) of a table that C includes, too: each line `WORD(cell, ...)` is a row, and no cell has a comma."""
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith(word + "("):
                if not line.endswith(")\n"):
                    raise Error(Where(path, number), "a row is a line: %s(cell, ...)" % word)
                yield Where(path, number), [cell.strip() for cell in line[len(word) + 1:-2].split(",")]


# --- scalars -------------------------------------------------------------------------------------------

# Wire type by size and kind: smaller integers are widened to 32 bits, pointers-as-numbers to 64.
WIRE = {
    "i": {1: "int32_t", 2: "int32_t", 4: "int32_t", 8: "int64_t"},
    "u": {1: "uint32_t", 2: "uint32_t", 4: "uint32_t", 8: "uint64_t"},
    "f": {4: "float", 8: "double"},
}


class Scalar:
    """A C scalar type: its name, kind (i, u, f) and size in bytes (of the 64-bit ABI)."""

    def __init__(self, cname, kind, size):
        self.cname = cname
        self.kind = kind
        self.size = size
        self.wire = WIRE[kind][size]

    @property
    def wire_size(self):
        return 8 if self.size == 8 else 4


# --- parameters ----------------------------------------------------------------------------------------


class Param:
    """Base: a parameter of C type `ctype` (a declaration without the name) that does not travel."""

    def __init__(self, name, ctype, where=None):
        self.name = name
        self.ctype = ctype
        self.where = where

    def declare(self):
        return self.ctype + ("" if self.ctype.endswith("*") else " ") + self.name

    def fields(self):  # of the frame's structure: (C type, name, bytes)
        return []

    def guest_before(self, api):  # lines, before the frame is begun; may return from the function
        return []

    def guest_room(self):  # C expression, bytes behind the structure; None: none
        return None

    def guest_fill(self):  # lines that fill the fields
        return []

    def guest_put(self, api):  # lines that write the blob at `at` and advance it
        return []

    def reply_room(self):  # C expression in the guest: bytes in the reply; None: not in it
        return None

    def guest_after(self):  # lines: takes its part from `take`, which points at it
        return []

    def worker_before(self):  # lines, before the call is made
        return []

    def worker_after(self):  # lines, after it was
        return []

    def guest_finish(self, api):  # lines, after the frame of a call without a reply was written
        return []

    def worker_read(self, api):  # lines: declares what worker_arg names; checks
        return []

    def worker_arg(self):  # C expression: the argument of the real function
        return "0"

    def worker_reply(self):  # (pointer expression, bytes expression) of its part of the reply; None
        return None

    def describe(self):  # for the table in the docs
        return "-"


class Value(Param):
    """A scalar. `to_wire` and `from_wire` are C expressions with {} for the value, where it changes on the way."""

    def __init__(self, name, scalar, ctype=None, to_wire="{}", from_wire="{}", where=None):
        super().__init__(name, ctype or scalar.cname, where)
        self.scalar = scalar
        self.to_wire = to_wire
        self.from_wire = from_wire

    def fields(self):
        return [(self.scalar.wire, self.name, self.scalar.wire_size)]

    def guest_fill(self):
        return ["p->%s = %s;" % (self.name, self.to_wire.format(self.name))]

    def worker_arg(self):
        # p points into the worker's private copy of the frame: reading it twice gives the same.
        value = "p->" + self.name
        if self.scalar.size < 4:
            value = "(%s)%s" % (self.scalar.cname, value)
        return self.from_wire.format(value)

    def describe(self):
        return self.scalar.wire


class InArray(Param):
    """`count` elements of C type `elem` that the function reads. `count` is a C expression over the parameters' names, the same on both
    sides; the worker demands that the blob holds that many. `private`: the contents are looked at (or handed to something that checks and uses
    them), so a blob in the arena is copied first."""

    def __init__(self, name, ctype, elem, count, nullable=False, private=True, where=None):
        super().__init__(name, ctype, where)
        self.elem = elem
        self.count = count
        self.nullable = nullable
        self.private = private

    def guest_before(self, api):
        lines = ["uint64_t n_%s = xg_wire_bytes(%s, sizeof(%s));" % (self.name, self.count, self.elem)]
        if self.nullable:
            lines += ["if (!%s)" % self.name, "    n_%s = 0;" % self.name]
        else:
            # The blob of an array that is not there would end the channel; what the API says to NULL is the API's.
            lines += api.guest_check("!%s && n_%s" % (self.name, self.name), "null")
        return lines + api.guest_check("n_%s > xg_blob_max(%s)" % (self.name, api.guest_ring), "size",
                                       "n_%s > XG_BLOB_INLINE_MAX" % self.name)

    def guest_room(self):
        return "xg_blob_room(n_%s)" % self.name

    def guest_put(self, api):
        data = self.name if self.nullable else "n_%s ? (const void *)%s : xg_zeroes_guest" % (self.name, self.name)
        return ["at = xg_blob_put(%s, at, %s, n_%s);" % (api.guest_ring, data, self.name)]

    def worker_read(self, api):
        expr = api.worker_expr(self.count)
        fn = "xg_read_blob_private(rd, &r->scratch, " if self.private else "xg_read_blob(rd, "
        return ["const %s *%s = %sxg_wire_bytes(%s, sizeof(%s)), %s, &n_%s);" % (
            self.elem, self.name, fn, expr, self.elem, "true" if self.nullable else "false", self.name)]

    def worker_arg(self):
        return self.name

    def describe(self):
        return "%s[%s]" % (self.elem, self.count)


class InBlob(Param):
    """Bytes, as many as there are. `private`: the contents are looked at, so a blob in the arena is copied first. `scratch` is the C expression
    of the memory for that."""

    def __init__(self, name, nullable=False, private=True, scratch="&r->scratch", where=None):
        super().__init__(name, "const void *", where)
        self.nullable = nullable
        self.private = private
        self.scratch = scratch

    def worker_read(self, api):
        fn = "xg_read_blob_private(rd, %s, " % self.scratch if self.private else "xg_read_blob(rd, "
        return ["uint32_t %s_size;" % self.name,
                "const void *%s = %s0, %s, &%s_size);" % (self.name, fn, "true" if self.nullable else "false", self.name)]

    def worker_arg(self):
        return "%s, %s_size" % (self.name, self.name)

    def describe(self):
        return "bytes"


class InFixed(Param):
    """A few elements, as many as `count` (a number) says, that the function reads: they lie in the frame's structure."""

    MOST = 16

    def __init__(self, name, ctype, scalar, count, where=None):
        super().__init__(name, ctype, where)
        self.scalar = scalar
        self.count = int(count)

    def fields(self):
        size = self.scalar.size * self.count
        if self.scalar.size == 8:
            return [(self.scalar.cname, "%s[%d]" % (self.name, self.count), size)]
        return [(self.scalar.cname, "%s[%d]" % (self.name, -(-size // 4) * 4 // self.scalar.size), -(-size // 4) * 4)]

    def guest_before(self, api):
        return api.guest_check("!" + self.name, "null")

    def guest_fill(self):
        return ["memcpy(p->%s, %s, %d * sizeof(%s));" % (self.name, self.name, self.count, self.scalar.cname)]

    def worker_arg(self):
        return "(%s)p->%s" % (self.ctype, self.name)

    def describe(self):
        return "%s[%d]" % (self.scalar.cname, self.count)


class InString(Param):
    """A string that ends in NUL."""

    def __init__(self, name, ctype="const char *", nullable=False, scratch="&r->scratch", where=None):
        super().__init__(name, ctype, where)
        self.nullable = nullable
        self.scratch = scratch

    def guest_before(self, api):
        lines = [] if self.nullable else api.guest_check("!" + self.name, "null")
        return lines + ["uint64_t n_%s = %s ? strlen((const char *)%s) + 1 : 0;" % ((self.name,) * 3)] + \
            api.guest_check("n_%s > xg_blob_max(%s)" % (self.name, api.guest_ring), "size",
                            "n_%s > XG_BLOB_INLINE_MAX" % self.name)

    def guest_room(self):
        return "xg_blob_room(n_%s)" % self.name

    def guest_put(self, api):
        return ["at = xg_blob_put(%s, at, %s, n_%s);" % (api.guest_ring, self.name, self.name)]

    def worker_read(self, api):
        lines = ["const char *%s = xg_read_string(rd, %s);" % (self.name, self.scratch)]
        if not self.nullable:
            lines += ["if (!%s)" % self.name, '    xg_reader_fail(rd, "string missing");']
        return lines

    def worker_arg(self):
        return "(%s)%s" % (self.ctype, self.name) if "char" not in self.ctype or "GL" in self.ctype else self.name

    def describe(self):
        return "string"


class OutArray(Param):
    """`count` elements that the function writes; NULL in the guest: not wanted. They come back in the reply."""

    def __init__(self, name, ctype, elem, count, where=None):
        super().__init__(name, ctype, where)
        self.elem = elem
        self.count = count

    def fields(self):
        return [("uint32_t", "n_" + self.name, 4)]

    def guest_before(self, api):
        return ["uint64_t n_%s = %s ? xg_wire_bytes(%s, sizeof(%s)) : 0;" % (self.name, self.name, self.count, self.elem)] + \
            api.guest_check("n_%s > UINT32_MAX / 2" % self.name, "size")

    def guest_fill(self):
        return ["p->n_%s = (uint32_t)n_%s;" % (self.name, self.name)]

    def reply_room(self):
        return "((n_%s + 7) & ~7ull)" % self.name

    def guest_after(self):
        return ["if (n_%s)" % self.name, "    memcpy(%s, take, n_%s);" % (self.name, self.name)]

    def worker_read(self, api):
        # The worker's own idea of the size is what the function will write; the guest's must not be above it.
        expr = api.worker_expr(self.count)
        return ["%s *%s = NULL;" % (self.elem, self.name),
                "if (p->n_%s) {" % self.name,
                "    uint64_t need = xg_wire_bytes(%s, sizeof(%s));" % (expr, self.elem),
                "    %s = xg_wire_out(r, rd, need, p->n_%s);" % (self.name, self.name),
                "}"]

    def worker_arg(self):
        return self.name

    def worker_reply(self):
        return (self.name, "p->n_" + self.name)

    def describe(self):
        return "out %s[%s]" % (self.elem, self.count)


class OutText(Param):
    """Text that ends in NUL, of at most `count` bytes: the reply carries what there is of it, so it must be the last parameter in it. What does
    not fit into a reply (XG_WIRE_TEXT_MAX) is cut off."""

    def __init__(self, name, ctype, count, where=None):
        super().__init__(name, ctype, where)
        self.count = count

    def fields(self):
        return [("uint32_t", "n_" + self.name, 4)]

    def guest_before(self, api):
        return ["uint64_t n_%s = %s ? xg_wire_text(%s) : 0;" % (self.name, self.name, self.count)]

    def guest_fill(self):
        return ["p->n_%s = (uint32_t)n_%s;" % (self.name, self.name)]

    def reply_room(self):
        return "n_" + self.name

    def guest_after(self):
        return ["xg_wire_take_text(%s, n_%s, take, got - (uint32_t)(take - (uint8_t *)reply));" % (self.name, self.name)]

    def worker_read(self, api):
        return ["char *%s = p->n_%s ? xg_wire_out(r, rd, xg_wire_text(%s), p->n_%s) : NULL;" % (
            self.name, self.name, api.worker_expr(self.count), self.name)]

    def worker_arg(self):
        return self.name

    def worker_reply(self):
        return (self.name, "xg_wire_text_used(%s, p->n_%s)" % (self.name, self.name))

    def describe(self):
        return "out text[<= %s]" % self.count


class OutProbe(Param):
    """Elements that the function writes, as many as it likes, at most `most`: the worker finds out how many by calling twice over different
    fillings. Only for functions that change nothing, as the last parameter."""

    def __init__(self, name, ctype, elem, most, where=None):
        super().__init__(name, ctype, where)
        self.elem = elem
        self.most = most

    def reply_room(self):
        return "%s * sizeof(%s)" % (self.most, self.elem)

    def guest_after(self):
        return ["if (%s && got > (uint32_t)(take - (uint8_t *)reply))" % self.name,
                "    memcpy(%s, take, got - (uint32_t)(take - (uint8_t *)reply));" % self.name]

    def worker_read(self, api):
        return ["%s *%s = xg_wire_out(r, rd, %s * sizeof(%s), 0);" % (self.elem, self.name, self.most, self.elem)]

    def worker_arg(self):
        return self.name

    def describe(self):
        return "out %s[<= %s]" % (self.elem, self.most)


# --- calls ---------------------------------------------------------------------------------------------


class Call:
    """One command. ret: a Scalar or None. sync: the guest waits for the reply; a call that returns something always does."""

    def __init__(self, name, params, ret=None, sync=False, since=1, where=None, ret_ctype=None):
        self.name = name
        self.params = params
        self.ret = ret
        self.ret_ctype = ret_ctype or (ret.cname if ret else "void")
        self.since = since
        self.where = where
        self.op = None
        self.sync = bool(sync or ret or any(p.reply_room() for p in params))
        for p in params[:-1]:
            if isinstance(p, (OutProbe, OutText)):
                raise Error(where, "%s: parameter %s has no fixed size, so it must be the last" % (name, p.name))

    def prototype(self, fn):
        args = ", ".join(p.declare() for p in self.params) or "void"
        return "%s %s(%s)" % (self.ret_ctype, fn, args)

    def probe(self):
        return self.params[-1] if self.params and isinstance(self.params[-1], OutProbe) else None


class Api:
    """What differs between APIs in the emitted C. A front end makes a subclass."""

    prefix = "xg_api"  # of C names
    upper = "XG_API"   # of constants
    number = 0         # XG_API_*
    fields_as_described = False
    guest_ring = "c->ring"
    guest_type = "struct xg_ring *"
    guest_param = "c"

    def guest_check(self, condition, what, cheap=None):
        """Lines that leave the function if `condition` holds. what: "null" or "size". `cheap` is a condition that must hold for the other to; it is tested first."""
        cond = "%s && %s" % (cheap, condition) if cheap else condition
        return ["if (XG_UNLIKELY(%s))" % cond, "    " + self.guest_fail(what)]

    def guest_fail(self, what):
        return "return;"

    def guest_begin(self, op, size):
        return "xg_ring_begin(%s, %s, %s)" % (self.guest_ring, op, size)

    def guest_end(self):
        return ["xg_ring_end(%s);" % self.guest_ring]

    def guest_begin_call(self, op, size):
        return "xg_ring_begin_call(%s, %s, %s, &ticket)" % (self.guest_ring, op, size)

    def guest_wait(self, out, size):
        return "xg_ring_wait(%s, ticket, %s, %s, &got)" % (self.guest_ring, out, size)

    def guest_ret(self, call):
        """The value that a call returns when there was no answer."""
        return "return 0;" if call.ret else "return;"

    def worker_expr(self, expr):
        """A size expression over parameters becomes one over the frame's fields."""
        names = self.expr_names
        return re.sub(r"\b[A-Za-z_]\w*\b(?!\s*\()", lambda m: "p->" + m.group(0) if m.group(0) in names else m.group(0), expr)

    def worker_prologue(self, call):
        """Lines that declare `c`; left out where nothing uses it."""
        return []

    def worker_refusal(self):
        """Lines before and after a call that writes to memory of the application's: what it refused leaves that as it was, so that the reply
        is without it."""
        return [], []

    def worker_around(self, call):
        """Lines before and after a call, whatever it answers."""
        return [], []

    def worker_invoke(self, call, args):
        return "%s(%s)" % (call.name, ", ".join(args))

    def op(self, call):
        return "%s_OP_%s" % (self.upper, call.name)

    def struct(self, call):
        return "struct %s_cmd_%s" % (self.prefix, call.name)


def indent(lines, n=1):
    return ["    " * n + line if line else line for line in lines]


def struct_lines(name, fields):
    """fields: (C type, name, bytes), without holes; padded to 8."""
    lines = [name + " {"]
    lines += ["    %s %s;" % (t, n) for t, n, _ in fields]
    if sum(f[2] for f in fields) % 8:
        lines.append("    uint32_t pad;")
    return lines + ["};"]


def emit_struct(api, call):
    """The frame's structure: fields of whole 8 bytes first, so that there are no holes, then a pad to 8; or, where the API's description says how
    they lie, as they come."""
    fields = [f for p in call.params for f in p.fields()]
    if not api.fields_as_described:
        fields = [f for f in fields if f[2] % 8 == 0] + [f for f in fields if f[2] % 8]
    return struct_lines(api.struct(call), fields) if fields else []


def has_struct(call):
    return any(p.fields() for p in call.params)


def emit_send(api, call, fn, storage="static inline"):
    """A guest function with the call's own parameters after the context, which writes the frame and, for a call, waits."""
    params = ", ".join([api.guest_type + api.guest_param] + [p.declare() for p in call.params])
    body = []
    for p in call.params:
        body += p.guest_before(api)
    size = "sizeof(*p)" if has_struct(call) else "0"
    rooms = [p.guest_room() for p in call.params if p.guest_room()]
    total = " + ".join([size] + rooms)
    pointer = api.struct(call) + " *p" if has_struct(call) else "void *p" if rooms else None
    if call.sync:
        body += ["uint32_t ticket, got = 0;"]
        begin = api.guest_begin_call(api.op(call), "(uint32_t)(%s)" % total)
    else:
        begin = api.guest_begin(api.op(call), "(uint32_t)(%s)" % total)
    body += ["%s = %s;" % (pointer, begin) if pointer else begin + ";"]
    for p in call.params:
        body += p.guest_fill()
    if rooms:
        body += ["void *at = p%s;" % (" + 1" if has_struct(call) else "")]
        for p in call.params:
            body += p.guest_put(api)
        body += ["(void)at;"]
    body += emit_wait(api, call) if call.sync else api.guest_end()
    for p in call.params:
        body += p.guest_finish(api)
    return ["%s %s %s(%s)" % (storage, call.ret_ctype, fn, params), "{"] + indent(body) + ["}"]


def emit_wait(api, call):
    outs = [(p, p.reply_room()) for p in call.params if p.reply_room()]
    total = " + ".join((["8"] if call.ret else []) + [room for _, room in outs]) or "0"
    if not outs and not call.ret:
        return ["(void)%s;" % api.guest_wait("NULL", "0")]
    lines = ["uint64_t small[64], *reply = small;", "uint64_t room = %s;" % total,
             "if (room > sizeof(small) && !(reply = malloc(room)))", "    reply = small, room = 0;",
             "int status = %s;" % api.guest_wait("reply", "(uint32_t)room")]
    copy = []
    if outs:
        copy += ["uint8_t *take = (uint8_t *)reply%s;" % (" + 8" if call.ret else "")]
        for i, (p, room) in enumerate(outs):
            copy += p.guest_after()
            if i + 1 < len(outs):
                copy += ["take += %s;" % room]
    fixed = " + ".join((["8"] if call.ret else []) + [room for p, room in outs if not isinstance(p, (OutProbe, OutText))]) or "0"
    enough = " && got >= " + fixed if fixed != "0" else ""
    lines += ["if (XG_LIKELY(status == 0 && room%s)) {" % enough] + indent(copy)
    if call.ret:
        # A union-free way to take 4 or 8 bytes: the worker stores the widened value in the low bytes.
        lines += ["    %s result;" % call.ret.wire, "    memcpy(&result, reply, sizeof(result));",
                  "    if (reply != small)", "        free(reply);", "    return (%s)result;" % call.ret_ctype, "}"]
        lines += ["if (reply != small)", "    free(reply);", api.guest_ret(call)]
    else:
        lines += ["}", "if (reply != small)", "    free(reply);"]
    return lines


def emit_decode(api, call, fn):
    """The worker's decoder: static void fn(struct xg_worker_ring *r, struct xg_reader *rd)."""
    body = []
    if has_struct(call):
        body += ["const %s *p = xg_read(rd, sizeof(*p));" % api.struct(call)]
    prologue = len(body)
    blobs = [p for p in call.params if isinstance(p, InArray)]
    for p in blobs:
        body += ["uint32_t n_%s;" % p.name]
    for p in call.params:
        body += p.worker_read(api)
    body += ["if (XG_UNLIKELY(!xg_reader_ok(rd)))", "    return;"]
    body += ["(void)n_%s;" % p.name for p in blobs]
    invoke = api.worker_invoke(call, [p.worker_arg() for p in call.params])
    claim, claimed = api.worker_around(call)
    body += claim
    probe = call.probe()
    if probe:
        # Two fillings: what differs in neither was written.
        size = "%s * sizeof(%s)" % (probe.most, probe.elem)
        before, after = api.worker_refusal()
        body += ["memset(%s, 0xa5, %s);" % (probe.name, size)] + before + [invoke + ";"] + after
        body += ["uint32_t n_%s = xg_wire_probe(%s, %s, 0xa5);" % (probe.name, probe.name, size),
                 "if (n_%s < %s) {" % (probe.name, size),
                 "    memset(%s, 0x5a, %s);" % (probe.name, size), "    %s;" % invoke,
                 "    uint32_t again = xg_wire_probe(%s, %s, 0x5a);" % (probe.name, size),
                 "    n_%s = again > n_%s ? again : n_%s;" % ((probe.name,) * 3),
                 "    n_%s = (uint32_t)xg_align_up(n_%s, sizeof(%s));" % (probe.name, probe.name, probe.elem), "}",
                 "xg_reply(r, r->ticket, 0, %s, n_%s);" % (probe.name, probe.name)]
    elif call.sync:
        body += emit_reply(api, call, invoke)
    else:
        body += [line for p in call.params for line in p.worker_before()] + [invoke + ";"]
        body += [line for p in call.params for line in p.worker_after()]
    body += claimed
    if any(re.search(r"[(,!*& ]c[,)\-;]", line) for line in body):
        body[prologue:prologue] = api.worker_prologue(call)
    return ["static void %s(struct xg_worker_ring *r, struct xg_reader *rd)" % fn, "{"] + indent(body) + ["}"]


def emit_reply(api, call, invoke):
    outs = [p.worker_reply() for p in call.params if p.worker_reply()]
    before, after = api.worker_refusal() if outs else ([], [])
    lines = list(before)
    if call.ret:
        lines += ["%s result = (%s)%s;" % (call.ret.wire, call.ret.wire, invoke)]
    else:
        lines += [invoke + ";"]
    lines += after
    if not outs and not call.ret:
        return lines + ["xg_reply(r, r->ticket, 0, NULL, 0);"]
    outs = [(ptr, n if re.fullmatch(r"[\w>-]+", n) else "used_" + ptr, n) for ptr, n in outs]
    lines += ["uint32_t %s = %s;" % (short, n) for _, short, n in outs if short != n]
    outs = [(ptr, short) for ptr, short, _ in outs]
    total = " + ".join((["8"] if call.ret else []) + ["((%s + 7ull) & ~7ull)" % n for _, n in outs])
    lines += ["uint64_t total = %s;" % total, "uint8_t *out = xg_wire_out(r, rd, total, 0), *o = out;",
              "if (!out)", "    return;"]
    if call.ret:
        lines += ["memcpy(o, &result, sizeof(result));", "o += 8;"]
    for ptr, n in outs:
        lines += ["if (%s)" % n, "    memcpy(o, %s, %s);" % (ptr, n), "o += (%s + 7ull) & ~7ull;" % n]
    return lines + ["(void)o;", "xg_reply(r, r->ticket, 0, out, (uint32_t)total);"]


# --- opcodes -------------------------------------------------------------------------------------------


class Opcodes:
    """The lock file: `name number since` per line, or `name number` where the description says since when. A number, once given, is for ever;
    numbers of names that are gone are not given again."""

    def __init__(self, path, since=True, first=1):
        self.path = path
        self.has_since = since
        self.number = {}
        self.since = {}
        taken = {}
        try:
            for where, text in read_lines(path):
                m = re.fullmatch(r"(\w+)\s+(\d+)" + (r"\s+(\d+)" if since else ""), text)
                if not m:
                    raise Error(where, "expected: name number" + (" since" if since else ""))
                name, number = m.group(1), int(m.group(2))
                if name in self.number:
                    raise Error(where, "%s is there twice" % name)
                if number in taken:
                    raise Error(where, "%s has the number of %s" % (name, taken[number]))
                if not first <= number < 4096:
                    raise Error(where, "number %d is not in %d..4095" % (number, first))
                if number < max(taken, default=first):
                    raise Error(where, "%d stands behind %d: lines are only appended" % (number, max(taken)))
                self.number[name] = number
                if since:
                    self.since[name] = int(m.group(3))
                taken[number] = name
        except FileNotFoundError:
            pass
        self.next = max(taken, default=first - 1) + 1

    def apply(self, calls):
        """Gives each call its number and version. Calls without one are an error; `assign` comes first."""
        for call in calls:
            if call.name not in self.number:
                raise Error(call.where or Where(self.path, 1), "%s has no number in %s (run the generator with --assign)" % (call.name, self.path))
            call.op = self.number[call.name]
            call.since = self.since.get(call.name, call.since)

    def all_described(self, calls):
        """For an API that nobody but us makes: what was once there stays there."""
        gone = set(self.number) - {c.name for c in calls}
        if gone:
            raise Error(self.path, "%s not in the description: opcodes are never taken back" % ", ".join(sorted(gone)))

    def assign(self, calls, version):
        """Appends what is missing to the file."""
        new = [c for c in calls if c.name not in self.number]
        with open(self.path, "a", encoding="utf-8") as f:
            for call in new:
                f.write("%s %d%s\n" % (call.name, self.next, " %d" % version if self.has_since else ""))
                self.number[call.name], self.since[call.name] = self.next, version
                self.next += 1
        return len(new)


def emit_opcodes(api, calls):
    lines = ["enum %s_op {" % api.prefix]
    lines += ["    %s = 0x%04x," % (api.op(c), api.number << 12 | c.op) for c in sorted(calls, key=lambda c: c.op)]
    return lines + ["    %s_OP_END = 0x%04x" % (api.upper, api.number << 12 | (max((c.op for c in calls), default=0) + 1)), "};"]


def emit_dictionary(api, calls):
    """For libFuzzer and AFL: each opcode as the first four bytes of a frame."""
    out = []
    for c in sorted(calls, key=lambda c: c.op):
        op = api.number << 12 | c.op
        out.append('%s="\\x%02x\\x%02x\\x%02x\\x00"' % (c.name, op & 255, op >> 8, 1 if c.sync else 0))
    return out


def emit_table(api, calls):
    """Markdown for the docs."""
    out = ["| opcode | call | since | waits | parameters |", "| --- | --- | --- | --- | --- |"]
    for c in sorted(calls, key=lambda c: c.op):
        params = ", ".join("%s: %s" % (p.name, p.describe()) for p in c.params if p.describe() != "-")
        out.append("| 0x%04x | %s | %d | %s | %s |" % (api.number << 12 | c.op, c.name, c.since, "yes" if c.sync else "no", params.replace("|", "\\|")))
    return out


# --- files ---------------------------------------------------------------------------------------------


def emit_names(api, calls):
    """Names of operations by their number within the API, for people."""
    return ["static const char *const %s_op_names[] = {" % api.prefix] + [
        '    [0x%03x] = "%s",' % (c.op, c.name) for c in sorted(calls, key=lambda c: c.op)] + ["};"]


def generated(source):
    return ["/* Generated by protocol/gen from %s: do not edit. */" % source]


def write(path, lines):
    """Writes a file whole or not at all; one that would not change is left alone, with its time."""
    text = "\n".join(lines) + "\n"
    try:
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    except FileNotFoundError:
        pass
    tmp = "%s.%d" % (path, os.getpid())
    with open(tmp, "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(tmp, path)


def run(main):
    """Runs a front end; an Error becomes a line on stderr and exit status 1."""
    try:
        sys.exit(main(sys.argv[1:]) or 0)
    except Error as e:
        print(e, file=sys.stderr)
        sys.exit(1)
