#!/bin/bash
# image.sh: makes what the Xen test boots, unless it is there, and prints the folder that has it:
#   xen  vmlinuz  initrd.gz  root.img (ext4, read-only: Dom0's root and the guests')
# All of it comes from Debian packages, through apt as it is set up here. Nothing in it is ours but boot/init: a change of xengpu does
# not make it anew. The folder's name is a hash of what it is made from. As root.
#   XG_XEN_CACHE   where it is kept (default: $XDG_CACHE_HOME/xengpu/xen)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XG_XEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xengpu/xen}
packages=$(grep -v '^#' "$here/packages.list")
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
key=$(cat "$here/packages.list" "$here/image.sh" "$here/boot/init" - <<<"$suite" | sha256sum | cut -c1-16)
out=$cache/$key
say() { echo "image.sh: $*" >&2; }

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -e "$out/root.img" ]; then
    touch "$out"
    echo "$out"
    exit 0
fi
[ "$(id -u)" = 0 ] || { say "run as root: the images have root's files"; exit 1; }
log=$cache/image.log
: >"$log"
trap 'rc=$?; rm -rf "$out.new"; [ $rc = 0 ] || { tail -n 20 "$log" >&2; say "failed; all of its output is in $log"; }' EXIT
rm -rf "$out.new"
root=$out.new/root
mkdir -p "$root"

# --- packages: all of them from nothing, whatever is installed here ---------------------------------------------------------------
fetch() { # FOLDER: where packages may be already, VERB...
    local archives=$1
    shift
    mkdir -p "$archives/partial"
    # shellcheck disable=SC2086
    apt-get -o Dir::State::status=/dev/null -o Dir::Cache::archives="$archives" -o APT::Sandbox::User=root -o Debug::NoLocking=1 \
        -o APT::Install-Recommends=false -o APT::Get::AllowUnauthenticated=false -y "$@" $packages
}
say "packages of $suite"
list() { fetch "$out.new/none" --print-uris install >"$out.new/uris" 2>>"$log"; }
list || { apt-get update -q >>"$log" 2>&1; list; }
fetch "$cache/debs" -q --download-only install >>"$log" 2>&1

# --- one root for all ---------------------------------------------------------------------------------------------------------------
say "unpacking"
for d in bin sbin lib; do # as Debian lays it out since the merge of /usr
    mkdir -p "$root/usr/$d"
    ln -s "usr/$d" "$root/$d"
done
mkdir -p "$root/usr/lib64"
ln -s usr/lib64 "$root/lib64"
unpack() { # DEB: without documents, and of the kernel only what may be needed
    case ${1##*/} in
    linux-image-[0-9]*)
        local m='./lib/modules/*/kernel'
        dpkg-deb --fsys-tarfile "$1" | tar -xf - -C "$2" --wildcards './boot/vmlinuz-*' './lib/modules/*/modules.builtin*' \
            './lib/modules/*/modules.order' "$m/drivers/xen/*" "$m/drivers/virtio/*" "$m/drivers/block/*" "$m/fs/ext4/*" "$m/fs/jbd2/*" \
            "$m/fs/mbcache*" "$m/fs/overlayfs/*" "$m/fs/9p/*" "$m/fs/netfs/*" "$m/fs/fscache/*" "$m/net/9p/*" "$m/lib/*" \
            "$m/crypto/*" "$m/arch/x86/crypto/*" --keep-directory-symlink ;;
    perl* | libperl* | initramfs-tools* | udev_* | linux-base_* | linux-image-amd64_* | usrmerge_* | dpkg_* | adduser_*) ;;
    *)
        dpkg-deb --fsys-tarfile "$1" | tar -xf - -C "$2" --keep-directory-symlink --exclude './usr/share/doc/*' \
            --exclude './usr/share/man/*' --exclude './usr/share/locale/*' --exclude './usr/share/info/*' ;;
    esac
}
export -f unpack
# Two at a time; the one that brings the loader and libraries need not be first, since nothing runs yet.
sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" "$out.new/uris" | sed "s,^,$cache/debs/," |
    xargs -P "$(nproc)" -I DEB bash -euo pipefail -c 'unpack "$1" "$2"' - DEB "$root" >>"$log" 2>&1

mkdir -p "$root"/{proc,sys,dev,run,tmp,logs,opt/xengpu,var/{lib/xenstored,log/xen,run,lock,tmp},root,home/user,etc/default}
rm -rf "$root/var/run" "$root/var/lock"
ln -s /run "$root/var/run"
ln -s /run/lock "$root/var/lock"
printf 'root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/home/user:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n' >"$root/etc/group"
chown 1000:1000 "$root/home/user"
[ -e "$root/usr/bin/sh" ] || ln -s bash "$root/usr/bin/sh"
[ -e "$root/usr/bin/awk" ] || ln -s busybox "$root/usr/bin/awk"
chroot "$root" ldconfig >>"$log" 2>&1

say "kernel, initramfs, disk"
version=$(ls "$root/lib/modules")
chroot "$root" depmod "$version" >>"$log" 2>&1
mv "$root/boot/vmlinuz-$version" "$out.new/vmlinuz"
gunzip -c "$root"/boot/xen-*-amd64.gz >"$out.new/xen"
rm -rf "$root"/boot/*

early=$out.new/early
mkdir -p "$early"/{bin,proc,sys,dev,mnt,new,lib/modules}
cp "$root/usr/bin/busybox" "$early/bin/"
cp -r "$root/lib/modules/$version" "$early/lib/modules/"
install -m 755 "$here/boot/init" "$early/init"
(cd "$early" && find . | "$root/usr/bin/busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$out.new/initrd.gz"

cp "$out.new/vmlinuz" "$out.new/initrd.gz" "$root/boot/" # for the guests
mke2fs -q -t ext4 -O ^has_journal -m 0 -E root_owner=0:0 -d "$root" "$out.new/root.img" \
    "$(($(du -sm "$root" | cut -f1) * 110 / 100 + 30))M" >>"$log" 2>&1
rm -rf "$root" "$early"
mv "$out.new" "$out"
# Older ones go, and packages that no image is made of any more.
find "$cache" -mindepth 1 -maxdepth 1 -type d -name '[0-9a-f]*' -regex '.*/[0-9a-f]+' -mtime +14 -exec rm -rf {} +
find "$cache/debs" -name '*.deb' -mtime +30 -delete
say "made $out ($(du -sm "$out" | cut -f1) MB)"
echo "$out"
