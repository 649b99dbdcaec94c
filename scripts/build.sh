#!/usr/bin/env bash
# Configures (only when needed) and builds: build.sh [PRESET [TARGET...]]
# PRESET is release (which nothing given means), dev, asan-ubsan, tsan, scalar or bench. Without a
# target everything of the preset is built; `build.sh release pare` builds the program alone.
# The program is build/<preset>/bin/pare afterwards.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=${1:-release}
targets=("${@:2}")
for word in "$preset" "${targets[@]}"; do
  if [[ $word == -* ]]; then
    echo "usage: build.sh [release|dev|asan-ubsan|tsan|scalar|bench [TARGET...]]" >&2
    exit 2
  fi
done
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
# What ccache asks for before it handles precompiled headers.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros,include_file_mtime,include_file_ctime}
build=(cmake --build "$tree" --parallel "$(nproc)")
if [ ${#targets[@]} -gt 0 ]; then build+=(--target "${targets[@]}"); fi
"${build[@]}"
