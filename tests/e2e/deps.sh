#!/bin/bash
# What a tree says that lacks a package; and that the list of packages is sound.
set -u
cd "$XG_ROOT" || exit 1
bad=0
wrong() { echo "$*"; bad=1; }

cat >"$TMPDIR/list" <<'END'
# a comment

build    there-1        program sh
build    there-2        header  stdio.h
build    there-3        file    /etc/deb*n_version
build    gone-program   program no-such-program
build    gone-header    header  no/such.h
build    gone-file      file    /no/such/file*
check    gone-check     program no-such-program
END
export XG_DEPS_LIST=$TMPDIR/list
out=$(sh packaging/deps.sh missing build) && wrong "missing: status 0"
[ "$out" = "missing packages: gone-file gone-header gone-program " ] || wrong "missing: '$out'"
out=$(sh packaging/deps.sh missing build check) && wrong "missing, two groups: status 0"
case $out in *gone-check*) ;; *) wrong "two groups: '$out'" ;; esac

# make says so too, before any compiler does, and names the way out
out=$(make -C "$XG_ROOT" BUILD="$TMPDIR/b" 2>&1) && wrong "make: status 0"
for part in "missing packages: gone-file gone-header gone-program" "make deps"; do
    case $out in *"$part"*) ;; *) wrong "make does not say '$part': $out" ;; esac
done
[ -e "$TMPDIR/b" ] && wrong "make built something"

# What is made for tests, or with a sanitizer, needs the packages for checks too: nothing is left out in silence.
for goal in tests demo-programs bench-programs check-unit "SAN=address all" "$TMPDIR/b/tests/kernels/vectoradd.ptx"; do
    # shellcheck disable=SC2086
    out=$(make -C "$XG_ROOT" BUILD="$TMPDIR/b" $goal 2>&1) && wrong "make $goal: status 0"
    case $out in *gone-check*"make deps"*) ;; *) wrong "make $goal does not name what is missing: $out" ;; esac
done

# a user that is not root is told what to install
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    out=$(setpriv --reuid=65534 --clear-groups sh packaging/deps.sh install build 2>&1) && wrong "install as a user: status 0"
    case $out in *"gone-file gone-header gone-program"*) ;; *) wrong "install as a user: '$out'" ;; esac
fi

unset XG_DEPS_LIST

# Tools by whatever name a suite gives them: a machine that has clang, and no clang-14 (Debian 13), makes the kernels of the tests; one
# without any is told the package.
mkdir "$TMPDIR/bin"
IFS=: read -ra folders <<<"$PATH"
for folder in "${folders[@]}"; do
    for program in "$folder"/*; do
        case ${program##*/} in clang | clang-[0-9]* | clang++*) ;; *) [ -e "$TMPDIR/bin/${program##*/}" ] || ln -s "$program" "$TMPDIR/bin/" ;; esac
    done
done
try() { PATH=$TMPDIR/bin make -C "$XG_ROOT" --no-print-directory BUILD="$TMPDIR/b" -n "$@" 2>&1; }
out=$(try demo-programs) && wrong "demo-programs without clang: status 0"
case $out in *"missing packages: clang "*) ;; *) wrong "demo-programs without clang: $out" ;; esac
ln -s "$(command -v clang)" "$TMPDIR/bin/clang"
out=$(try demo-programs)
case $out in *"$TMPDIR/bin/clang -x cuda"*kernels/vectoradd.ptx*) ;; *) wrong "demo-programs with clang alone makes no kernels" ;; esac
out=$(try SAN=address all)
case $out in *"$TMPDIR/bin/clang "*-fsanitize=address*) ;; *) wrong "SAN=address with clang alone: not compiled by it" ;; esac

# the real list: every line has its four parts, a known kind, and no package stands there twice
awk '!/^#/ && NF { if (NF != 4 || $3 !~ /^(program|header|file)$/) { print "deps.list: " $0; bad = 1 }
                   if (seen[$2]++) { print "deps.list: twice: " $2; bad = 1 } } END { exit bad }' packaging/deps.list || bad=1
sh packaging/deps.sh missing build check || wrong "packages are missing here"
exit $bad
