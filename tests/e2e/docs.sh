#!/bin/bash
# Documents are true where a machine can tell: every relative link leads somewhere, every folder of the README's table is there.
# limit: 240 (make reads all of its files for each goal: ten seconds of a processor, which others may want)
set -u
cd "$XG_ROOT" || exit 1
bad=0
python3 tests/lib/links.py . || bad=1
for folder in $(sed -n 's/^| `\([a-z]*\/\)` .*/\1/p' README.md); do
    [ -d "$folder" ] || { echo "README.md: no folder $folder"; bad=1; }
done
# goals that the README names exist
for goal in $(sed -n 's/^    make \([a-z-]*\) .*/\1/p' README.md | sort -u); do
    make -n "$goal" BUILD="$TMPDIR/b" >/dev/null 2>&1 || { echo "README.md: no goal '$goal'"; bad=1; }
done
exit $bad
