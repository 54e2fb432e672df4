#!/bin/bash
# bare.sh DIR [GOAL...]: proves that a fresh clone works on a bare machine. Makes a Debian in DIR with debootstrap (minbase plus make and git),
# clones what is committed into it (or, with WORKTREE=1, what lies here), and runs the make GOALs there (demo, check). As root.
#   SUITE (bookworm)   MIRROR (the first that apt uses here)   KEEP=1: DIR is not taken down, and taken up again by the next run
set -eu
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
dir=$(realpath -m "$1"); shift
[ $# -gt 0 ] || set -- demo check
root=$(cd "$(dirname "$0")/.." && pwd)
suite=${SUITE:-bookworm} mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}

# The mounts live in a namespace of their own, and go with it.
if [ -z "${XG_BARE_INSIDE:-}" ]; then
    status=0
    XG_BARE_INSIDE=1 unshare --mount --propagation private "$0" "$dir" "$@" || status=$?
    [ -n "${KEEP:-}" ] || rm -rf --one-file-system "$dir"
    exit $status
fi
trap 'exit 143' TERM INT

if [ ! -e "$dir/bare-is-ready" ]; then
    echo "bare.sh: debootstrap of $suite into $dir"
    debootstrap --variant=minbase --include=make,git,ca-certificates "$suite" "$dir" "$mirror" >"$dir.debootstrap.log" 2>&1 || { tail "$dir.debootstrap.log"; exit 1; }
    rm -f "$dir.debootstrap.log"
    touch "$dir/bare-is-ready"
fi
mount -t proc proc "$dir/proc"
mount -t sysfs -o ro sysfs "$dir/sys"
mount --bind /dev "$dir/dev"
mount -t devpts devpts "$dir/dev/pts" -o newinstance,ptmxmode=0666
mount -t tmpfs tmpfs "$dir/dev/shm"
cp /etc/resolv.conf "$dir/etc/resolv.conf"

rm -rf "$dir/root/xengpu"
mkdir -p "$dir/root/xengpu"
if [ -n "${WORKTREE:-}" ]; then
    (cd "$root" && git ls-files -co --exclude-standard -z | tar --null --ignore-failed-read -cf - -T -) | tar -xf - -C "$dir/root/xengpu"
else
    git clone -q "$root" "$dir/root/xengpu"
fi
status=0
for goal in "$@"; do
    echo "bare.sh: make $goal"
    start=$(date +%s)
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
        chroot "$dir" make -C /root/xengpu "$goal" </dev/null || status=1
    echo "bare.sh: make $goal: $([ $status = 0 ] && echo good || echo FAILED), $(($(date +%s) - start)) s"
    [ $status = 0 ] || break
done
exit $status
