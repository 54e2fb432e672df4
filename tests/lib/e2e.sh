# Sourced by whole-program tests: a private daemon, guests, an X server, comparisons. Everything started here is stopped at exit.
#
#   daemon_start [ARGS]         xengpud --local in $SOCKETS; waits until it answers;  daemon_stop, daemon_log
#   guest NAME CMD...           runs CMD as that guest; the status is CMD's
#   direct CMD...               runs CMD on the device itself (for CUDA without a GPU: softcuda)
#   xvfb_start                  an X server of its own; sets DISPLAY
#   same_output NAME CMD...     CMD, directly and as a guest: same status 0, same standard output
#   shot FILE.png [MS]          what the X server shows, once it has stood still for so long
#   images_equal A B [LIMITS]   see tests/tools/imgdiff.c
#   gl_frame FILE.png direct|GUEST CALLS PROGRAM ARGS...    the picture of a program whose clock has been asked CALLS times
#   wait_for SECONDS COMMAND    until COMMAND succeeds
#   nvcc_path                   where NVIDIA's compiler lies; fails where there is none
#   toolkit_lib NVCC            the folder of its shared libraries
#   fail TEXT, skip TEXT
#
# Programs that we built come with the libraries of the same build; others (glxgears) get those without sanitizers.

set -u
: "${XG_ROOT:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${XG_BUILD:=$XG_ROOT/build}"
: "${XG_PLAIN_BUILD:=$XG_BUILD}"
: "${XG_VARIANT:=}"
if [ -z "${TMPDIR:-}" ]; then # run by hand
    TMPDIR=$(mktemp -d)
    export TMPDIR
    XG_OWN_TMP=$TMPDIR
fi
SOCKETS=$TMPDIR/sockets
PROGRAMS=$XG_BUILD/tests/programs
KERNELS=$XG_PLAIN_BUILD/tests/kernels
TOOLS=$XG_PLAIN_BUILD/tests/tools
export SOCKETS PROGRAMS KERNELS TOOLS
xg_pids=()

fail() { echo "FAIL: $*" >&2; exit 1; }
skip() { echo "$*"; exit 77; }

nvcc_path() { command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null; }

toolkit_lib() { # NVCC: which may be a script that starts one elsewhere, so it is asked
    local here
    here=$("$1" --dryrun none.cu 2>&1 | sed -n 's/^#\$ _HERE_=//p')
    for here in "${here%/bin}/lib64" "${here%/bin}/lib"; do
        [ ! -e "$here/libcudart.so" ] || { realpath "$here"; return 0; }
    done
    return 1
}

xg_stop() { # PID: asks, then insists
    local i
    kill "$1" 2>/dev/null
    for i in $(seq 100); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.05
    done
    echo "process $1 did not end when asked to" >&2
    kill -9 "$1" 2>/dev/null
}

