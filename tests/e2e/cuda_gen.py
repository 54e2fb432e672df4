#!/usr/bin/env python3
"""The generator of CUDA's wire: what it makes of a small description is as it was; what is wrong in one is named with its line; opcodes and
the manual's table agree with the description."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.environ.get("XG_ROOT", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
GEN = os.path.join(ROOT, "protocol/gen/cuda.py")
TEST = os.path.join(ROOT, "tests/gen")
sys.path.insert(0, os.path.dirname(GEN))
import cuda
import wire

REAL = [os.path.join(ROOT, f) for f in ("protocol/cuda/cuda.api", "protocol/cuda/cuda.lock", "cuda/abi/func_table.h")]

BAD = [
    ("version 1\nop X sometimes a:u32\n", "X 1\n", ":2: error: expected 'op NAME oneway|call ...'"),
    ("version 1\nop x call\n", "x 1\n", ":2: error: 'x' is not an operation's name"),
    ("version 1\nop X call a:u33\n", "X 1\n", ":2: error: 'a:u33' is neither a field nor a blob"),
    ("version 1\nop X call a:u32 b:u64\n", "X 1\n", ":2: error: field 'b' is not aligned"),
    ("version 1\nop X call a:u32 a:u32\n", "X 1\n", ":2: error: field 'a' is there twice"),
    ("version 1\nop X oneway a:u32 -> b:u32\n", "X 1\n", ":2: error: a one-way operation has no reply"),
    ("version 1\nop X oneway d:data a:u32\n", "X 1\n", ":2: error: field 'a' behind a blob"),
    ("version 1\nop X oneway d:data d:data\n", "X 1\n", ":2: error: 'd' is there twice"),
    ("version 1\nop X oneway d:data d_size:data\n", "X 1\n", ":2: error: 'd_size' is there twice"),
    ("version 1\nop X oneway d_size:data d:data\n", "X 1\n", ":2: error: 'd_size' is there twice"),
    ("version 1\nop X oneway d:u32 d:data\n", "X 1\n", ":2: error: 'd' is there twice"),
    ("version 1\nop X oneway ctx:data\n", "X 1\n", ":2: error: blob 'ctx' has a name that the generated functions use"),
    ("version 1\nop X oneway d:built?\n", "X 1\n", ":2: error: blob 'd' is built in the frame, so it is there"),
    ("version 1\nop X oneway d:built e:built\n", "X 1\n", ":2: error: more than one blob is built in the frame"),
    ("version 1\nop X call -> d:data\n", "X 1\n", ":2: error: 'd:data' is neither a field nor a blob"),
    ("version 1\nop X call\nop X call\n", "X 1\n", ":3: error: operation X is there twice"),
    ("version 1\nop X call v2\n", "X 1\n", ":2: error: X is newer than the description"),
    ("version 1\nop X call\n", "", ":2: error: X has no number in"),
    ("version 1\n", "X 1\n", "X not in the description: opcodes are never taken back"),
    ("version 1\nop X call\nop Y call\n", "X 1\nY 1\n", ":2: error: Y has the number of X"),
    ("version 1\nop X call\nop Y call\n", "X 2\nY 1\n", ":2: error: 1 stands behind 2: lines are only appended"),
    ("version 1\ngone X\nop X call\n", "X 1\n", ":2: error: operation X is not gone"),
    ("version 1\ngone X\n", "Y 1\n", ":2: error: X has no number in"),
    ("version 1\nlocal cuInit\nhand cuInit\n", "", ":3: error: cuInit is listed twice"),
    ("version 1\nnone because cuInit\n", "", ":2: error: expected 'none \"reason\" SYMBOL ...'"),
    ("version 1\nfrobnicate\n", "", ":2: error: unknown word 'frobnicate'"),
    ("op X call\n", "X 1\n", "no version"),
    ("version 1\nop X call " + " ".join(f"f{i}:u64" for i in range(33)) + "\n", "X 1\n", "264 bytes of fixed fields"),
]


def run(api, lock, abi, what):
    return subprocess.run([sys.executable, GEN, "--api", api, "--lock", lock, "--abi", abi, what], capture_output=True, text=True)


def fail(text):
    print("FAIL:", text, file=sys.stderr)
    sys.exit(1)


def golden():
    files = [os.path.join(TEST, "mini_cuda." + e) for e in ("api", "lock", "abi")]
    for what in ("ops", "send", "handlers", "dispatch", "exports", "shapes", "dict", "table"):
        got = run(*files, what)
        path = os.path.join(TEST, "golden", "mini_cuda." + what)
        if got.returncode:
            fail(f"{what}: {got.stderr}")
        if os.environ.get("UPDATE_GOLDEN"):
            open(path, "w", encoding="utf-8").write(got.stdout)
        if got.stdout != open(path, encoding="utf-8").read():
            fail(f"{what} is not as in {path} (UPDATE_GOLDEN=1 writes it anew)")


def assign():
    """New operations get the next numbers; what is there stays as it is."""
    with tempfile.TemporaryDirectory() as tmp:
        lock = os.path.join(tmp, "lock")
        for _ in range(2):
            open(lock, "a", encoding="utf-8").write("" if os.path.exists(lock) and os.path.getsize(lock) else "# kept\nNOTE 7\n")
            got = subprocess.run([sys.executable, GEN, "--api", os.path.join(TEST, "mini_cuda.api"), "--lock", lock, "--assign"],
                                 capture_output=True, text=True)
            text = open(lock, encoding="utf-8").read()
            if got.returncode or text != "# kept\nNOTE 7\nPING 8\nRUN 9\nLOOK 10\n":
                fail(f"--assign: {got.returncode}, {got.stderr!r}: {text!r}")


def bad():
    with tempfile.TemporaryDirectory() as tmp:
        api, lock = os.path.join(tmp, "bad.api"), os.path.join(tmp, "bad.lock")
        for text, numbers, want in BAD:
            open(api, "w", encoding="utf-8").write(text)
            open(lock, "w", encoding="utf-8").write(numbers)
            got = run(api, lock, REAL[2], "ops")
            if got.returncode != 1 or want not in got.stderr:
                fail(f"{text!r}: status {got.returncode}, {got.stderr!r} instead of {want!r}")


def bad_row():
    with tempfile.NamedTemporaryFile("w", suffix=".h") as abi:
        abi.write("F(cuInit, unsigned\n    int)\n")
        abi.flush()
        got = run(*REAL[:2], abi.name, "exports")
        if got.returncode != 1 or ":1: error: a row is a line: F(cell, ...)" not in got.stderr:
            fail(f"a row of two lines: status {got.returncode}, {got.stderr!r}")


def manual():
    table = run(*REAL, "table").stdout
    if table not in open(os.path.join(ROOT, "docs/cuda.md"), encoding="utf-8").read():
        fail("docs/cuda.md: the table of what is not supported is not what 'cuda.py table' prints")


def everything_named():
    """What cuGetProcAddress can name is in the description, or made from what is."""
    names = cuda.parse(REAL[0]).symbols
    procs = [row[-1] for _, row in wire.read_rows(os.path.join(ROOT, "cuda/procs_table.h"), "P")]
    lost = [p for p in procs if p not in names and re.sub(r"_pt[sd][sz]$", "", p) not in names]
    if lost:
        fail("not in cuda.api: " + " ".join(lost))


golden()
assign()
bad()
bad_row()
manual()
everything_named()
