#!/bin/bash
# limit: 180
# make install: what is installed works by itself, and under DESTDIR nothing is written elsewhere.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
make -C "$XG_ROOT" --no-print-directory BUILD="$XG_BUILD" PREFIX=/opt/x DESTDIR="$TMPDIR/dest" install >"$TMPDIR/make.log" 2>&1 ||
    { cat "$TMPDIR/make.log"; fail "make install"; }
there=$TMPDIR/dest/opt/x
[ -z "$(find "$TMPDIR/dest" -mindepth 1 -maxdepth 1 ! -name opt)" ] || fail "installs outside of PREFIX"
for program in xengpu xengpud; do
    [ "$(readlink "$there/bin/$program")" = "/opt/x/lib/xengpu/bin/$program" ] || fail "bin/$program is not linked"
done
[ ! -e "$there/lib/libcuda.so.1" ] || fail "libcuda.so.1 lies where every program finds it"
house=$there/lib/xengpu
grep -rlF "$XG_ROOT" "$house" --include='*.json' && fail "these name the source tree"
# Units for Xen: they name what is installed, and systemd understands them where it is there to ask.
for unit in xengpud xengpu-agent; do
    file=$there/lib/systemd/system/$unit.service
    grep -q '^ExecStart=/opt/x/' "$file" || fail "$unit.service starts nothing of ours"
    for program in $(sed -n 's/^Exec[A-Za-z]*=\(\/opt[^ ]*\).*/\1/p' "$file"); do
        [ -h "$TMPDIR/dest$program" ] || fail "$unit.service starts '$program', which is not there"
    done
    grep -q '@' "$file" && fail "$unit.service: something is not filled in"
    [ -s "$there/lib/modules-load.d/$unit.conf" ] || fail "no modules for $unit"
    if command -v systemd-analyze >/dev/null; then
        sed 's,^\(Exec[A-Za-z]*=\)/opt[^ ]*,\1/bin/true,; s,^Documentation=.*,,' "$file" >"$TMPDIR/$unit.service"
        systemd-analyze verify --man=no "$TMPDIR/$unit.service" 2>&1 | grep -F "$unit.service" && fail "$unit.service: see above"
    fi
done

# The installed programs and libraries, away from the build.
XG_BUILD=$house XG_PLAIN_BUILD=$house
daemon_start
guest one true || fail "a guest cannot run"
guest one sh -c 'exit 7'
[ $? -eq 7 ] || fail "the exit status is not the program's"
xvfb_start
guest one glxinfo -B | tee "$TMPDIR/glxinfo" | grep -i 'renderer.*xengpu' || { cat "$TMPDIR/glxinfo"; fail "OpenGL does not find its libraries"; }

make -C "$XG_ROOT" --no-print-directory BUILD="$XG_BUILD" PREFIX=/opt/x DESTDIR="$TMPDIR/dest" uninstall >/dev/null || fail "make uninstall"
[ -z "$(find "$TMPDIR/dest" ! -type d)" ] || { find "$TMPDIR/dest" ! -type d; fail "make uninstall leaves files"; }
