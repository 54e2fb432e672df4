"""OpenGL: makes guest stubs and worker decoders from gl.xml and protocol/gl/gl.annot.

    gl.py --xml gl.xml --annot gl.annot --opcodes opcodes [--assign VERSION] --out DIR

protocol/gl/README.md describes the annotation file.
"""

import argparse
import os
import itertools
import re
import xml.etree.ElementTree as ElementTree

import wire
from wire import Error, Where

SCALARS = {s.cname: s for s in [
    wire.Scalar("GLenum", "u", 4), wire.Scalar("GLbitfield", "u", 4), wire.Scalar("GLuint", "u", 4),
    wire.Scalar("GLint", "i", 4), wire.Scalar("GLsizei", "i", 4), wire.Scalar("GLboolean", "u", 1),
    wire.Scalar("GLbyte", "i", 1), wire.Scalar("GLubyte", "u", 1), wire.Scalar("GLchar", "i", 1),
    wire.Scalar("GLshort", "i", 2), wire.Scalar("GLushort", "u", 2), wire.Scalar("GLhalfNV", "u", 2),
    wire.Scalar("GLfloat", "f", 4), wire.Scalar("GLclampf", "f", 4), wire.Scalar("GLdouble", "f", 8),
    wire.Scalar("GLclampd", "f", 8), wire.Scalar("GLfixed", "i", 4), wire.Scalar("GLintptr", "i", 8),
    wire.Scalar("GLsizeiptr", "i", 8), wire.Scalar("GLint64", "i", 8), wire.Scalar("GLuint64", "u", 8),
    wire.Scalar("GLint64EXT", "i", 8), wire.Scalar("GLuint64EXT", "u", 8), wire.Scalar("GLhandleARB", "u", 4),
    wire.Scalar("GLintptrARB", "i", 8), wire.Scalar("GLsizeiptrARB", "i", 8), wire.Scalar("GLcharARB", "i", 1),
]}
SYNC = wire.Scalar("GLsync", "u", 8)

# gl.xml's class attribute, and the name space of protocol/gl/wire.h that it means. Display lists keep their names.
SPACES = {
    "buffer": "BUFFER", "texture": "TEXTURE", "renderbuffer": "RENDERBUFFER", "sampler": "SAMPLER",
    "program": "PROGRAM", "shader": "PROGRAM", "framebuffer": "FRAMEBUFFER", "vertex array": "VERTEX_ARRAY",
    "arb program": "ARB_PROGRAM", "query": "QUERY", "program pipeline": "PIPELINE", "transform feedback": "XFB",
}
KEPT = ("display list", "sync")  # lists keep the guest's names, fences are told by their type

# What may hold a name of an object. An answer may give one in any of these types: the function of the worker that puts the guest's name there.
NAMELIKE = {"GLint", "GLuint", "GLint64", "GLuint64", "GLint64EXT", "GLuint64EXT", "GLhandleARB"}
ANSWERS = {"GLint": "i", "GLuint": "ui", "GLint64": "i64", "GLfloat": "f", "GLdouble": "d", "GLfixed": "x"}
NAME_GROUPS = {"Texture", "Buffer", "Framebuffer"}  # of gl.xml: where a class should stand too


class Gl(wire.Api):
    prefix = "xg_gl"
    upper = "XG_GL"
    number = 1
    guest_type = "struct xg_gl_context *"

    def __init__(self):
        self.call = None
        self.expr_names = set()

    def use(self, call):
        self.call = call
        self.expr_names = {p.name for p in call.params if isinstance(p, wire.Value)}

    def worker_expr(self, expr):
        """What a description asks of the context, as xg_gl_NAME(c, ...), each side has for its own: the worker as xg_glr_NAME."""
        return super().worker_expr(re.sub(r"\bxg_gl_(\w+\(c\b)", r"xg_glr_\1", expr))

    def guest_check(self, condition, what, cheap=None):
        # A size that is negative is GL_INVALID_VALUE, one that is too large GL_OUT_OF_MEMORY.
        self.size = condition.split()[0] if what == "size" else None
        return super().guest_check(condition, what, cheap)

    def guest_fail(self, what):
        error = "xg_gl_size_error(%s)" % self.size if what == "size" else "GL_INVALID_VALUE"
        ret = " 0" if self.call.ret else ""
        return "return xg_gl_error(c, %s)%s;" % (error, "," + ret if ret else "")

    def guest_begin(self, op, size):
        return "xg_gl_begin(c, %s, %s)" % (op, size)

    def guest_end(self):
        return ["xg_gl_end(c);"]

    def guest_begin_call(self, op, size):
        return "xg_gl_begin_call(c, %s, %s, &ticket)" % (op, size)

    def guest_wait(self, out, size):
        return "xg_gl_wait(c, ticket, %s, %s, &got)" % (out, size)

    def worker_prologue(self, call):
        return ["struct xg_glr_context *c = r->api[XG_API_GL];"]

    def worker_refusal(self):
        return ["xg_glr_ask(r);"], ["if (xg_glr_refused(r))", "    return;"]

    def worker_around(self, call):
        before, after = [], []
        for p in call.params:
            if isinstance(p, Bound):
                before += ["GLuint bound;", "if (!xg_glr_name_bind(c, XG_GL_SPACE_%s, p->%s, &bound))" % (p.space, p.name), "    return;"]
        if call.claim:
            name, args = call.claim
            before += ["struct xg_glr_claim claim;", "if (!xg_glr_claim_%s(c, &claim, %s))" % (name, self.worker_expr(args)), "    return;"]
            after += ["xg_glr_settle(c, &claim);"]
        return before, after

    def worker_invoke(self, call, args):
        if call.hand_worker:
            extra = ["r"] + args + ["n_" + p.name for p in call.params if isinstance(p, wire.InArray) and not isinstance(p, InNames)]
            return "xg_glr_%s(%s)" % (call.name, ", ".join(extra))
        text = "xg_glr_procs.%s(%s)" % (call.name, ", ".join(args))
        for p in call.params:
            if getattr(p, "answer", None):
                text += ", xg_glr_answer_%s(c, %s, %s)" % (ANSWERS[element_of(p.ctype)], self.worker_expr(p.answer), p.name)
        return text


