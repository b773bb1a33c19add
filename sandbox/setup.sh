#!/bin/sh
# Builds the virtual environment from the hashed lock; called by make with PYTHON and VENV.
set -eu
python=$1
venv=$2

say() { printf '%s\n' "$*" >&2; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "streamback needs Python 3.11 or newer; '$python' is $("$python" --version 2>&1)."
    say "Install one and name it: make PYTHON=python3.12 demo"
    exit 1
}

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "Python's venv module is missing. Install it: apt-get install python3-venv"
        exit 1
    fi
    say "Installing python3-venv ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi

say "Installing the locked Python packages into $venv ..."
"$python" -m venv --clear "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
