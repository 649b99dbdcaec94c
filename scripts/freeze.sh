#!/usr/bin/env bash
# Freezes what the program makes: runs it over some thousand jobs and writes one line with a SHA-256
# for every file and text that comes out. tests/freeze/manifest.txt is such a list; a change that
# should change nothing gives the same one.
#
#   freeze.sh PARE MANIFEST [--jobs N] [--threads N] [--only REGEX] [--keep DIR]
#
#   --jobs N      programs at a time (default: one for each core)
#   --threads N   passed to every run; the outputs must not depend on it
#   --only REGEX  only cases whose name matches, such as 'convert/' or 'grid/demo/w8a8s'
#   --keep DIR    leave what was made in DIR (new or empty), filtered, for diff -r with another run
#
# Needs Python 3 and nothing else. docs/TESTING.md, "Frozen outputs", says how to use it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
exec python3 -B "$root/scripts/freeze" "$@"