class Bound(wire.Value):
    """A name that comes to be when it is bound. Where it cannot, the host does not hear of the command."""

    def __init__(self, name, scalar, ctype, space):
        super().__init__(name, scalar, ctype)
        self.space = space

    def worker_arg(self):
        return "bound"


class InNames(wire.InArray):
    """An array of object names, translated in the worker."""

    def __init__(self, name, ctype, count, space, nullable, where=None):
        super().__init__(name, ctype, "GLuint", count, nullable=nullable, where=where)
        self.space = space

    def worker_read(self, api):
        lines = super().worker_read(api)
        return lines + ["%s = xg_glr_names(r, rd, XG_GL_SPACE_%s, %s, n_%s / 4);" % (self.name, self.space, self.name, self.name)]

    def describe(self):
        return "%s names[%s]" % (self.space.lower(), self.count)


class InStrings(wire.Param):
    """`count` strings; `length`, a parameter or None, as in glShaderSource. On the wire: one blob of NUL-terminated strings."""

    def __init__(self, name, ctype, count, length, where=None):
        super().__init__(name, ctype, where)
        self.count = count
        self.length = length

    def fields(self):
        return [("int32_t", "n_" + self.name, 4)]

    def guest_before(self, api):
        return ["uint64_t b_%s = xg_gl_strings_size(%s, %s, %s);" % (self.name, self.count, self.name, self.length or "NULL")] + \
            api.guest_check("b_%s > xg_blob_max(c->ring)" % self.name, "size", "b_%s > XG_BLOB_INLINE_MAX" % self.name)

    def guest_room(self):
        return "xg_blob_room(b_%s)" % self.name

    def guest_fill(self):
        return ["p->n_%s = %s;" % (self.name, self.count)]

    def guest_put(self, api):
        return ["at = xg_gl_strings_put(c, at, %s, %s, %s, b_%s);" % (self.count, self.name, self.length or "NULL", self.name)]

    def worker_read(self, api):
        return ["const GLchar **%s = xg_glr_strings(r, rd, %s);" % (self.name, api.worker_expr(self.count))]

    def worker_arg(self):
        return "(%s)%s" % (self.ctype, self.name)

    def describe(self):
        return "strings[%s]" % self.count


class Absent(wire.Param):
    """Does not travel: the worker passes `arg`."""

    def __init__(self, name, ctype, arg, where=None):
        super().__init__(name, ctype, where)
        self.arg = arg

    def worker_arg(self):
        return self.arg


class Unpack(wire.Param):
    """Pixels that GL reads: memory as the unpack state says, or an offset into the unpack buffer. `args` are the C arguments of the size functions
    (dims, width, height, depth, format, type), or of compressed data `bytes`."""

    def __init__(self, name, ctype, args, where=None):
        super().__init__(name, ctype, where)
        self.args = args

    def fields(self):
        return [("uint64_t", "skip_" + self.name, 8), ("uint32_t", "kind_" + self.name, 4)]

    def guest_before(self, api):
        fn = "xg_gl_unpack_bytes" if len(self.args) == 1 else "xg_gl_unpack"
        return ["struct xg_gl_source s_%s = %s(c, %s, %s);" % (self.name, fn, self.name, ", ".join(self.args))] + \
            api.guest_check("s_%s.size > xg_blob_max(c->ring)" % self.name, "size", "s_%s.size > XG_BLOB_INLINE_MAX" % self.name)

    def guest_room(self):
        return "xg_blob_room(s_%s.size)" % self.name

    def guest_fill(self):
        return ["p->skip_%s = s_%s.skip;" % (self.name, self.name), "p->kind_%s = s_%s.kind;" % (self.name, self.name)]

    def guest_put(self, api):
        return ["at = xg_blob_put(c->ring, at, s_%s.data, s_%s.size);" % (self.name, self.name)]

    def worker_read(self, api):
        args = ", ".join(api.worker_expr(a) for a in self.args)
        fn = "xg_glr_unpack_bytes" if len(self.args) == 1 else "xg_glr_unpack"
        return ["const void *%s;" % self.name,
                "if (!%s(r, rd, p->kind_%s, p->skip_%s, &%s, %s))" % (fn, self.name, self.name, self.name, args),
                "    return;"]

    def worker_arg(self):
        return self.name

    def describe(self):
        return "pixels(%s)" % ", ".join(self.args)


class Pack(wire.Param):
    """Pixels that GL writes: into arena memory that the guest waits for and copies out as the pack state says, or at an offset into the pack
    buffer (then nobody waits)."""

    def __init__(self, name, ctype, args, where=None):
        super().__init__(name, ctype, where)
        self.args = args

    def fields(self):
        return [("uint64_t", "skip_" + self.name, 8), ("uint32_t", "kind_" + self.name, 4), ("uint32_t", "where_" + self.name, 4)]

    def guest_before(self, api):
        fn = "xg_gl_pack_bytes" if len(self.args) == 1 else "xg_gl_pack"
        return ["struct xg_gl_sink s_%s;" % self.name,
                "if (!%s(c, &s_%s, %s, %s))" % (fn, self.name, self.name, ", ".join(self.args)), "    return;"]

    def guest_fill(self):
        return ["p->%s_%s = s_%s.%s;" % (f, self.name, self.name, f) for f in ("skip", "kind", "where")]

    def guest_finish(self, api):
        return ["xg_gl_pack_finish(c, &s_%s);" % self.name]

    def worker_read(self, api):
        args = ", ".join(api.worker_expr(a) for a in self.args)
        fn = "xg_glr_pack_bytes" if len(self.args) == 1 else "xg_glr_pack"
        return ["struct xg_glr_sink s_%s;" % self.name,
                "if (!%s(r, rd, p->kind_%s, p->skip_%s, p->where_%s, &s_%s, %s))" % (fn, self.name, self.name, self.name, self.name, args),
                "    return;"]

    def worker_before(self):
        return ["xg_glr_pack_begin(r, &s_%s);" % self.name]

    def worker_after(self):
        return ["xg_glr_pack_end(r, &s_%s);" % self.name]

    def worker_arg(self):
        return "s_%s.data" % self.name

    def describe(self):
        return "out pixels(%s)" % ", ".join(self.args)


