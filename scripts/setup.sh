#!/usr/bin/env bash
# Makes sure that every package of scripts/packages.txt is installed; does nothing when it is.
#
# As root, or where sudo asks for no password, missing packages are installed. Otherwise the script
# names them with the one command that installs them, and exits with 2.
# PARE_SKIP_SETUP=1 skips the check, for systems where the libraries come from elsewhere.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Sets `missing` to the packages of the list that dpkg does not know as installed.
find_missing() {
  local wanted installed
  wanted=$(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$root/scripts/packages.txt" | sort -u)
  # dpkg-query exits with 1 as soon as one package is unknown; what it prints is complete anyway.
  # shellcheck disable=SC2016,SC2086  # dpkg's own ${} fields; the names are to be split
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
    sed -n 's/^installed //p' | sort -u) || true
  mapfile -t missing < <(comm -23 <(printf '%s\n' "$wanted") <(printf '%s\n' "$installed"))
}

# Prints the words that make apt-get run with the rights it needs, or fails when there are none.
privilege() {
  if [ "$(id -u)" = 0 ]; then
    echo "env"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    echo "sudo -n env"
  else
    return 1
  fi
}

explain_and_stop() {
  {
    echo "setup: ${#missing[@]} Debian packages are missing, and there is neither root nor password-less sudo:"
    printf '  %s\n' "${missing[@]}"
    echo "Install them with this command, then start again:"
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
  } >&2
  exit 2
}

install_missing() {
  local as_root log=$root/build/logs/apt.log
  as_root=$(privilege) || explain_and_stop
  mkdir -p "$(dirname "$log")"
  echo "setup: installing ${#missing[@]} packages: ${missing[*]}"
  # shellcheck disable=SC2206  # two words on purpose
  local apt=($as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update >"$log" 2>&1 </dev/null ||
    echo "setup: apt-get update failed (see $log); trying with the package lists at hand" >&2
  if ! "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get could not install the packages; the whole log: $log" >&2
    exit 2
  fi
}

if [ "${PARE_SKIP_SETUP:-0}" = 1 ]; then
  exit 0
fi
if ! command -v dpkg-query >/dev/null; then
  echo "setup: this system has no dpkg; install the equivalents of scripts/packages.txt and set PARE_SKIP_SETUP=1" >&2
  exit 2
fi
find_missing
if [ ${#missing[@]} -gt 0 ]; then
  install_missing
fi
