#!/bin/bash
# bare.sh DIR [GOAL...]: proves that a fresh clone works on a bare machine. For each SUITE it makes a Debian in DIR/SUITE with debootstrap
# (minbase plus make and git), clones what is committed into it (or, with WORKTREE=1, what lies here), and runs the make GOALs there
# (demo, check). Ends with a line for each, and with status 0 only if all were good. As root.
#   SUITE (bookworm trixie)   MIRROR (the first that apt uses here)   CI=1: warnings are errors, as in continuous integration
#   KEEP=1: what is in DIR is not removed, and is taken up again by the next run
set -eu
[ $# -ge 1 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
dir=$(realpath -m "$1"); shift
[ $# -gt 0 ] || set -- demo check
root=$(cd "$(dirname "$0")/.." && pwd)
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}
say() { echo "bare.sh: $*"; }
[ "$(id -u)" = 0 ] || { say "run as root: debootstrap and chroot need it" >&2; exit 1; }
for tool in debootstrap:debootstrap unshare:util-linux git:git; do
    command -v "${tool%:*}" >/dev/null || { say "${tool%:*} is not there; apt-get install ${tool#*:}" >&2; exit 1; }
done

# The mounts live in a namespace of their own, and go with it.
if [ -z "${XG_BARE_INSIDE:-}" ]; then
    status=0
    mkdir -p "$dir"
    XG_BARE_INSIDE=1 unshare --mount --propagation private "$0" "$dir" "$@" || status=$?
    if [ -z "${KEEP:-}" ]; then
        for suite in ${SUITE:-bookworm trixie}; do rm -rf --one-file-system "$dir/$suite"; done
        rmdir --ignore-fail-on-non-empty "$dir"
    fi
    exit $status
fi
trap 'exit 143' TERM INT

prepare() { # SUITE: a bare Debian with our sources in it
    local bare=$dir/$1
    if [ ! -e "$bare/bare-is-ready" ]; then
        say "debootstrap of $1 into $bare"
        debootstrap --variant=minbase --include=make,git,ca-certificates "$1" "$bare" "$mirror" >"$bare.log" 2>&1 ||
            { tail "$bare.log"; return 1; }
        rm -f "$bare.log"
        touch "$bare/bare-is-ready"
    fi
    mount -t proc proc "$bare/proc" &&
        mount -t sysfs -o ro sysfs "$bare/sys" &&
        mount --bind /dev "$bare/dev" &&
        mount -t devpts devpts "$bare/dev/pts" -o newinstance,ptmxmode=0666 &&
        mount -t tmpfs tmpfs "$bare/dev/shm" &&
        cp /etc/resolv.conf "$bare/etc/resolv.conf" || return 1

    rm -rf "$bare/root/xengpu"
    mkdir -p "$bare/root/xengpu"
    if [ -n "${WORKTREE:-}" ]; then
        (cd "$root" && git ls-files -co --exclude-standard -z | tar --null --ignore-failed-read -cf - -T -) | tar -xf - -C "$bare/root/xengpu"
    else
        git clone -q "$root" "$bare/root/xengpu"
    fi
}

goal() { # SUITE GOAL
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb ${CI:+CI="$CI"} \
        chroot "$dir/$1" make -C /root/xengpu "$2" </dev/null
}

summary=() status=0
for suite in ${SUITE:-bookworm trixie}; do
    start=$(date +%s)
    if ! prepare "$suite"; then
        summary+=("$suite: NO BARE SYSTEM, $(($(date +%s) - start)) s") status=1
        continue
    fi
    for goal in "$@"; do
        say "$suite: make $goal"
        start=$(date +%s) outcome=good
        goal "$suite" "$goal" || outcome=FAILED status=1
        summary+=("$suite: make $goal: $outcome, $(($(date +%s) - start)) s")
    done
done
for line in "${summary[@]}"; do say "$line"; done
exit $status