class GlCall(wire.Call):
    def __init__(self, *args, **kw):
        self.hand_worker = kw.pop("hand_worker", False)
        self.hand_guest = kw.pop("hand_guest", False)
        self.local = kw.pop("local", False)
        self.claim = kw.pop("claim", None)  # (kind, arguments) of what it allocates
        super().__init__(*args, **kw)


# --- gl.xml --------------------------------------------------------------------------------------------


class Command:
    """A command of gl.xml: (name, C type, len, class, group) per parameter."""

    def __init__(self, element):
        proto = element.find("proto")
        self.name = proto.find("name").text
        self.ret = ctype_of(proto)
        self.ret_class = proto.get("class")
        alias = element.find("alias")
        self.alias = alias.get("name") if alias is not None else None
        self.params = [(usable(p.find("name").text), ctype_of(p), p.get("len"), p.get("class"), p.get("group")) for p in element.findall("param")]


def usable(name):
    return name + "_" if name in wire.RESERVED else name


def ctype_of(element):
    """The declaration without the name."""
    text = "".join(t for t in element.itertext())
    name = element.find("name").text
    text = re.sub(r"\b%s\b\s*$" % re.escape(name), "", text.strip())
    return re.sub(r"\s+", " ", text).replace("const*", "const *").replace("GLint*", "GLint *").strip()


def element_of(ctype):
    """What an array's elements are; of a scalar, its type."""
    return re.sub(r"\bconst\b|\*", "", ctype).strip()


class Registry:
    def __init__(self, path):
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as e:
            raise Error(Where(path, e.position[0]), "not XML: %s" % e) from None
        self.commands = {}
        for element in root.findall("commands/command"):
            c = Command(element)
            self.commands[c.name] = c
        self.features = {}
        for f in root.findall("feature"):
            if f.get("api") in ("gl", "gles1", "gles2"):
                self.features[f.get("name")] = [c.get("name") for c in f.findall("require/command")]
        self.extensions = {}
        for e in root.findall("extensions/extension"):
            self.extensions[e.get("name")] = [c.get("name") for c in e.findall("require/command")]


# --- the annotation file -------------------------------------------------------------------------------


def limit_names(path):
    """Enumerants that glGet takes and that do not change: implementation limits."""
    names = set()
    for e in ElementTree.parse(path).getroot().findall("enums/enum"):
        groups = (e.get("group") or "").split(",")
        if "GetPName" in groups and re.match(r"GL_(MAX|MIN)_", e.get("name")) and e.get("api", "gl") == "gl":
            names.add((e.get("name"), int(e.get("value"), 0)))
    seen, out = set(), []
    for name, value in sorted(names):
        if value not in seen:
            seen.add(value)
            out.append((name, value))
    return out


