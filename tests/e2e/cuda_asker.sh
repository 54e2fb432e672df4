#!/bin/bash
# Who asks for the driver's private tables is told what is wrong only if it is a runtime, by its own name and with the way out, once;
# directly on softcuda and as a guest. With a toolkit: its own libraries too.
# limit: 120
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
soft() { LD_LIBRARY_PATH=$XG_BUILD/lib/softcuda:$XG_BUILD/lib "$@"; }
as_guest() { guest one "$@"; }
mkdir -p "$TMPDIR/vendor"
for name in libcudart.so.13 libcudart.so.11.0 libcublas.so.13 libnvrtc.so.13 libsanitizer-collection.so; do
    cp "$PROGRAMS/libasks.so" "$TMPDIR/vendor/$name" || fail "no libasks.so"
done

# says RUNNER WORDS CMD...: CMD succeeds, and says WORDS once
says() {
    local run=$1 words=$2
    shift 2
    "$run" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" || { cat "$TMPDIR/err"; fail "$run $*: status $?"; }
    [ "$(grep -cF -- "$words" "$TMPDIR/err")" = 1 ] || { cat "$TMPDIR/err"; fail "$run $*: does not say once '$words'"; }
}
silent() {
    local run=$1
    shift
    "$run" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" || { cat "$TMPDIR/err"; fail "$run $*: status $?"; }
    grep -v '^xengpu-agent' "$TMPDIR/err" | grep . && fail "$run $*: says something, and nothing is wrong"
}

daemon_start
V=$TMPDIR/vendor
for run in soft as_guest; do
    says $run "this program, $PROGRAMS/cuda_asks, has the CUDA runtime linked into it statically" "$PROGRAMS/cuda_asks" runtime
    grep -qF "nvcc -cudart shared" "$TMPDIR/err" || fail "no way out for a static runtime"
    silent $run "$PROGRAMS/cuda_asks" user
    says $run "the vendor's CUDA runtime, $V/libcudart.so.13," "$PROGRAMS/cuda_asks" runtime "$V/libcudart.so.13"
    grep -qF "LD_PRELOAD=$(realpath "$XG_BUILD")/lib/libcudart.so.13" "$TMPDIR/err" || { cat "$TMPDIR/err"; fail "no way out for the vendor's runtime"; }
    grep -q "statically" "$TMPDIR/err" && fail "a shared runtime is called static"
    says $run "xengpu brings libcudart.so.12 and libcudart.so.13" "$PROGRAMS/cuda_asks" runtime "$V/libcudart.so.11.0"
    says $run "the library $V/libcublas.so.13 has the CUDA runtime linked into it statically" "$PROGRAMS/cuda_asks" runtime "$V/libcublas.so.13"
    silent $run "$PROGRAMS/cuda_asks" user "$V/libnvrtc.so.13"
    says $run "$V/libsanitizer-collection.so is a tool that works only inside" "$PROGRAMS/cuda_asks" user "$V/libsanitizer-collection.so"
done

# A tool that wants to be loaded into the driver: it is not, and is told so.
for run in soft as_guest; do
    CUDA_INJECTION64_PATH=/opt/libtool.so says $run "asks for the tool /opt/libtool.so" "$PROGRAMS/cuda_vectoradd"
    CUDA_INJECTION64_PATH='' silent $run "$PROGRAMS/cuda_vectoradd"
done

# The real ones.
nvcc=$(nvcc_path) || { echo "no nvcc: its own libraries were not tried"; exit 0; }
lib=$(toolkit_lib "$nvcc") || { echo "$nvcc has no shared runtime: its own libraries were not tried"; exit 0; }
cat >"$TMPDIR/rt.cu" <<'END'
#include <cstdio>
int main() { int *p; return cudaMalloc(&p, 4) == cudaSuccess ? 0 : 3; }
END
"$nvcc" -cudart shared -Xlinker --disable-new-dtags -Xlinker "-rpath=$lib" -o "$TMPDIR/rt" "$TMPDIR/rt.cu" || fail "nvcc"
for run in soft as_guest; do
    $run "$TMPDIR/rt" 2>"$TMPDIR/err" && fail "the vendor's runtime works"
    grep -qF "the vendor's CUDA runtime, $lib/libcudart.so" "$TMPDIR/err" || { cat "$TMPDIR/err"; fail "$run: the vendor's runtime is not named"; }
    preload=$(sed -n 's/.*LD_PRELOAD=//p' "$TMPDIR/err")
    LD_PRELOAD=$preload $run "$TMPDIR/rt" 2>"$TMPDIR/err" || { cat "$TMPDIR/err"; fail "$run: the way out is none"; }
done
[ -e "$lib/libnvrtc.so" ] || { echo "no NVRTC: not tried"; exit 0; }
cat >"$TMPDIR/rtc.cpp" <<'END'
#include <nvrtc.h>
int main()
{
    const char *option = "--gpu-architecture=compute_75";
    nvrtcProgram p;
    size_t size = 0;
    return nvrtcCreateProgram(&p, "__global__ void k(int *a) { *a = 1; }", "k.cu", 0, 0, 0) || nvrtcCompileProgram(p, 1, &option) ||
           nvrtcGetPTXSize(p, &size) || !size;
}
END
include=$(dirname "$lib")/include
[ -e "$include/nvrtc.h" ] || include=$(realpath "$lib/../../../include")
g++ -I"$include" -o "$TMPDIR/rtc" "$TMPDIR/rtc.cpp" -L"$lib" -lnvrtc "-Wl,-rpath,$lib" || fail "g++"
for run in soft as_guest; do silent $run "$TMPDIR/rtc"; done
exit 0
