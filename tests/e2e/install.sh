#!/bin/bash
# limit: 180
# make install: what is installed works by itself, under DESTDIR nothing is written elsewhere, and what systemd does not find is said.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
dest=$TMPDIR/dest
install() { make -C "$XG_ROOT" --no-print-directory BUILD="$XG_BUILD" DESTDIR="$dest" "$@" >"$TMPDIR/make.log" 2>&1; }
said() { grep -qF "$1" "$TMPDIR/make.log"; }

# Where systemd looks, nothing needs to be said; anywhere else it must be.
install PREFIX=/usr/local install || { cat "$TMPDIR/make.log"; fail "make install"; }
! said systemctl || { cat "$TMPDIR/make.log"; fail "units are where systemd looks, and yet something is said"; }
[ -s "$dest/usr/local/lib/systemd/system/xengpud.service" ] || fail "no unit in /usr/local"
install PREFIX=/usr/local uninstall && [ -z "$(find "$dest" ! -type d)" ] || fail "make uninstall leaves files"
install PREFIX=/opt/x UNITDIR=/etc/systemd/system MODULESDIR=/etc/modules-load.d install || fail "make install with UNITDIR"
grep -q '^ExecStart=/opt/x/bin/xengpud' "$dest/etc/systemd/system/xengpud.service" || fail "UNITDIR: no unit, or not for /opt/x"
! said systemctl || fail "UNITDIR was given, and yet something is said"
install PREFIX=/opt/x UNITDIR=/etc/systemd/system MODULESDIR=/etc/modules-load.d uninstall && [ -z "$(find "$dest" ! -type d)" ] ||
    fail "make uninstall with UNITDIR leaves files"
for wrong in opt/x '/opt/a b' '/opt/a&b'; do
    ! install PREFIX="$wrong" install || fail "PREFIX='$wrong' is taken"
    said "PREFIX=$wrong" || { cat "$TMPDIR/make.log"; fail "PREFIX='$wrong': it is not said what is wrong"; }
done
rm -rf "$dest"

install PREFIX=/opt/x LIBDIR=/opt/x/lib64 install || { cat "$TMPDIR/make.log"; fail "make install"; }
for unit in xengpud xengpu-agent; do
    said "systemctl link /opt/x/lib/systemd/system/$unit.service" || fail "nobody says that systemd does not find $unit.service"
done
there=$dest/opt/x house=$dest/opt/x/lib64/xengpu
[ -z "$(find "$dest" -mindepth 1 -maxdepth 1 ! -name opt)" ] || fail "installs outside of PREFIX"
for program in xengpu xengpud xengpu-agent; do
    [ "$(readlink "$there/bin/$program")" = "../lib64/xengpu/bin/$program" ] || fail "bin/$program is not a relative link"
    [ "$("$there/bin/$program" --version | cut -d' ' -f1)" = "$program" ] || fail "bin/$program does not start"
done
[ ! -e "$there/lib64/libcuda.so.1" ] || fail "libcuda.so.1 lies where every program finds it"
grep -rlF "$XG_ROOT" "$house" --include='*.json' && fail "these name the source tree"

# The pages: the README is the project's own, and every link of every page leads to what is installed.
cmp "$XG_ROOT/README.md" "$there/share/doc/xengpu/README.md" || fail "the README is another"
python3 "$XG_ROOT/tests/lib/links.py" "$there/share/doc/xengpu" || fail "links lead nowhere"
[ -s "$there/share/doc/xengpu/packaging/xengpud.conf.example" ] || fail "no example of the configuration"

# Units for Xen: they name what is installed, and systemd understands them where it is there to ask.
for unit in xengpud xengpu-agent; do
    file=$there/lib/systemd/system/$unit.service
    grep -q '^ExecStart=/opt/x/' "$file" || fail "$unit.service starts nothing of ours"
    for program in $(sed -n 's/^Exec[A-Za-z]*=\(\/opt[^ ]*\).*/\1/p' "$file"); do
        [ -h "$dest$program" ] || fail "$unit.service starts '$program', which is not there"
    done
    page=$(sed -n 's/^Documentation=file://p' "$file")
    [ -s "$dest$page" ] || fail "$unit.service names the page '$page', which is not there"
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

install PREFIX=/opt/x LIBDIR=/opt/x/lib64 uninstall || fail "make uninstall"
[ -z "$(find "$dest" ! -type d)" ] || { find "$dest" ! -type d; fail "make uninstall leaves files"; }