class Annotation:
    """protocol/gl/gl.annot. Every line is checked against gl.xml."""

    def __init__(self, path, registry):
        self.path = path
        self.registry = registry
        self.params = {}    # (command, parameter) -> (Where, verb, rest)
        self.kinds = {}     # (command, parameter) -> (Where, number | named | answer, rest)
        self.numbers = {}   # parameter that is a number in every command that it goes into -> Where
        self.marks = {}     # command -> set of guest, worker, local
        self.dropped = {}
        self.extensions = {}
        self.denied = {}
        self.alias = {}
        self.shares = set() # commands that claim nothing, and are told to the ledger like those that do
        self.claims = {}    # command that allocates -> (Where, kind, arguments), or (Where, None, None): by hand
        self.internal = []  # (Where, prototype)
        self.raw = []       # (Where, name)
        self.limits = []    # (Where, pname)
        self.sets = {}      # command -> [(pname, kind, values)]
        self.touches = {}   # command -> [(Where, pname)]
        self.slots = {}     # pname -> (kind, count)
        self.used = set()
        for where, text in wire.read_lines(path):
            verb, _, rest = text.partition(" ")
            handler = getattr(self, "do_" + verb, None)
            if not handler:
                raise Error(where, "unknown word '%s'" % verb)
            handler(where, rest.strip())

    def command(self, where, name):
        if name not in self.registry.commands and not any(name == i[1] for i in self.internal):
            raise Error(where, "no command %s in gl.xml" % name)
        return name

    def param(self, where, text, verb):
        target, _, rest = text.partition(" ")
        for one in target.split(","):
            command, dot, param = one.partition(".")
            self.command(where, command)
            if not dot or not any(param == p[0] for p in self.registry.commands[command].params):
                raise Error(where, "%s has no parameter '%s'" % (command, param))
            if (command, param) in self.params:
                raise Error(where, "%s.%s is described twice" % (command, param))
            self.params[command, param] = (where, verb, rest.strip())

    def kind(self, where, target, kind, rest=""):
        command, _, param = target.partition(".")
        self.command(where, command)
        if not any(param == p[0] for p in self.registry.commands[command].params):
            raise Error(where, "%s has no parameter '%s'" % (command, param))
        if (command, param) in self.kinds:
            raise Error(where, "%s.%s is described twice" % (command, param))
        self.kinds[command, param] = (where, kind, rest)

    def selected(self, where, text, kind, also=()):
        target, _, rest = text.partition(" ")
        for one in target.split(","):
            if rest.strip() not in also:
                self.check_names(where, self.command(where, one.partition(".")[0]), rest)
            self.kind(where, one, kind, rest.strip())

    def do_number(self, where, text):
        for one in re.split(r"[\s,]+", text):
            if "." in one:
                self.kind(where, one, "number")
            else:
                self.numbers[one] = where

    def do_named(self, where, text):
        self.selected(where, text, "named")

    def do_answer(self, where, text):
        self.selected(where, text, "answer", ("hand",))

    def mark(self, where, text, mark):
        for name in text.split():
            self.marks.setdefault(self.command(where, name), {})[mark] = where

    def do_size(self, where, text):
        self.param(where, text, "size")

    def do_out(self, where, text):
        self.param(where, text, "out")

    def do_probe(self, where, text):
        self.param(where, text, "probe")

    def do_unpack(self, where, text):
        self.param(where, text, "unpack")

    def do_pack(self, where, text):
        self.param(where, text, "pack")

    def do_strings(self, where, text):
        self.param(where, text, "strings")

    def do_string(self, where, text):
        self.param(where, text, "string")

    def do_offset(self, where, text):
        self.param(where, text, "offset")

    def do_absent(self, where, text):
        self.param(where, text, "absent")

    def do_room(self, where, text):
        self.param(where, text, "room")

    def do_class(self, where, text):
        self.param(where, text, "class")

    def do_bind(self, where, text):
        self.param(where, text, "bind")

    def do_guest(self, where, text):
        self.mark(where, text, "guest")

    def do_worker(self, where, text):
        self.mark(where, text, "worker")

    def do_hand(self, where, text):
        self.mark(where, text, "guest")
        self.mark(where, text, "worker")

    def do_local(self, where, text):
        self.mark(where, text, "guest")
        self.mark(where, text, "local")

    def do_sync(self, where, text):
        self.mark(where, text, "sync")

    def do_drop(self, where, text):
        for name in text.split():
            self.dropped[self.command(where, name)] = where

    def do_alias(self, where, text):
        new, old = (text.split() + [None, None])[:2]
        self.command(where, new)
        if not old:
            raise Error(where, "expected: alias NEW OLD")
        self.alias[new] = self.command(where, old)

    def do_extension(self, where, text):
        for name in text.split():
            if name not in self.registry.extensions:
                raise Error(where, "no extension %s in gl.xml" % name)
            self.extensions[name] = where

    def do_deny(self, where, text):
        for name in text.split():
            self.denied[name] = where

    def do_internal(self, where, text):
        m = re.fullmatch(r"(\w+) (xg\w+)\s*\((.*)\)", text)
        if not m:
            raise Error(where, "expected: internal TYPE xgName(TYPE name, ...)")
        params = []
        for part in m.group(3).split(",") if m.group(3).strip() else []:
            p = re.fullmatch(r"\s*(.*?)\s*(\w+)(?:\[([^\]]*)\])?\s*", part)
            ctype, length = p.group(1), p.group(3)
            params.append((p.group(2), ctype, length, None, None))
        command = object.__new__(Command)
        command.name, command.ret, command.alias, command.params = m.group(2), m.group(1), None, params
        command.ret_class = None
        self.registry.commands[command.name] = command
        self.internal.append((where, command.name))
        self.marks.setdefault(command.name, {})["worker"] = where
        self.marks[command.name]["internal"] = where

    def do_set(self, where, text):
        """set COMMAND PNAME KIND VALUES [if CONDITION]: what the command leaves in a piece of state. KIND: i, f, or n (normalized)."""
        m = re.fullmatch(r"(\w+) (GL_\w+) ([ifn]) (.+?)(?: if (.+))?", text)
        if not m:
            raise Error(where, "expected: set COMMAND PNAME i|f|n VALUE, ... [if CONDITION]")
        command, pname, kind, values = self.command(where, m.group(1)), m.group(2), m.group(3), split_args(m.group(4))
        if len(values) > 4:
            raise Error(where, "more than four values")
        for v in values + [m.group(5) or ""]:
            self.check_names(where, command, v, {"c"})
        if self.slots.setdefault(pname, (kind, len(values))) != (kind, len(values)):
            raise Error(where, "%s was of another kind or length before" % pname)
        self.sets.setdefault(command, []).append((pname, kind, values, m.group(5)))

    def do_touch(self, where, text):
        """touch COMMAND PNAME...: the command changes these pieces of state in a way that is not followed."""
        command, *pnames = text.split()
        self.touches.setdefault(self.command(where, command), []).extend((where, p) for p in pnames)

    def check_names(self, where, command, expr, more=frozenset()):
        known = {p[0] for p in self.registry.commands[command].params} | more
        for m in re.finditer(r"(?<!->)\b[A-Za-z_]\w*\b(?!\s*\()", expr):
            if m.group(0) not in known and not m.group(0).startswith(("xg_", "XG_", "GL", "sizeof", "int64_t")):
                raise Error(where, "%s: '%s' is no parameter of it" % (command, m.group(0)))

    def do_claim(self, where, text):
        """claim COMMAND... KIND(ARGUMENTS) | hand: the command allocates."""
        target, _, rest = text.partition(" ")
        m = re.fullmatch(r"(\w+)\((.*)\)", rest.strip())
        if not m and rest.strip() != "hand":
            raise Error(where, "expected: claim COMMAND,... KIND(ARGUMENTS), or hand")
        for one in target.split(","):
            if self.command(where, one) in self.claims:
                raise Error(where, "%s is described twice" % one)
            if m:
                self.check_names(where, one, m.group(2), {"c"})
            self.claims[one] = (where, m.group(1), m.group(2)) if m else (where, None, None)

    def do_share(self, where, text):
        self.do_claim(where, text)
        self.shares.update(text.partition(" ")[0].split(","))

    def do_raw(self, where, text):
        for name in text.split():
            self.raw.append((where, name))

    def do_limit(self, where, text):
        for name in text.split():
            self.limits.append((where, name))


# --- from commands to calls ----------------------------------------------------------------------------


