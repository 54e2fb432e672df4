#!/bin/sh
# install.sh BUILD: copies what make has built to where it is used. make tells the rest by variables; each is a path that does not begin
# with DESTDIR, which is put before all of them:
#   PREFIX      bin/, share/doc/xengpu/
#   LIBDIR      xengpu/: programs and libraries, together as they are in the build
#   UNITDIR     systemd's units
#   MODULESDIR  the kernel modules that they need
set -eu
build=$1
: "${DESTDIR=}" "${PREFIX:?}" "${LIBDIR:?}" "${UNITDIR:?}" "${MODULESDIR:?}"

for path in "PREFIX=$PREFIX" "LIBDIR=$LIBDIR" "UNITDIR=$UNITDIR" "MODULESDIR=$MODULESDIR"; do
    case ${path#*=} in
    *[!A-Za-z0-9/._+~-]*) echo "install: $path: only letters, digits and / . _ + ~ - may be in it: units name it" >&2; exit 1 ;;
    /*) ;;
    *) echo "install: $path: must begin with /" >&2; exit 1 ;;
    esac
done
house=$DESTDIR$LIBDIR/xengpu bin=$DESTDIR$PREFIX/bin doc=$DESTDIR$PREFIX/share/doc/xengpu

mkdir -p "$house/bin" "$bin"
for program in "$build"/bin/*; do
    name=${program##*/}
    [ "$name" = xengpu-bench ] && continue # needs the source tree
    install -m 755 "$program" "$house/bin/$name"
    ln -srfn "$house/bin/$name" "$bin/$name" # relative: right below DESTDIR too
done
(cd "$build" && find lib \( -type f -o -type l \) -print) | while read -r file; do
    mkdir -p "$house/${file%/*}"
    if [ -h "$build/$file" ]; then
        ln -sfn "$(readlink "$build/$file")" "$house/$file"
    else
        install -m 644 "$build/$file" "$house/$file"
    fi
done

# The pages, beside each other as they are in the source tree, so that their links lead somewhere.
for page in README.md CONTRIBUTING.md LICENSE docs/* protocol/README.md bench/README.md tests/README.md tests/xen/README.md tests/gpu/README.md tests/fuzz/README.md \
    packaging/xengpud.conf.example; do
    install -D -m 644 "$page" "$doc/$page"
done

# For Xen; nothing of it is started by being there.
mkdir -p "$DESTDIR$UNITDIR" "$DESTDIR$MODULESDIR"
for unit in xengpud xengpu-agent; do
    sed "s,@PREFIX@,$PREFIX,g" "packaging/systemd/$unit.service" >"$DESTDIR$UNITDIR/$unit.service"
    install -m 644 "packaging/systemd/modules-$unit.conf" "$DESTDIR$MODULESDIR/$unit.conf"
done

# Who chose other places is told what does not find them by itself.
case :$PATH: in *":$PREFIX/bin:"*) at='' ;; *) at=$PREFIX/bin/ ;; esac
echo "installed; '${at}xengpud --local' starts the daemon, '${at}xengpu run -- PROGRAM' runs a program as a guest"
case $UNITDIR in
/etc/systemd/system | /usr/local/lib/systemd/system | /usr/lib/systemd/system | /lib/systemd/system) ;;
*)
    echo "systemd does not look into $UNITDIR. It is shown the units by"
    echo "    systemctl link $UNITDIR/xengpud.service         (where the GPU is)"
    echo "    systemctl link $UNITDIR/xengpu-agent.service    (in a guest)"
    echo "or install with UNITDIR=/etc/systemd/system" ;;
esac
case $MODULESDIR in
/etc/modules-load.d | /usr/local/lib/modules-load.d | /usr/lib/modules-load.d | /lib/modules-load.d) ;;
*) echo "systemd does not look into $MODULESDIR either; that is no harm, since the units load their modules themselves" ;;
esac
