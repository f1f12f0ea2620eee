# Shared by the scripts of this folder; to be sourced, not run. Leaves the shell in the root of the checkout.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd "$ROOT"

CACHE="$ROOT/.cache"
LOGS="$CACHE/log"
BOOTSTRAP="$CACHE/bootstrap"
ENV_TEST="$ROOT/.venv"
ENV_HA="$ROOT/.venv-ha"

export LC_ALL=C.UTF-8
export PYTHONUTF8=1
export PIP_DISABLE_PIP_VERSION_CHECK=1
export UV_CACHE_DIR="$CACHE/uv"
export UV_PYTHON_INSTALL_DIR="$CACHE/python"
export UV_NO_PROGRESS=1
# Daemons of the distribution live in sbin, which an ordinary user's PATH may lack.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  shift
  for line in "$@"; do printf '    %s\n' "$line" >&2; done
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# The first of the named programs that exists, as a path; nothing if none does.
first_of() {
  local name
  for name in "$@"; do
    if command -v "$name" 2>/dev/null; then return 0; fi
  done
  return 0
}

find_mosquitto() { first_of mosquitto; }
find_chromium() { first_of chromium chromium-browser google-chrome-stable google-chrome; }

digest() { if have sha256sum; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }

# What an environment was made from: the lock, the way it is made, and the place (its paths are absolute).
environment_key() {
  { printf '%s\n' "$ROOT"; cat "$ROOT/requirements/$1.txt" "$ROOT/script/setup" "$ROOT/script/lib.sh"; } | digest
}

environment_path() { case "$1" in test) echo "$ENV_TEST" ;; ha) echo "$ENV_HA" ;; esac; }

environment_is_ready() {
  local path
  path="$(environment_path "$1")"
  [ -x "$path/bin/python" ] && [ -f "$path/.made-from" ] && [ "$(cat "$path/.made-from")" = "$(environment_key "$1")" ]
}

# uv does not read pip's configuration; a machine that names its package index only there is served all the same.
translate_pip_configuration() {
  local pip="$1" line key value
  while IFS= read -r line; do
    key="${line%%=*}"
    value="${line#*=}"
    value="${value#\'}"
    value="${value%\'}"
    case "$key" in
      *.index-url) [ -n "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="$value" ;;
      *.cert) [ -n "${SSL_CERT_FILE:-}" ] || export SSL_CERT_FILE="$value" ;;
      *.trusted-host) [ -n "${UV_INSECURE_HOST:-}" ] || export UV_INSECURE_HOST="$value" ;;
      *.timeout | *.default-timeout) [ -n "${UV_HTTP_TIMEOUT:-}" ] || export UV_HTTP_TIMEOUT="$value" ;;
    esac
  done < <("$pip" config list 2>/dev/null | sort) # sorted, so that what the environment says (":env:") wins
}

# For the scripts that need the environments: quick when there is nothing to do.
ensure_setup() {
  local name
  for name in "$@"; do
    if ! environment_is_ready "$name"; then
      "$ROOT/script/setup" "$@"
      return
    fi
  done
}