class Builder:
    def __init__(self, registry, annot):
        self.registry = registry
        self.annot = annot
        self.unresolved = []

    def served(self):
        """Canonical commands, and every other name under which one is known: (list, {name: canonical})."""
        names = [n for f in self.registry.features.values() for n in f]
        names += [n for e in self.annot.extensions for n in self.registry.extensions[e]]
        canonical, aliases = {}, {}
        for name in names:
            base = self.canonical(name)
            if base in self.annot.dropped or name in self.annot.dropped:
                continue
            canonical[base] = True
            if base != name:
                aliases[name] = base
        for name, c in self.registry.commands.items():
            base = self.canonical(name)
            if base != name and base in canonical and name not in self.annot.dropped:
                aliases[name] = base
        for _, name in self.annot.internal:
            canonical[name] = True
        return sorted(canonical), aliases

    def canonical(self, name):
        seen = set()
        while name not in seen:
            seen.add(name)
            c = self.registry.commands.get(name)
            base = self.annot.alias.get(name) or (c.alias if c else None)
            if not base or base not in self.registry.commands:
                break
            name = base
        return name

    def where(self, name):
        for table in (self.annot.marks.get(name, {}), ):
            for w in table.values():
                return w
        return Where(self.annot.path, 1)

    def build(self, name):
        command = self.registry.commands[name]
        marks = self.annot.marks.get(name, {})
        local = "local" in marks
        params = [self.param(command, p, local) for p in command.params]
        if not local and "internal" not in marks:
            for p, wired in zip(command.params, params):
                self.classify(command, p, wired)
            if command.ret_class:
                self.unresolved.append("%s: returns a name (%s): only by hand" % (name, command.ret_class))
        ret = None
        if command.ret != "void":
            ret = SCALARS.get(command.ret) or (SYNC if command.ret == "GLsync" else None)
            if ret is None and not local:
                self.unresolved.append("%s: returns %s" % (name, command.ret))
        return GlCall(name, params, ret, where=self.where(name), ret_ctype=command.ret, sync="sync" in marks,
                      hand_worker="worker" in marks, hand_guest="guest" in marks, local=local, claim=self.claim(name, local, ret))

    def claim(self, name, local, ret):
        where, kind, args = self.annot.claims.get(name, (None, None, None))
        if kind and (local or ret):
            raise Error(where, "%s: only a command that crosses and answers nothing makes a claim" % name)
        return (kind, args) if kind else None

    def classify(self, command, param, wired):
        """What a parameter is: a name, of what kind of objects; a number; or by its type something that cannot be a name. Names are translated in the
        worker, so one that nobody has said to be one would lead to another object, or to none."""
        name, ctype, _, klass, group = param
        where, verb, rest = self.annot.params.get((command.name, name), (None, None, ""))
        klass = rest if verb in ("class", "bind") else klass
        _, kind, selector = self.annot.kinds.get((command.name, name), (None, None, ""))
        elem, goes_out = element_of(ctype), "*" in ctype and not ctype.startswith("const ")
        self.annot.used.add((command.name, name))
        if verb == "absent" or elem not in (ANSWERS if goes_out else NAMELIKE):
            return
        if kind == "answer" and goes_out:
            wired.answer = None if selector == "hand" else selector
        elif kind or klass in KEPT or (klass in SPACES and not goes_out):
            return
        elif goes_out:
            self.unresolved.append("%s: parameter %s (%s) may give a name: number, or answer" % (command.name, name, ctype))
        elif name in self.annot.numbers:
            self.annot.used.add(name)
        elif not group or group in NAME_GROUPS:
            self.unresolved.append("%s: parameter %s (%s) may be a name: number, class, or named" % (command.name, name, ctype))

    def param(self, command, param, local):
        name, ctype, length, klass, _ = param
        where, verb, rest = self.annot.params.get((command.name, name), (None, None, ""))
        if verb:
            self.annot.used.add((command.name, name))
        if local:
            return wire.Param(name, ctype)
        binds = verb == "bind"
        if verb in ("class", "bind"):
            if rest not in SPACES:
                raise Error(where, "no kind of names is called '%s'" % rest)
            klass, verb = rest, None
        if verb == "absent":
            return Absent(name, ctype, rest or "0", where)
        if verb == "room":
            return wire.Value(name, SCALARS[ctype], ctype, from_wire="xg_glr_pack_room(&s_%s, {})" % rest)
        if "*" not in ctype:
            return self.scalar(command, name, ctype, klass, binds)
        const = ctype.startswith("const ")
        elem = re.sub(r"^const\s+|\s*\*\s*$", "", ctype)
        elem_wire = "uint8_t" if elem == "void" else elem
        if verb == "offset":
            return wire.Value(name, wire.Scalar("uint64_t", "u", 8), ctype, "(uint64_t)(uintptr_t){}", "(%s)(uintptr_t){}" % ctype, where)
        if verb == "unpack":
            args = split_args(rest)
            if len(args) not in (1, 6):
                raise Error(where, "unpack: expected bytes, or dims, width, height, depth, format, type")
            return Unpack(name, ctype, args, where)
        if verb == "pack":
            args = split_args(rest)
            if len(args) not in (1, 6):
                raise Error(where, "pack: expected bytes, or dims, width, height, depth, format, type")
            return Pack(name, ctype, args, where)
        if verb == "strings":
            count, _, lengths = rest.partition(" ")
            return InStrings(name, ctype, count, lengths.strip() or None, where)
        if verb == "string":
            return wire.InString(name, ctype, rest == "nullable", where)
        if verb == "probe":
            return wire.OutProbe(name, ctype, elem_wire, rest or "64", where)
        if verb in ("size", "out"):
            nullable = rest.startswith("nullable ")
            length = rest[9:] if nullable else rest
            self.annot.check_names(where, command.name, length)
        else:
            nullable = False
            length = plain_length(length, command) or self.usual_length(command, param)
        if length in ("bufSize", "maxLength"):
            length = "xg_gl_buf_size(%s)" % length
        if const and elem in ("GLchar", "GLcharARB") and length is None:
            return wire.InString(name, ctype, where=where)
        if not const and length is None and self.is_getter(command, name):
            return wire.OutProbe(name, ctype, elem_wire, "64", where)
        if not const and elem in ("GLchar", "GLcharARB") and length and verb != "out" and name == command.params[-1][0]:
            return wire.OutText(name, ctype, length, where)
        if const and ctype.count("*") == 1:
            if length is None:
                return self.fail(command, name, ctype, param[2])
            if klass in SPACES and elem == "GLuint":
                return InNames(name, ctype, length, SPACES[klass], nullable, where)
            if re.fullmatch(r"\d+", length) and elem in SCALARS and int(length) <= wire.InFixed.MOST:
                return wire.InFixed(name, ctype, SCALARS[elem], length, where)
            # What has a type is looked at, or handed to a host that may look twice; raw data is not.
            private = elem != "void"
            return wire.InArray(name, ctype, elem_wire, length, nullable, private, where)
        if not const and ctype.count("*") == 1:
            if length is None:
                return self.fail(command, name, ctype, param[2])
            return wire.OutArray(name, ctype, elem_wire, length, where)
        return self.fail(command, name, ctype, param[2])

    @staticmethod
    def usual_length(command, param):
        """The last parameter of a setter with a pname: as long as the pname says."""
        if param[1].startswith("const ") and param is command.params[-1] and any(p[0] == "pname" for p in command.params):
            return "xg_gl_params_count(pname)"
        return None

    @staticmethod
    def is_getter(command, name):
        """Functions that answer into their last parameter, as much as they like, and change nothing."""
        return command.name.startswith("glGet") and name == command.params[-1][0]

    def scalar(self, command, name, ctype, klass, binds):
        if ctype == "GLsync":
            return wire.Value(name, SYNC, ctype, "(uint64_t)(uintptr_t){}", "xg_glr_sync(c, {})")
        scalar = SCALARS.get(ctype)
        if not scalar:
            return self.fail(command, name, ctype, None)
        if name in ("bufSize", "maxLength"):
            return wire.Value(name, scalar, ctype, from_wire="xg_gl_buf_size({})")
        _, kind, selector = self.annot.kinds.get((command.name, name), (None, None, ""))
        if kind == "named":
            return wire.Value(name, scalar, ctype, from_wire="xg_glr_name_by(c, p->%s, {})" % selector)
        if klass in SPACES:
            if binds:
                return Bound(name, scalar, ctype, SPACES[klass])
            return wire.Value(name, scalar, ctype, from_wire="xg_glr_name(c, XG_GL_SPACE_%s, {})" % SPACES[klass])
        return wire.Value(name, scalar, ctype)

    def fail(self, command, name, ctype, length):
        self.unresolved.append("%s: parameter %s (%s) has no size (len=%s)" % (command.name, name, ctype, length))
        return wire.Param(name, ctype)


