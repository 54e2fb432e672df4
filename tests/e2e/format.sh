#!/bin/bash
# Every C file is laid out as .clang-format says. Other versions than Debian 12's lay some code out otherwise.
# limit: 120
set -u
cd "$XG_ROOT" || exit 1
VERSION=14
there=$(clang-format --version 2>/dev/null | sed 's/.*version \([0-9]*\).*/\1/')
[ "$there" = $VERSION ] || { echo "clang-format $VERSION is what the sources are laid out with; here is ${there:-none}"; exit 77; }
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    files() { git ls-files -co --exclude-standard '*.c' '*.h' '*.cu'; }
else
    files() { find . \( -path ./build -o -path './build-*' \) -prune -o \( -name '*.[ch]' -o -name '*.cu' \) -print; }
fi
# what the generator should write is compared with what it writes
files | grep -vE '^(\./)?tests/gen/' | while IFS= read -r f; do [ ! -f "$f" ] || echo "$f"; done >"$TMPDIR/files"
[ -s "$TMPDIR/files" ] || { echo "no files"; exit 1; }
xargs -n 40 clang-format --dry-run --Werror --ferror-limit=1 <"$TMPDIR/files" && exit 0
echo "clang-format -i FILE does it"
exit 1
