#!/usr/bin/env bash
# Makes a Python environment of the tests or benchmarks and prints the path of its python on the last
# line.
#
#   python-env.sh            build/venv       from tests/requirements.txt (light packages)
#   python-env.sh --interop  build/venv-live  from tests/interop/requirements-live.txt (torch, ...)
#   python-env.sh --zipnn    build/venv-zipnn from bench/codec/requirements-zipnn.txt
#   python-env.sh --llama-cpp build/venv-llama-cpp from tests/interop/requirements-llama-cpp.txt
#
# llama.cpp is built from its sources, which takes 10 to 20 minutes on two cores. The result is kept
# in $PARE_WHEELS (default: ~/.cache/pare/wheels), so it happens once on a machine.
#
# A stamp holds the hash of the requirements and the Python version, so a second run does nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/venv
requirements=$root/tests/requirements.txt
case ${1:-} in
  "") ;;
  --interop)
    venv=$root/build/venv-live
    requirements=$root/tests/interop/requirements-live.txt
    ;;
  --llama-cpp)
    venv=$root/build/venv-llama-cpp
    requirements=$root/tests/interop/requirements-llama-cpp.txt
    ;;
  --zipnn)
    venv=$root/build/venv-zipnn
    requirements=$root/bench/codec/requirements-zipnn.txt
    ;;
  *)
    echo "usage: python-env.sh [--interop | --llama-cpp | --zipnn]" >&2
    exit 2
    ;;
esac

# The live list includes the light one, so both files count for both environments.
fingerprint=$({
  python3 --version
  cat "$requirements" "$root"/tests/requirements.txt "$root"/tests/interop/requirements-live*.txt
} | sha256sum | cut -d ' ' -f 1)
stamp=$venv/.pare-stamp
wheels=${PARE_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/pare/wheels}

# Installs the requirements; what has to be built is built into the folder of wheels first.
install() {
  local pip=("$venv/bin/python" -m pip)
  local common=(--disable-pip-version-check --no-input --find-links "$wheels")
  mkdir -p "$wheels"
  if [[ $requirements == *llama-cpp* ]]; then
    "${pip[@]}" wheel "${common[@]}" --no-deps -w "$wheels" -r "$requirements" || return
  fi
  "${pip[@]}" install "${common[@]}" -r "$requirements" || return
  local no_deps=${requirements%.txt}-no-deps.txt
  if [ -f "$no_deps" ]; then "${pip[@]}" install "${common[@]}" --no-deps -r "$no_deps"; fi
}

if [ ! -x "$venv/bin/python" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$fingerprint" ]; then
  log=$root/build/logs/$(basename "$venv").log
  mkdir -p "$(dirname "$log")"
  echo "python: making ${venv#"$root"/} from ${requirements#"$root"/}" >&2
  rm -rf "$venv"
  if ! { python3 -m venv "$venv" && install; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "python: the environment could not be made; the whole log: $log" >&2
    exit 2
  fi
  echo "$fingerprint" >"$stamp"
fi
echo "$venv/bin/python"