def split_args(text):
    """Splits at commas outside parentheses."""
    out, depth, cur = [], 0, ""
    for ch in text:
        if ch == "," and depth == 0:
            out.append(cur.strip())
            cur = ""
            continue
        depth += (ch == "(") - (ch == ")")
        cur += ch
    return out + [cur.strip()]


def plain_length(text, command):
    """gl.xml's len attribute as a C expression; None if it is not one."""
    if not text or "COMPSIZE" in text:
        return None
    if re.fullmatch(r"\d+", text):
        return text
    m = re.fullmatch(r"(\w+)(?:\s*\*\s*(\d+))?", text)
    if m and any(m.group(1) == p[0] for p in command.params):
        return "(int64_t)%s * %s" % (m.group(1), m.group(2)) if m.group(2) else m.group(1)
    return None


# --- output --------------------------------------------------------------------------------------------

CHUNKS = 4  # source files, so that a build has something to do on each core


def emit_ops(api, calls, raws):
    lines = wire.generated("gl.xml and gl.annot") + ["#ifndef XG_GEN_GL_OPS_H", "#define XG_GEN_GL_OPS_H",
             "#include <stdint.h>", '#include "protocol/gl/types.h"', ""] + wire.emit_opcodes(api, calls + raws) + [""]
    for call in calls:
        lines += wire.emit_struct(api, call)
    return lines + ["#endif"]


def emit_send(api, calls):
    lines = wire.generated("gl.xml and gl.annot") + ["#ifndef XG_GEN_GL_SEND_H", "#define XG_GEN_GL_SEND_H",
             '#include "interposer/gl/emit.h"', '#include "gl/ops.h"', ""]
    for call in calls:
        api.use(call)
        lines += wire.emit_send(api, call, "xg_gl_send_" + call.name) + [""]
    return lines + ["#endif"]


def emit_stub(call, sets, touches):
    names = [p.name for p in call.params]
    if {"location", "count"} <= set(names) and any(isinstance(p, (wire.InArray, wire.InFixed)) for p in call.params):
        # GL ignores a uniform that is not there before it looks at the values; whether there is a program it asks first.
        names[names.index("count")] = "location == -1 && count > 0 ? 0 : count"
    args = ", ".join(["c"] + names)
    ret = call.ret_ctype != "void"
    lines = [call.prototype("xg_stub_" + call.name), "{",
             "    struct xg_gl_context *c = xg_gl_current;", "    if (XG_UNLIKELY(!c))", "        return%s;" % (" 0" if ret else "")]
    lines += ["    %sxg_gl_send_%s(%s);" % ("return " if ret else "", call.name, args)]
    for condition, group in itertools.groupby(sets or [], lambda s: s[3]): # each condition is looked at once
        group = list(group)
        lines += ["    if (xg_gl_settled(c)%s) {" % (" && (%s)" % condition if condition else "")]
        for pname, kind, values, _ in group:
            v = "xg_gl_shadow_slot(c, XG_SHADOW_%s)->%s" % (pname, "i" if kind == "i" else "f")
            lines += ["        %s[%d] = %s;" % (v, i, x) for i, x in enumerate(values)]
        lines += ["    } else {"] + ["        xg_gl_shadow_touch(c, XG_SHADOW_%s);" % s[0] for s in group] + ["    }"]
    lines += ["    xg_gl_shadow_touch(c, XG_SHADOW_%s);" % pname for _, pname in touches]
    return lines + ["}"]


