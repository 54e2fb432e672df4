#!/bin/bash
# What holds for every file of the repository: see tests/lib/style.py. Scripts are also shown to bash.
set -u
cd "$XG_ROOT" || exit 1
bad=0
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    files() { git ls-files -co --exclude-standard -z; }
else
    files() { find . \( -path ./build -o -path './build-*' -o -path ./.git \) -prune -o -type f -print0; }
fi
files | xargs -0 python3 tests/lib/style.py || bad=1
while IFS= read -r -d '' f; do
    [ ! -f "$f" ] || bash -n "$f" || bad=1
done < <(files | grep -zE '\.sh$|^(\./)?\.ci/run$')
exit $bad
