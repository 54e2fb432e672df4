#!/usr/bin/env python3
"""Tests of the generator's OpenGL front end.

golden-gl/  what mini.xml, mini.annot and mini.opcodes give, file by file; check.py --update writes it anew
bad-*       descriptions with a mistake: the first line tells the message, which must be the generator's first, with exit status 1; a line
            "then:" tells the one after it
Also: the same input gives the same output; --assign appends and never renumbers; gl.xml as installed gives code that names no command twice.
"""
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GENERATOR = os.path.join(HERE, "../../protocol/gen/gl.py")
failed = []


def generate(xml="mini.xml", annot="mini.annot", opcodes="mini.opcodes", *more):
    return subprocess.run([sys.executable, GENERATOR, "--xml", xml, "--annot", annot, "--opcodes", opcodes, *more],
                          cwd=HERE, capture_output=True, text=True)


def check(name, ok, text=""):
    print("%-40s %s" % (name, "ok" if ok else "FAILED " + text))
    if not ok:
        failed.append(name)


def golden(out):
    r = generate("mini.xml", "mini.annot", "mini.opcodes", "--out", out)
    check("golden: runs", r.returncode == 0, r.stderr)
    want, got = sorted(os.listdir(os.path.join(HERE, "golden-gl"))), sorted(os.listdir(out))
    check("golden: files", want == got, "%s instead of %s" % (got, want))
    for name in want:
        if name in got:
            same = filecmp.cmp(os.path.join(HERE, "golden-gl", name), os.path.join(out, name), shallow=False)
            check("golden: " + name, same, "differs; if that is meant: tests/gen/check.py --update")


def bad():
    for name in sorted(os.listdir(HERE)):
        if not name.startswith("bad-"):
            continue
        with open(os.path.join(HERE, name), encoding="utf-8") as f:
            want = [re.search(r"expect: (.*?)(?: -->)?$", f.readline()).group(1)]
            want += re.findall(r"^# then: (.*)", f.read(), re.M)
        kind = name.rpartition(".")[2]
        files = {"xml": "mini.xml", "annot": "mini.annot", "opcodes": "mini.opcodes", kind: name}
        r = generate(files["xml"], files["annot"], files["opcodes"])
        got = [line.strip() for line in r.stderr.splitlines()[:len(want)]]
        check(name, r.returncode == 1 and got == want, "status %d: %s" % (r.returncode, got))


def assign(tmp):
    lock = os.path.join(tmp, "opcodes")
    with open(lock, "w", encoding="utf-8") as f:
        f.write("glViewport 7 1\nglGone 9 1\n")
    r = generate("mini.xml", "mini.annot", lock, "--assign", "2")
    with open(lock, encoding="utf-8") as f:
        lines = f.read().splitlines()
    numbers = [line.split()[1] for line in lines]
    check("assign: runs", r.returncode == 0, r.stderr)
    check("assign: keeps what was there", lines[:2] == ["glViewport 7 1", "glGone 9 1"])
    check("assign: no number twice", len(set(numbers)) == len(numbers))
    check("assign: new ones are of the new version", all(line.endswith(" 2") for line in lines[2:]) and len(lines) > 10)
    before = lines
    generate("mini.xml", "mini.annot", lock, "--assign", "3")
    with open(lock, encoding="utf-8") as f:
        check("assign: nothing to do the second time", f.read().splitlines() == before)


def real(tmp):
    xml = os.path.join(os.environ.get("KHRONOS", "/usr/share/khronos-api"), "gl.xml")
    if not os.path.exists(xml):
        return
    root = os.path.join(HERE, "../../protocol/gl")
    r = generate(xml, os.path.join(root, "gl.annot"), os.path.join(root, "opcodes"), "--out", tmp)
    check("gl.xml: runs", r.returncode == 0, r.stderr)
    if r.returncode:
        return
    with open(os.path.join(tmp, "procs.c"), encoding="utf-8") as f:
        names = re.findall(r'\{"(gl\w+)"', f.read())
    check("gl.xml: names are sorted, none twice", names == sorted(set(names)) and len(names) > 1200, "%d" % len(names))


def main():
    if "--update" in sys.argv:
        shutil.rmtree(os.path.join(HERE, "golden-gl"), ignore_errors=True)
        sys.exit(generate("mini.xml", "mini.annot", "mini.opcodes", "--out", "golden-gl").returncode)
    for test in (golden, assign, real):
        with tempfile.TemporaryDirectory() as tmp:
            test(tmp)
    bad()
    sys.exit(1 if failed else 0)


main()