xg_cleanup() {
    local status=$? i
    for ((i = ${#xg_pids[@]} - 1; i >= 0; i--)); do
        xg_stop "${xg_pids[i]}"
    done
    wait 2>/dev/null
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ] && [ -s "$TMPDIR/xengpud.log" ]; then
        echo "--- xengpud said:" >&2
        tail -n 50 "$TMPDIR/xengpud.log" >&2
    fi
    [ -z "${XG_OWN_TMP:-}" ] || rm -rf "$XG_OWN_TMP"
    exit "$status"
}
trap xg_cleanup EXIT
trap 'exit 143' TERM INT

wait_for() { # SECONDS COMMAND...
    local until=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.05
    done
}

# The build whose libraries a program must be given.
xg_build_of() {
    case $1 in "$XG_BUILD"/*) echo "$XG_BUILD" ;; *) echo "$XG_PLAIN_BUILD" ;; esac
}

xengpu() { "$XG_PLAIN_BUILD/bin/xengpu" "$@"; }

xg_answers() { kill -0 "$daemon_pid" && xengpu list --socket-dir "$SOCKETS" --json; }

daemon_start() {
    mkdir -p "$SOCKETS"
    chmod 755 "$SOCKETS"
    # A sanitizer in a worker's sandbox could not write a file: into the log with it, where the runner looks.
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:log_path=stderr UBSAN_OPTIONS=${UBSAN_OPTIONS:-}:log_path=stderr \
        "$XG_BUILD/bin/xengpud" --local --socket-dir "$SOCKETS" "$@" >>"$TMPDIR/xengpud.log" 2>&1 &
    daemon_pid=$!
    xg_pids+=("$daemon_pid")
    wait_for 20 xg_answers || fail "xengpud does not answer"
}

daemon_stop() {
    local p kept=()
    xg_stop "$daemon_pid"
    wait "$daemon_pid" 2>/dev/null
    for p in "${xg_pids[@]}"; do [ "$p" = "$daemon_pid" ] || kept+=("$p"); done
    xg_pids=("${kept[@]}")
}

daemon_log() { cat "$TMPDIR/xengpud.log"; }

guest() { # NAME CMD...
    local name=$1; shift
    "$(xg_build_of "$1")/bin/xengpu" run --guest "$name" --socket-dir "$SOCKETS" -- "$@"
}

# On the device that the daemon would choose: the system's libcuda.so.1 where there is a GPU for it, else softcuda; the runtime is ours.
direct() {
    local b
    b=$(xg_build_of "$1")
    if [ -e /dev/nvidiactl ]; then
        mkdir -p "$TMPDIR/runtime"
        ln -sf "$b"/lib/libcudart.so.* "$TMPDIR/runtime/"
        LD_LIBRARY_PATH=$TMPDIR/runtime "$@"
    else
        LD_LIBRARY_PATH=$b/lib/softcuda:$b/lib "$@"
    fi
}

xvfb_start() {
    command -v Xvfb >/dev/null || fail "Xvfb is not installed"
    Xvfb -displayfd 9 -screen 0 1280x1024x24 -nolisten tcp -noreset 9>"$TMPDIR/display" >"$TMPDIR/xvfb.log" 2>&1 &
    xg_pids+=($!)
    wait_for 20 test -s "$TMPDIR/display" || fail "Xvfb does not start: $(cat "$TMPDIR/xvfb.log")"
    DISPLAY=:$(tr -d ' \n' <"$TMPDIR/display")
    export DISPLAY
}

same_output() { # NAME CMD...
    local name=$1; shift
    direct "$@" >"$TMPDIR/direct.out" 2>"$TMPDIR/direct.err" ||
        { cat "$TMPDIR/direct.out" "$TMPDIR/direct.err"; fail "status $? directly: $*"; }
    guest "$name" "$@" >"$TMPDIR/guest.out" 2>"$TMPDIR/guest.err" ||
        { cat "$TMPDIR/guest.out" "$TMPDIR/guest.err"; fail "not status 0 as a guest: $*"; }
    [ -s "$TMPDIR/direct.out" ] || fail "prints nothing that could be compared: $*"
    cmp "$TMPDIR/direct.out" "$TMPDIR/guest.out" ||
        { diff "$TMPDIR/direct.out" "$TMPDIR/guest.out" | head -n 20; fail "other output as a guest: $*"; }
}

shot() { "$TOOLS/xshot" "$@" || fail "no picture of $DISPLAY"; }

images_equal() { "$TOOLS/imgdiff" "$@"; }

# The clock (tests/tools/libfakeclock.c) stands still after so many questions, and so does the program; no wall clock decides what is drawn.
gl_frame() { # FILE.png direct|GUEST CALLS PROGRAM ARGS...
    local file=$1 where=$2 calls=$3 pid; shift 3
    rm -f "$TMPDIR/held"
    (
        export LD_PRELOAD=$TOOLS/libfakeclock.so XG_CLOCK_EXE XG_CLOCK_HOLD=$calls XG_CLOCK_HELD=$TMPDIR/held
        XG_CLOCK_EXE=$(basename "$1")
        if [ "$where" = direct ]; then
            exec "$@"
        else
            exec "$(xg_build_of "$1")/bin/xengpu" run --guest "$where" --socket-dir "$SOCKETS" -- "$@"
        fi
    ) >"$TMPDIR/gl_frame.log" 2>&1 &
    pid=$!
    xg_pids+=("$pid")
    if ! wait_for 60 test -e "$TMPDIR/held"; then
        cat "$TMPDIR/gl_frame.log"
        fail "$where: $* never asked its clock $calls times"
    fi
    shot "$file" "${XG_STILL_MS:-300}" # several frames may be under way
    kill "$pid" 2>/dev/null
    [ ! -s "$TMPDIR/held" ] || kill "$(cat "$TMPDIR/held")" 2>/dev/null
    wait "$pid" 2>/dev/null
    unset 'xg_pids[-1]'
}
