#!/bin/bash
# What holds for every file of the repository: see tests/lib/style.py and, for what comments name, tests/lib/comments.py. Scripts are also
# shown to bash.
set -u
cd "$XG_ROOT" || exit 1
bad=0
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    files() { git ls-files -co --exclude-standard -z; }
else
    files() { find . \( -path ./build -o -path './build-*' -o -path ./.git \) -prune -o -type f -print0; }
fi
files | xargs -0 python3 tests/lib/style.py || bad=1
files | python3 tests/lib/comments.py || bad=1
while IFS= read -r -d '' f; do
    [ ! -f "$f" ] || bash -n "$f" || bad=1
done < <(files | grep -zE '\.sh$|^(\./)?\.ci/run$')

# style.py finds static functions of one word, where the folder is done
mkdir -p "$TMPDIR/names/frontend" "$TMPDIR/names/elsewhere" && cd "$TMPDIR/names" || exit 1
cat >frontend/a.c <<'END'
static int take(int a);
static const struct a *
give(void)
{
    return call(0);
}
static inline void device_take(struct a *a)
{
}
static int CreateContext(void);
static struct a list[] = {{call(1)}};
static void (*hook)(void);
END
cp frontend/a.c elsewhere/a.c
cat >want <<'END'
frontend/a.c:1: take() is one word: name it noun_verb
frontend/a.c:3: give() is one word: name it noun_verb
END
python3 "$XG_ROOT/tests/lib/style.py" frontend/a.c elsewhere/a.c >got && { echo "style.py: status 0"; bad=1; }
diff want got || bad=1

# comments.py finds what it is there for, and nothing else
mkdir -p "$TMPDIR/tree/part" && cd "$TMPDIR/tree" || exit 1
cat >part/a.c <<'END'
/* other.c, part/b.h, `missing` and gone_by_now, old_call() and XG_OLD. */
/* part/a.c, a.c, `there`, still_here, still_here(), fork(), XG_NEW_*, NEW_ONE and GL_RGBA. https://host/x.c */
int there, still_here = XG_NEW_ONE; // not_here
const char *text = "/* not_a_comment */";
END
echo 'See `part/a.c`, part/c.h, xg_old and some_word.' >README.md
cat >want <<'END'
part/a.c:1: no file other.c
part/a.c:1: no file part/b.h
part/a.c:1: nothing is called missing
part/a.c:1: nothing is called gone_by_now
part/a.c:1: no function old_call
part/a.c:1: nothing is called XG_OLD
part/a.c:3: nothing is called not_here
README.md:1: no file part/c.h
README.md:1: nothing is called xg_old
END
printf 'README.md\0part/a.c\0' | python3 "$XG_ROOT/tests/lib/comments.py" >got && { echo "comments.py: status 0"; bad=1; }
diff want got || bad=1

# style.py knows who may include what
mkdir -p backend/platform backend/gl tools interposer
for f in backend/a.h:backend/platform/b.h backend/platform/a.h:backend/loop/b.h backend/platform/b.h:backend/broker/c.h \
    backend/gl/a.h:backend/worker.h backend/gl/b.h:backend/sched.h backend/gl/c.h:gl/ops.h interposer/a.h:backend/worker.h \
    tools/a.h:backend/platform/nodes.h tools/b.h:backend/platform/xen.h \
    backend/gl/d.c:backend/gl/d.h backend/gl/d.h:backend/gl/e.h backend/gl/e.h:backend/gl/f.h backend/gl/f.c:backend/gl/d.h; do
    printf '/* It. */\n#pragma once\n#include "%s"\n' "${f#*:}" >"${f%%:*}"
done
cat >want <<'END'
backend/a.h:3: backend/ must not include backend/platform/b.h
backend/gl/b.h:3: backend/gl/ must not include backend/sched.h
backend/gl/d.c: a ring of includes: d, e, f, d
backend/platform/b.h:3: backend/platform/ must not include backend/broker/c.h
interposer/a.h:3: interposer/ must not include backend/worker.h
tools/b.h:3: tools/ must not include backend/platform/xen.h
END
python3 "$XG_ROOT/tests/lib/style.py" */*.h backend/*/*.[ch] >got && { echo "style.py: status 0"; bad=1; }
sort got | diff want - || bad=1

# and which folder lacks a README
mkdir few many many_told && touch few/{1..10} many/{1..11} many_told/{1..11} many_told/README.md
python3 "$XG_ROOT/tests/lib/style.py" few/* many/* many_told/* >got && { echo "style.py: status 0"; bad=1; }
echo 'many: 11 files and no README.md that says what they are' | diff - got || bad=1
exit $bad
