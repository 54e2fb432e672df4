#!/bin/sh
# deps.sh missing GROUP...   prints the packages that are missing; status 1 if there are any
# deps.sh install [GROUP...] installs what is missing (Debian 12 and 13, as root)
# The groups are those of deps.list; without any: build and check.
set -u
list=${XG_DEPS_LIST:-$(dirname "$0")/deps.list}

have() { # KIND WHAT
    case $1 in
    program) command -v "$2" >/dev/null 2>&1 ;;
    # shellcheck disable=SC2086
    file) ls -d $2 >/dev/null 2>&1 ;; # may be a pattern
    header) [ -e "/usr/include/$2" ] || ls /usr/include/*-linux-gnu/"$2" >/dev/null 2>&1 ;;
    *) echo "$list: unknown kind '$1'" >&2; exit 2 ;;
    esac
}

missing() { # GROUP...
    while read -r group package kind what; do
        case $group in ''|'#'*) continue ;; esac
        case " $* " in *" $group "*) have "$kind" "$what" || echo "$package" ;; esac
    done <"$list" | sort -u
}

verb=${1:-}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- build check
case $verb in
missing)
    m=$(missing "$@" | tr '\n' ' ')
    [ -z "$m" ] && exit 0
    echo "missing packages: $m"
    exit 1 ;;
install)
    m=$(missing "$@" | tr '\n' ' ')
    [ -z "$m" ] && { echo "every package is there already"; exit 0; }
    [ "$(id -u)" = 0 ] || { echo "deps.sh: run as root: apt-get install $m" >&2; exit 1; }
    command -v apt-get >/dev/null || { echo "deps.sh: needs apt-get (Debian); install these by hand: $m" >&2; exit 1; }
    echo "installing: $m"
    apt-get update -q >/dev/null || exit 1
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends $m ;;
*)
    echo "usage: deps.sh missing|install [GROUP...]" >&2; exit 2 ;;
esac
