#!/bin/sh
# install.sh BUILD HOUSE PREFIX LINK WHERE: copies the programs and libraries of BUILD to HOUSE, and links the programs from PREFIX/bin.
# HOUSE and PREFIX include DESTDIR; LINK is HOUSE without it, and WHERE is PREFIX without it.
set -eu
build=$1 house=$2 prefix=$3 link=$4 where=$5

mkdir -p "$house/bin" "$prefix/bin" "$prefix/share/doc/xengpu"
for program in "$build"/bin/*; do
    name=${program##*/}
    [ "$name" = xengpu-bench ] && continue # needs the source tree
    install -m 755 "$program" "$house/bin/$name"
    ln -sfn "$link/bin/$name" "$prefix/bin/$name"
done
(cd "$build" && find lib \( -type f -o -type l \) -print) | while read -r file; do
    mkdir -p "$house/${file%/*}"
    if [ -h "$build/$file" ]; then
        ln -sfn "$(readlink "$build/$file")" "$house/$file"
    else
        install -m 644 "$build/$file" "$house/$file"
    fi
done
# For Xen; nothing of it is started by being there.
mkdir -p "$prefix/lib/systemd/system" "$prefix/lib/modules-load.d"
for unit in xengpud xengpu-agent; do
    sed "s,@PREFIX@,$where,g" "packaging/systemd/$unit.service" >"$prefix/lib/systemd/system/$unit.service"
    install -m 644 "packaging/systemd/modules-$unit.conf" "$prefix/lib/modules-load.d/$unit.conf"
done
install -m 644 packaging/xengpud.conf.example README.md LICENSE "$prefix/share/doc/xengpu/"
for page in docs/*.md; do
    [ ! -e "$page" ] || install -m 644 "$page" "$prefix/share/doc/xengpu/"
done
echo "installed; 'xengpud --local' starts the daemon, 'xengpu run -- PROGRAM' runs a program as a guest"
