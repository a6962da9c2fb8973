#!/bin/sh
# Makes .venv from requirements-dev.lock and installs the project into it; does nothing when that is already so.
# PYTHON chooses the interpreter, else the first suitable of python3, python3.14, ... python3.11 is taken.
set -eu
cd "$(dirname "$0")/../.."

fail() {
    echo "twinlog: $1" >&2
    exit 2
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

find_python() {
    without_venv=
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            if has_venv "$candidate"; then
                python=$candidate
                return
            fi
            without_venv=${without_venv:-$candidate}
        fi
    done
    [ -z "$without_venv" ] ||
        fail "$without_venv has no venv module; install it (Debian and Ubuntu: apt install python3-venv) and repeat."
    found=$("${PYTHON:-python3}" -V 2>&1) || found="none was found"
    fail "Python 3.11 or newer is needed ($found); install one, or name it: make PYTHON=/path/to/python3 ..."
}

# What the environment was made from. The folder is part of it, because a virtual environment cannot be moved.
fingerprint() {
    pwd
    cat requirements-dev.lock pyproject.toml deploy/local/bootstrap.sh | cksum
}

made_here() {
    [ ! -f .venv/fingerprint ] || [ "$(head -n 1 .venv/fingerprint)" = "$(pwd)" ]
}

usable() {
    [ -x .venv/bin/python ] && [ ! -e .venv/unfinished ] && made_here && new_enough .venv/bin/python &&
        .venv/bin/python -m pip --version >/dev/null 2>&1
}

up_to_date() {
    [ -f .venv/fingerprint ] && [ "$(fingerprint)" = "$(cat .venv/fingerprint)" ] &&
        .venv/bin/python -c '' 2>/dev/null
}

# On a terminal one line that changes.
tell() {
    if [ -t 2 ]; then printf '\r\033[K%s' "${1:+twinlog: $1}" >&2; elif [ -n "$1" ]; then echo "twinlog: $1" >&2; fi
}

# Keeps what pip says, and tells how far it has come: elsewhere than on a terminal at each quarter.
progress() {
    found=0 told=0 of=$(grep -c '^[a-z0-9].*==' requirements-dev.lock)
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$said"
        case $line in
        Collecting* | 'Requirement already satisfied'*)
            found=$((found + 1)) quarter=$((4 * (found + 1) / (of + 1)))
            if [ -t 2 ] || [ "$quarter" -gt "$told" ]; then tell "found $found of at most $of packages"; fi
            told=$quarter
            ;;
        'Installing collected'*) [ "$found" -eq 0 ] || tell "installing what was found" ;;
        esac
    done
    tell ""
}

# Why pip gave up: from its errors and what follows them, for it also tells of attempts that it repeated with success.
reason() {
    errors=$(sed -n '/^ERROR/,$p' "$said")
    if printf '%s\n' "${errors:-$(cat "$said")}" | grep -Eq \
        'from versions: none|NewConnectionError|ConnectionError|Timeout|NameResolution|ProxyError|SSLError'; then
        echo "no package registry that has the packages can be reached from here; connect this machine to one, or name" \
            "yours (PIP_INDEX_URL=https://... make ...), and repeat; $said holds what pip said."
    else
        echo "the packages could not be installed into .venv ($(grep '^ERROR' "$said" | tail -n 1)); $said holds all that" \
            "pip said."
    fi
}

install() {
    rm -f .venv/failed
    { .venv/bin/python -u -m pip --disable-pip-version-check --no-input install --progress-bar off "$@" 2>&1 ||
        touch .venv/failed; } | progress
    [ ! -e .venv/failed ] || fail "$(reason)"
}

said=.venv/install.log
up_to_date && exit 0
if ! usable; then
    find_python
    echo "twinlog: making .venv with $("$python" -V), about a minute the first time" >&2
    "$python" -m venv --clear .venv || fail "$python could not make the virtual environment .venv."
fi
touch .venv/unfinished
: >"$said"
install --require-hashes --requirement requirements-dev.lock
install --no-deps --no-build-isolation --editable .
fingerprint >.venv/fingerprint
rm .venv/unfinished
