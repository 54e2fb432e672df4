#!/bin/bash
# limit: 240
# The commands of the guides in docs/ (guest-program, cuda-batch, measure) work as they stand there. Only places differ: sockets and libraries
# are this test's, and the programs that a reader would bring are ours.
. "${XG_ROOT:-.}/tests/lib/e2e.sh"
xvfb_start
mkdir "$TMPDIR/bin" "$SOCKETS"
chmod 755 "$SOCKETS"
cat >"$TMPDIR/bin/xengpud" <<END
#!/bin/sh
exec "$XG_BUILD/bin/xengpud" "\$@" --socket-dir "$SOCKETS" >>"$TMPDIR/xengpud.log" 2>&1
END
cat >"$TMPDIR/bin/xengpu" <<END
#!/bin/bash
# A reader is slower than a script: the daemon that was started a line above is ready.
for i in \$(seq 400); do "$XG_BUILD/bin/xengpu" list --socket-dir "$SOCKETS" >/dev/null 2>&1 && break; sleep 0.05; done
command=\$1; shift
exec "$XG_BUILD/bin/xengpu" "\$command" --socket-dir "$SOCKETS" "\$@"
END
chmod 755 "$TMPDIR/bin"/xengpu*

guide() { # NAME: runs the blocks that are marked sh, in order, as one script; what they say is in $TMPDIR/NAME.out
    local script=$TMPDIR/$1.sh
    {
        echo "set -e; trap 'kill \$(jobs -p) 2>/dev/null || true; wait' EXIT"
        sed -n '/^```sh$/,/^```$/p' "$XG_ROOT/docs/$1.md" | grep -v '^```' | sed "s,/run/xengpu,$SOCKETS,g; s,/usr/local/lib/xengpu/lib,$XG_BUILD/lib,g"
    } >"$script"
    mkdir "$TMPDIR/$1"
    ln -s "$XG_BUILD" "$TMPDIR/$1/build"
    ln -s "$PROGRAMS/cuda_vectoradd" "$TMPDIR/$1/cuda-program"
    printf '#!/bin/sh\nXG_KERNELS=%s %s/cuda_job vectoradd && echo "job $1 done"\n' "$KERNELS" "$PROGRAMS" >"$TMPDIR/$1/job"
    chmod 755 "$TMPDIR/$1/job"
    (cd "$TMPDIR/$1" && XG_KERNELS=$KERNELS PATH=$TMPDIR/bin:$PATH bash "$script" >"$TMPDIR/$1.out" 2>&1) ||
        { cat "$TMPDIR/$1.out"; fail "docs/$1.md: its commands fail"; }
}
says() { # NAME TEXT [FILE]
    grep -qE "$2" "$TMPDIR/${3:-$1.out}" || { cat "$TMPDIR/${3:-$1.out}"; fail "docs/$1.md: no '$2' in ${3:-what it prints}"; }
}

guide guest-program
says guest-program 'OpenGL renderer.*: xengpu \('
says guest-program 'glmark2 Score'
says guest-program '^desk .*connected'
cuda=$(direct "$PROGRAMS/cuda_vectoradd") || fail "cuda_vectoradd directly"
[ "$(grep -cF "$(tail -n 1 <<<"$cuda")" "$TMPDIR/guest-program.out")" = 2 ] || { cat "$TMPDIR/guest-program.out"; fail "the CUDA program does not run twice"; }

guide cuda-batch
for i in 1 2 3 4; do says cuda-batch "job $i done" "cuda-batch/night-$i.log"; done
for i in 1 2; do says cuda-batch "job $i done" "cuda-batch/urgent-$i.log"; done
says cuda-batch 'job 2 done' cuda-batch/night-script.log
python3 - "$TMPDIR/cuda-batch/usage.json" <<'END' || fail "docs/cuda-batch.md: usage.json"
import json, sys
with open(sys.argv[1]) as f:
    guests = {g['name']: g for g in json.load(f)['guests']}
assert guests['night']['weight'] == 200 and guests['urgent']['weight'] == 300, guests
assert all(g['device_time_ns'] > 0 for g in guests.values()), guests
END

guide measure
says measure 'glxgears .* % lost'
says measure 'null_call .* % lost'
says measure 'Score'
