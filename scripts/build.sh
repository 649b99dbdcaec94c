#!/usr/bin/env bash
# Configures (only when needed) and builds one preset: build.sh [dev|release|asan-ubsan|tsan|scalar|bench]
# The program is build/<preset>/bin/pare afterwards.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=${1:-release}
if [ $# -gt 1 ] || [[ $preset == -* ]]; then
  echo "usage: build.sh [dev|release|asan-ubsan|tsan|scalar|bench]" >&2
  exit 2
fi
tree=$root/build/$preset

"$root/scripts/setup.sh"
cd "$root"
# build.ninja appears only after a configure step that succeeded; ninja itself watches the
# CMakeLists.txt files, but not the presets.
if [ ! -f "$tree/build.ninja" ] || [ CMakePresets.json -nt "$tree/build.ninja" ]; then
  if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
  cmake --preset "$preset"
fi
cmake --build "$tree" --parallel "$(nproc)"
