#!/usr/bin/env bash
# Make .venv with the pinned packages, or bring it up to date: install.sh [PYTHON]. `make` calls it first.
# It keeps the Python that .venv has, unless PYTHON is another; a new .venv gets the newest one that is there.
set -euo pipefail
cd "$(dirname "$0")"
supported=(3.13 3.12 3.11)
stamp=.venv/.installed  # its Python's version, written last: what was interrupted is taken up again
log=.venv/install.log

fail() { echo "error: $*" >&2; exit 1; }
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null; }
is_supported() { [[ " ${supported[*]} " = *" $1 "* ]]; }
makes_environments() { "$1" -c 'import venv, ensurepip' 2> /dev/null; }  # pyenv's names may be there and not run

choose() {  # print the newest supported Python that runs and makes environments, or say what is missing
    local python found=
    for python in "${supported[@]/#/python}" python3; do
        is_supported "$(version "$python")" || continue
        if makes_environments "$python"; then echo "$python"; return; fi
        found=${found:-$python}
    done
    [ -z "$found" ] || fail "$found makes no environments (its module venv or ensurepip is missing): on Debian" \
        "and Ubuntu 'apt install python$(version "$found")-venv', or name another Python: make PYTHON=..."
    fail "Python ${supported[*]} is needed, and none of them runs here: on Debian and Ubuntu" \
        "'apt install python3-venv' brings theirs, or name one: make PYTHON=/where/it/is/python3.12"
}

show() {  # of pip's hundreds of lines those that one waits for, and every half minute what it is doing
    local line doing='finding the packages' status
    local large='(Downloading|Using cached) (.*/)?([^ /-]+)-([0-9][^-]*)-.* (\([0-9]{2,}[0-9.]* MB\)|\(.* GB\))$'
    while status=0; IFS= read -r -t 30 line || status=$?; [ "$status" -eq 0 ] || [ "$status" -gt 128 ]; do
        if [ "$status" -gt 128 ]; then line=; else echo "$line" >> "$log"; fi
        if [[ $line =~ $large ]]; then
            doing="${BASH_REMATCH[3]} ${BASH_REMATCH[4]} ${BASH_REMATCH[5]}"
        elif [[ $line = 'Installing collected packages: '* ]]; then
            doing="writing $(wc -w <<< "${line#*: }") packages"
        elif [[ $line =~ ^WARNING:\ Retrying.*broken\ by\ (.*) ]]; then
            doing="no connection, pip tries again: ${BASH_REMATCH[1]:0:150}"
        elif [ "$status" -eq 0 ]; then
            continue
        fi
        printf '%4d:%02d  %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$doing"
    done
}

there=$(version .venv/bin/python) && [ -d ".venv/lib/python$there" ] || there=  # it may be gone, or another by now
python=${1:-}
if [ -n "$python" ]; then
    wanted=$(version "$python") || fail "PYTHON=$python does not run"
    is_supported "$wanted" || fail "PYTHON=$python is Python $wanted, not one of ${supported[*]}"
else
    wanted=$there
fi
if [ -n "$there" ] && [ "$there" = "$wanted" ] && [ "$(cat $stamp 2> /dev/null)" = "$there" ] \
    && [ ! pyproject.toml -nt $stamp ] && [ ! constraints.txt -nt $stamp ]; then
    exit
fi

trap 'echo "interrupted: the same command takes it up again" >&2; exit 130' INT
if [ -z "$there" ] || [ "$there" != "$wanted" ] || ! is_supported "$there"; then
    [ -n "$python" ] || python=$(choose)
    makes_environments "$python" || fail "PYTHON=$python makes no environments (its module venv or ensurepip" \
        "is missing): on Debian and Ubuntu 'apt install python$wanted-venv'"
    echo "making .venv with $python ($("$python" -c 'import platform; print(platform.python_version())'))"
    "$python" -m venv --clear .venv > /dev/null || fail "$python made no environment, for the reason above"
fi
echo "installing 200 packages into .venv: once, 3 GB to download (PyTorch with CUDA), 6.8 GB on the disk;" \
    "two minutes, and what the download takes"
: > $log
.venv/bin/python -m pip install --constraint constraints.txt --editable '.[demo,dev]' 2>&1 | show \
    || fail "pip did not install everything ($(grep '^ERROR: ' $log | tail -n 1 || true)): all that it said is in" \
        "$log; once that is mended, the same command goes on with what is downloaded"
version .venv/bin/python > $stamp
