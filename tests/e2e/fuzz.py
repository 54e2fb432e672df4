#!/usr/bin/env python3
# Frames that a hostile guest might write, in one process with each API's replay, under the sanitizers: the corpus, and mutated ones for some seconds.
# `make fuzz` goes on for longer: tests/fuzz/README.md. XG_SECONDS as well.
# limit: 240
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get('XG_ROOT', '.'), 'tests/lib'))
import e2e

root, build = os.environ.get('XG_ROOT', '.'), os.path.join(os.environ.get('XG_BUILD', 'build'), 'fuzz')
if not os.path.exists(os.path.join(build, 'tests/fuzz/gl')):
    e2e.skip("the targets are not built (make fuzz-build): they need clang's libFuzzer, of Debian's libclang-rt-dev")
sys.exit(subprocess.run([sys.executable, os.path.join(root, 'tests/fuzz/run.py'), '--build', build,
                         '--seconds', os.environ.get('XG_SECONDS', '4')], stderr=subprocess.STDOUT).returncode)
