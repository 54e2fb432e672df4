#!/bin/bash
# limit: 240
# nvcc's ways to package a kernel: default options, relocatable code, several units, machine code alone, a plug-in.
. "$XG_ROOT/tests/lib/e2e.sh"
NVCC=$(nvcc_path) || skip "no nvcc"
src=$XG_ROOT/tests/programs
passed="vectorAdd of 50000 elements: passed"

build() { # OUTPUT ARGS...
    local out=$1; shift
    "$NVCC" -cudart shared -I"$XG_ROOT" "$@" -o "$TMPDIR/$out" >"$TMPDIR/nvcc.log" 2>&1 || fail "nvcc $*: $(tail -n 5 "$TMPDIR/nvcc.log")"
}
expect() { # PROGRAM OUTPUT
    out=$(direct "$TMPDIR/$1" 2>&1)
    [ "$out" = "$2" ] || fail "$1: $out"
}

build plain "$src/rt_vectoradd.cu"
expect plain "$passed"
build relocatable -rdc=true -gencode arch=compute_75,code=compute_75 "$src/rt_vectoradd.cu"
expect relocatable "$passed"
build several -arch=sm_80 "$src/rt_vectoradd.cu"
expect several "$passed"

# version 12's library, and the way that compilers before 13 launch
for name in vectoradd symbols streams; do
    build old_$name -cudart none -Xcompiler -D__NV_LEGACY_LAUNCH -Xlinker "$XG_PLAIN_BUILD/lib/libcudart.so.12" "$src/rt_$name.cu"
    readelf -d "$TMPDIR/old_$name" | grep -q 'NEEDED.*libcudart.so.12' || fail "old_$name does not use libcudart.so.12"
    direct "$TMPDIR/old_$name" >"$TMPDIR/out" 2>&1 || fail "old_$name: $(cat "$TMPDIR/out")"
done

build elf -gencode arch=compute_75,code=sm_75 "$src/rt_vectoradd.cu"
out=$(direct "$TMPDIR/elf" 2>&1) && fail "machine code ran: $out"
case $out in *cudaErrorNoKernelImageForDevice) ;; *) fail "machine code alone: $out" ;; esac

# two units, each with a kernel of the same (static) name and a fatbin of its own
for u in 1 2; do
    cat >"$TMPDIR/unit$u.cu" <<END
static __global__ void set(int *p) { *p = $u; }
extern "C" int unit$u()
{
    int *p, v = 0;
    if (cudaMalloc(&p, 4)) return -1;
    set<<<1, 1>>>(p);
    if (cudaMemcpy(&v, p, 4, cudaMemcpyDeviceToHost) || cudaFree(p)) return -2;
    return v;
}
END
done
cat >"$TMPDIR/main.cu" <<'END'
#include <cstdio>
extern "C" int unit1();
extern "C" int unit2();
int main() { printf("%d %d\n", unit1(), unit2()); }
END
build units "$TMPDIR/main.cu" "$TMPDIR/unit1.cu" "$TMPDIR/unit2.cu"
expect units "1 2"

# a plug-in that comes and goes, with the runtime of its own that it was linked with
build plugin.so -shared -Xcompiler -fPIC "$TMPDIR/unit1.cu"
cat >"$TMPDIR/host.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    for (int i = 0; i < 3; i++) {
        void *so = dlopen(argv[1], RTLD_NOW);
        int (*f)(void) = so ? (int (*)(void))dlsym(so, "unit1") : 0;
        if (!f) { puts(dlerror()); return 1; }
        printf("%d\n", f());
        dlclose(so);
    }
    return 0;
}
END
gcc -o "$TMPDIR/host" "$TMPDIR/host.c" -ldl || fail "gcc"
out=$(direct "$TMPDIR/host" "$TMPDIR/plugin.so" 2>&1) || fail "plug-in: status $?: $out"
[ "$out" = "1
1
1" ] || fail "plug-in: $out"