def emit_stubs(calls, annot, chunk):
    lines = wire.generated("gl.xml and gl.annot") + ['#include "interposer/gl/state.h"', '#include "gl/send.h"', '#include "gl/shadow.h"', '#include "gl/stubs.h"', ""]
    mine = [c for c in calls if not c.hand_guest and not c.name.startswith("xg")][chunk::CHUNKS]
    for call in mine:
        lines += emit_stub(call, annot.sets.get(call.name), annot.touches.get(call.name, [])) + [""]
    return lines


def emit_stubs_h(calls):
    lines = wire.generated("gl.xml and gl.annot") + ["#ifndef XG_GEN_GL_STUBS_H", "#define XG_GEN_GL_STUBS_H",
             '#include "protocol/gl/types.h"', ""]
    lines += [c.prototype("xg_stub_" + c.name) + ";" for c in calls if not c.name.startswith("xg")]
    return lines + ["#endif"]


def emit_procs_guest(calls, aliases):
    table = {c.name: c.name for c in calls if not c.name.startswith("xg")}
    table.update(aliases)
    lines = wire.generated("gl.xml and gl.annot") + ['#include "gl/stubs.h"', '#include "interposer/gl/procs.h"', "",
             "const struct xg_gl_proc xg_gl_procs[] = {"]
    lines += ['    {"%s", (void *)xg_stub_%s},' % (n, table[n]) for n in sorted(table)]
    return lines + ["};", "const unsigned xg_gl_procs_count = sizeof(xg_gl_procs) / sizeof(xg_gl_procs[0]);"]


def emit_extensions(registry, annot, served):
    """Extensions that may be shown: everything they need is served and nobody denied them."""
    names = []
    for name, commands in registry.extensions.items():
        if name in annot.denied:
            continue
        if all(c in served for c in commands):
            names.append(name)
    for name in annot.extra_extensions if hasattr(annot, "extra_extensions") else []:
        names.append(name)
    lines = wire.generated("gl.xml and gl.annot") + ['#include "interposer/gl/procs.h"', "",
             "const char *const xg_gl_extensions[] = {"]
    lines += ['    "%s",' % n for n in sorted(set(names))]
    return lines + ["};", "const unsigned xg_gl_extensions_count = sizeof(xg_gl_extensions) / sizeof(xg_gl_extensions[0]);"]


def emit_worker_h(api, calls, raws):
    lines = wire.generated("gl.xml and gl.annot") + ["#ifndef XG_GEN_GL_WORKER_H", "#define XG_GEN_GL_WORKER_H",
             '#include "backend/worker.h"', '#include "protocol/gl/types.h"', '#include "gl/ops.h"', "",
             "struct xg_glr_procs {"]
    for c in calls:
        if not c.name.startswith("xg"):
            lines.append("    %s;" % c.prototype("(*%s)" % c.name))
    lines += ["};", "extern struct xg_glr_procs xg_glr_procs;", "extern const char *const xg_glr_proc_names[];",
              "extern const unsigned xg_glr_proc_count;", "",
              "typedef void (*xg_glr_decode)(struct xg_worker_ring *r, struct xg_reader *rd);",
              "extern const xg_glr_decode xg_glr_decoders[];", "extern const unsigned xg_glr_decoder_count;", ""]
    for c in calls:
        if c.hand_worker and not c.local:
            params = ["struct xg_worker_ring *r"] + [p.declare() for p in c.params]
            params += ["uint32_t n_" + p.name for p in c.params if isinstance(p, wire.InArray) and not isinstance(p, InNames)]
            lines.append("%s xg_glr_%s(%s);" % (c.ret_ctype, c.name, ", ".join(params)))
    for c in raws:
        lines.append("void xg_glr_raw_%s(struct xg_worker_ring *r, struct xg_reader *rd);" % c.name)
    for i in range(CHUNKS):
        lines.append("extern const xg_glr_decode xg_glr_chunk_%d[];" % i)
    return lines + ["#endif"]


def emit_decoders(api, calls, chunk):
    lines = wire.generated("gl.xml and gl.annot") + ['#include "backend/gl/ledger.h"', ""]
    mine = calls[chunk::CHUNKS]
    for call in mine:
        api.use(call)
        lines += wire.emit_decode(api, call, "d_" + call.name) + [""]
    lines += ["const xg_glr_decode xg_glr_chunk_%d[] = {" % chunk]
    return lines + ["    d_%s," % c.name for c in mine] + ["};"]


# What the device may go on with for long after the command: not pixels that come, nor shaders that are compiled.
DRAWS = re.compile(r"(gl(Draw|MultiDraw|Dispatch|Clear|Blit|Copy|Generate|End|Rect|CallList|Eval|Bitmap|Accum|MultiMode|ReadPixels)"
                   r"|xg(Draw|MultiDraw|Begun))")


