"""The language in which the APIs that are our own describe their commands, cuda.api and wsi.api, and what is made of it for all of them.

  op NAME oneway|call [vN] FIELD:TYPE ... [BLOB:data|private|built|string[?]] [-> FIELD:TYPE ...]
"""
import re

import wire
from wire import Error

SCALARS = {"u32": wire.Scalar("uint32_t", "u", 4), "i32": wire.Scalar("int32_t", "i", 4), "f32": wire.Scalar("float", "f", 4),
           "u64": wire.Scalar("uint64_t", "u", 8)}
BLOBS = {"data", "private", "built", "string"}
MAX_FIXED = 256
# Names of parameters and variables of what is generated, on either side.
LOCALS = {"a", "c", "ctx", "p", "at", "built", "reply", "w", "s", "rd"}


class Api(wire.Api):
    """Of an API that is our own: its structures lie as the description says."""

    fields_as_described = True

    def __init__(self, name, number):
        self.prefix, self.upper, self.number = "xg_" + name, "XG_" + name.upper(), number

    def struct(self, call):
        return "struct %s_%s" % (self.prefix, call.name.lower())


class Op(wire.Call):
    """A command: values, then blobs; and what stands in its reply behind the CUresult."""

    def __init__(self, where, name, call, version, values, blobs, reply):
        super().__init__(name, values + blobs, sync=call, since=version, where=where)
        self.values, self.blobs, self.reply = values, blobs, reply

    @property
    def lower(self):
        return self.name.lower()


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


class BuiltBlob(wire.InBlob):
    """As a private one to the worker; in the guest the sender's caller writes it, into the frame itself."""


def parse_blob(where, name, kind, nullable):
    if kind == "string":
        return wire.InString(name, nullable=nullable, scratch="s", where=where)
    if kind == "built" and nullable:
        raise Error(where, "blob '%s' is built in the frame, so it is there" % name)
    make = BuiltBlob if kind == "built" else wire.InBlob
    return make(name, nullable=nullable, private=kind != "data", scratch="s", where=where)


def check_blobs(where, values, blobs):
    seen = {v.name for v in values}
    for b in blobs:
        if b.name in LOCALS:
            raise Error(where, "blob '%s' has a name that the generated functions use" % b.name)
        for name in (b.name, b.name + "_size"):
            if name in seen:
                raise Error(where, "'%s' is there twice" % name)
            seen.add(name)
    if sum(isinstance(b, BuiltBlob) for b in blobs) > 1:
        raise Error(where, "more than one blob is built in the frame")


def parse_op(where, words, result=()):
    """`result`: what stands in each reply before the fields of its own."""
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
            blobs.append(parse_blob(where, name, kind.rstrip("?"), kind.endswith("?")))
        else:
            raise Error(where, "'%s' is neither a field nor a blob" % word)
    check_values(where, values)
    check_blobs(where, values, blobs)
    check_values(where, list(result) + reply)
    return Op(where, words[0], words[1] == "call", version, values, blobs, reply)


class Description:
    def __init__(self, path):
        self.path = wire.Where(path, 1)
        self.ops, self.version = [], None
        self.gone = []  # operations that were

    def add_op(self, where, words, result=()):
        op = parse_op(where, words, result)
        if any(o.name == op.name for o in self.ops):
            raise Error(where, "operation %s is there twice" % op.name)
        self.ops.append(op)

    def add_gone(self, where, names):
        self.gone += [wire.Call(name, [], where=where) for name in names]

    def check(self):
        if self.version is None:
            raise Error(self.path, "no version")
        for gone in self.gone:
            if any(o.name == gone.name for o in self.ops):
                raise Error(gone.where, "operation %s is not gone" % gone.name)
        for op in self.ops:
            if op.since > self.version:
                raise Error(op.where, "%s is newer than the description" % op.name)

    def number(self, lock, assign=False):
        """Gives each operation its opcode. Returns how many were new."""
        new = lock.assign(self.ops, self.version) if assign else 0
        lock.apply(self.ops + self.gone)
        lock.all_described(self.ops + self.gone)
        return new


def fields(values):
    return [f for v in values for f in v.fields()]


def size_of(values):
    return (sum(f[2] for f in fields(values)) + 7) // 8 * 8


def struct(name, lines, values):
    return lines[:-1] + ["} XG_BY_NAME;"] + ['_Static_assert(sizeof(%s) == %d, "wire");' % (name, size_of(values))]


def emit_structs(api, ops, result=()):
    out = []
    for o in ops:
        name = api.struct(o)
        if o.values:
            out += struct(name, wire.emit_struct(api, o), o.values)
        reply = list(result) + o.reply
        if o.reply:
            out += struct(name + "_reply", wire.struct_lines(name + "_reply", fields(reply)), reply)
        out.append("")
    return out


def guard(name, lines):
    return ["#ifndef " + name, "#define " + name, ""] + lines + ["", "#endif"]


def emit_shapes(api, source, include, ops):
    out = wire.generated(source)
    name = api.prefix + "_shape"
    out += [f"#ifndef XG_GEN_{name[3:].upper()}S_H", f"#define XG_GEN_{name[3:].upper()}S_H", "", f'#include "{include}"', "",
            "/* The shape of each command. A name is NULL behind the last. */",
            f"struct {name} {{", "    const char *name;", "    uint16_t op;", "    bool call;",
            "    uint32_t fixed; /* bytes of the structure */", "    struct {", "        const char *name;",
            "        uint32_t at, size;", f"    }} field[{max(len(o.values) for o in ops) + 1}];", "    struct {",
            "        const char *name;", "        bool string, null;",
            f"    }} blob[{max(len(o.blobs) for o in ops) + 1}];", "};", "",
            f"static const struct {name} {name}s[] = {{"]
    for o in ops:
        at, values = 0, []
        for v in o.values:
            values.append(f'{{"{v.name}", {at}, {v.scalar.wire_size}}}')
            at += v.scalar.wire_size
        blobs = [f'{{"{b.name}", {"true" if isinstance(b, wire.InString) else "false"}, {"true" if b.nullable else "false"}}}' for b in o.blobs]
        out.append(f'    {{"{o.name}", {api.op(o)}, {"true" if o.sync else "false"}, {size_of(o.values)},')
        out.append(f"     {{{', '.join(values) or '{0}'}}},")
        out.append(f"     {{{', '.join(blobs) or '{0}'}}}}},")
    out += ["};", "", "#endif"]
    return out