def emit_dispatch(calls, raws, all_calls):
    """The table by opcode. Decoders are static in their chunks, so the table is built by index when the library starts."""
    top = max(c.op for c in calls + raws) + 1
    lines = wire.generated("gl.xml and gl.annot") + ['#include "backend/gl/decode.h"', "",
             "const unsigned xg_glr_decoder_count = %d;" % top,
             "const uint16_t xg_glr_decoder_index[%d][2] = { /* chunk + 1, place; 255: raw */" % top]
    for i, c in enumerate(calls):
        lines.append("    [%d] = {%d, %d}," % (c.op, i % CHUNKS + 1, i // CHUNKS))
    for i, c in enumerate(raws):
        lines.append("    [%d] = {255, %d}," % (c.op, i))
    lines += ["};", "const xg_glr_decode xg_glr_raws[] = {"] + ["    xg_glr_raw_%s," % c.name for c in raws] + ["    NULL", "};", "",
              "const bool xg_glr_draws[%d] = { /* the device may go on with it for long */" % top] + [
              "    [%d] = true, /* %s */" % (c.op, c.name) for c in calls + raws if DRAWS.match(c.name)] + ["};", "",
              "struct xg_glr_procs xg_glr_procs;", "const char *const xg_glr_proc_names[] = {"]
    procs = [c for c in all_calls if not c.name.startswith("xg")]
    lines += ['    "%s",' % c.name for c in procs] + ["};", "const unsigned xg_glr_proc_count = %d;" % len(procs)]
    return lines


def emit_shadow(annot):
    """State that is kept in the guest: a slot per pname, and its switch."""
    names = sorted(annot.slots)
    lines = wire.generated("gl.annot") + ["#ifndef XG_GEN_GL_SHADOW_H", "#define XG_GEN_GL_SHADOW_H", "", "enum {"]
    lines += ["    XG_SHADOW_%s," % n for n in names] + ["    XG_SHADOW_VALUES", "};",
              "_Static_assert(XG_SHADOW_VALUES <= XG_SHADOW_MAX, \"more shadowed state than room\");", "",
              "/* The slot of a pname, or -1; what kind of values (i, f, n) and how many. */",
              "static inline int xg_gl_slot_of(GLenum pname, char *kind, unsigned *count)", "{", "    switch (pname) {"]
    for n in names:
        lines.append("    case %s: *kind = '%s'; *count = %d; return XG_SHADOW_%s;" % (n, annot.slots[n][0], annot.slots[n][1], n))
    return lines + ["    default: return -1;", "    }", "}", "#endif"]


def emit_limits(annot, xml):
    lines = wire.generated("gl.xml and gl.annot") + ["#ifndef XG_GEN_GL_LIMITS_H", "#define XG_GEN_GL_LIMITS_H", "#define XG_GL_LIMITS(X) \\"]
    limits = limit_names(xml)
    lines += ["    X(0x%04x) /* %s */ \\" % (v, n) for n, v in limits]
    lines += ["    X(%s) \\" % n for _, n in annot.limits if n not in [l[0] for l in limits]]
    return lines + ["", "#endif"]


def emit_claims(annot):
    """What allocates, for a test that tries each."""
    lines = wire.generated("gl.annot") + ["#ifndef XG_GEN_GL_CLAIMS_H", "#define XG_GEN_GL_CLAIMS_H", "#define XG_GL_CLAIMS(X) \\"]
    return lines + ["    X(%s) \\" % name for name in sorted(annot.claims) if name not in annot.shares] + ["", "#endif"]


def main(argv):
    ap = argparse.ArgumentParser(description="OpenGL front end of the generator")
    ap.add_argument("--xml", required=True)
    ap.add_argument("--annot", required=True)
    ap.add_argument("--opcodes", required=True)
    ap.add_argument("--assign", type=int, metavar="VERSION", help="append numbers for new calls to the opcode file")
    ap.add_argument("--out", help="folder for the generated files")
    args = ap.parse_args(argv)

    registry = Registry(args.xml)
    annot = Annotation(args.annot, registry)
    builder = Builder(registry, annot)
    names, aliases = builder.served()
    calls = [builder.build(n) for n in names]
    if builder.unresolved:
        raise Error(Where(args.annot, 1), "commands that need a line here:\n  " + "\n  ".join(builder.unresolved))
    served = set(names) | set(aliases)
    for name, where in list(annot.marks.items()):
        if name not in names:
            raise Error(list(where.values())[0], "%s is not served (an alias, or of no served version or extension)" % name)
    hand = {c.name for c in calls if c.hand_guest}
    for command, touched in annot.touches.items():
        for where, pname in touched:
            if pname not in annot.slots:
                raise Error(where, "%s is not kept in the guest" % pname)
    for command in list(annot.sets) + list(annot.touches):
        if command not in names or command in hand:
            raise Error(Where(args.annot, 1), "set %s: not served, or its stub is written by hand" % command)
    for command, (where, _, _) in annot.claims.items():
        if command not in names:
            raise Error(where, "%s is not served" % command)
    for (command, param), (where, _, _) in annot.params.items():
        if command not in names:
            raise Error(where, "%s is not served" % command)
    for (command, param), (where, _, _) in annot.kinds.items():
        if command not in names or (command, param) not in annot.used:
            raise Error(where, "%s.%s does not cross" % (command, param))
    for param, where in annot.numbers.items():
        if param not in annot.used:
            raise Error(where, "no served command takes a '%s' that could be a name" % param)

    wired = [c for c in calls if not c.local]
    raws = [wire.Call(n, [], where=w) for w, n in annot.raw]
    lock = wire.Opcodes(args.opcodes)
    if args.assign is not None:
        print("%d new opcodes" % lock.assign(wired + raws, args.assign))
    lock.apply(wired + raws)
    if not args.out:
        return 0

    api = Gl()
    os.makedirs(args.out, exist_ok=True)

    def put(name, lines):
        wire.write(os.path.join(args.out, name), lines)

    put("ops.h", emit_ops(api, wired, raws))
    put("names.h", wire.generated("gl.xml and gl.annot") + ["#ifndef XG_GEN_GL_NAMES_H", "#define XG_GEN_GL_NAMES_H", ""] +
        wire.emit_names(api, wired + raws) + ["", "#endif"])
    put("send.h", emit_send(api, wired))
    put("stubs.h", emit_stubs_h(calls))
    for i in range(CHUNKS):
        put("stubs%d.c" % i, emit_stubs(calls, annot, i))
        put("decode%d.c" % i, emit_decoders(api, wired, i))
    put("procs.c", emit_procs_guest(calls, aliases))
    put("extensions.c", emit_extensions(registry, annot, served))
    put("worker.h", emit_worker_h(api, calls, raws))
    put("dispatch.c", emit_dispatch(wired, raws, calls))
    put("shadow.h", emit_shadow(annot))
    put("claims.h", emit_claims(annot))
    put("limits.h", emit_limits(annot, args.xml))
    put("gl.dict", wire.emit_dictionary(api, wired + raws))
    put("gl.md", wire.emit_table(api, wired + raws))
    return 0


if __name__ == "__main__":
    wire.run(main)
