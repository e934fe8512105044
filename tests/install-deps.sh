#!/bin/sh
# Installs what maestro and its tests use besides Rust, if it is missing and if we may.
#
#   tests/install-deps.sh            everything the tests need
#   tests/install-deps.sh redis ...  only these groups
#
# A new need is one line in a group below, or a new group named in `all`.
# Ends with 1 if something is missing that could not be installed, and says what.
set -u

all="build redis clients web browser promtool tmux docs systemd deb fuzz operator"

group() {
    case $1 in
        build) need cc build-essential - ;;
        redis) need redis-server redis-server redis ;;
        clients) need node nodejs node; need npm npm node; need python3 python3-venv python; clients ;;
        web) need node nodejs node; need npm npm node ;; # web/check.sh brings the packages of web/package-lock.json
        chromium) a_chromium ;;
        browser) group clients; a_chromium ;; # driven by playwright-core, which downloads none of its own
        compare) need wrk wrk wrk; need redis-cli redis-tools redis; need node nodejs node; need npm npm node; need python3 python3 python ;;
        promtool) promtool_alone ;;
        docs) need curl curl curl; need jq jq jq ;;
        tmux) need tmux tmux tmux ;;
        # Elsewhere the tests that boot a systemd, or install a package in one, say that they are skipped.
        systemd) ! on_debian || packages systemd dbus libpam-systemd dbus-user-session ;;
        deb) ! on_debian || { need strip binutils -; need lintian lintian -; cargo_deb; } ;;
        fuzz) [ "$(uname -s)" != Linux ] || need c++ g++ - ;; # elsewhere fuzz/run.sh says that it is skipped
        operator) need ruby ruby -; need python3 python3 python; need bash bash - ;;
        *) echo "unknown group: $1 (there are: $all)" >&2; exit 64 ;;
    esac
}

# need COMMAND DEBIAN-PACKAGE HOMEBREW-FORMULA ("-" where there is none)
need() {
    command -v "$1" >/dev/null 2>&1 && return 0
    if command -v apt-get >/dev/null 2>&1 && [ "$2" != - ]; then
        echo "$1 is missing: installing $2 with apt-get"
        with_apt "$2"
    elif command -v brew >/dev/null 2>&1 && [ "$3" != - ]; then
        echo "$1 is missing: installing $3 with brew"
        brew install "$3"
    fi
    command -v "$1" >/dev/null 2>&1 && return 0
    echo "$1 is missing and could not be installed" >&2
    missing=1
}

# Debian's, or whatever Chromium or Chrome is there.
a_chromium() { # not named as the command is: `command -v` would find the function
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    need chromium chromium -
}

# What the socket tests drive, at the versions that are written down: into tests/clients/node_modules and target/.
clients() {
    here=$(cd "$(dirname "$0")" && pwd)
    if ! [ "$here/clients/node_modules/.package-lock.json" -nt "$here/clients/package-lock.json" ]; then
        (cd "$here/clients" && npm ci --ignore-scripts --no-audit --no-fund) || missing=1
        touch "$here/clients/node_modules/.package-lock.json" 2>/dev/null
    fi
    venv=$here/../target/clients-venv
    if ! [ "$venv/installed" -nt "$here/clients/requirements.txt" ]; then
        mkdir -p "$here/../target"
        { python3 -m venv "$venv" || { with_apt python3-venv && python3 -m venv "$venv"; }; } &&
            "$venv/bin/python3" -m pip install -q --disable-pip-version-check -r "$here/clients/requirements.txt" &&
            touch "$venv/installed" || missing=1
    fi
}

on_debian() {
    [ "$(uname -s)" = Linux ] && command -v dpkg-query >/dev/null 2>&1
}

# Packages that bring no command to look for.
packages() {
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' && continue
        echo "$package is missing: installing it with apt-get"
        with_apt "$package" || { echo "$package could not be installed" >&2; missing=1; }
    done
}

# Kept where cargo keeps programs, so that it is compiled once.
cargo_deb() {
    version=3.8.0
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    [ "$(cargo deb --version 2>/dev/null)" = "cargo-deb $version" ] && return 0
    echo "cargo-deb $version is missing: compiling it"
    cargo install -q --locked cargo-deb --version "$version" || missing=1
}

# Prometheus's own check of metrics and rules. On Debian it is taken out of the package, because installing that would
# start a server.
promtool_alone() {
    target=$(cd "$(dirname "$0")/.." && pwd)/target
    command -v promtool >/dev/null 2>&1 || [ -x "$target/promtool" ] && return 0
    if command -v apt-get >/dev/null 2>&1; then
        echo "promtool is missing: taking it out of Debian's prometheus"
        work=$(mktemp -d) && mkdir -p "$target" &&
            (cd "$work" && { apt-get download -q prometheus || { update_apt && apt-get download -q prometheus; }; } &&
                dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - ./usr/bin/promtool &&
                mv usr/bin/promtool "$target/promtool")
        rm -rf "$work"
        [ -x "$target/promtool" ] && return 0
    fi
    need promtool - prometheus
}

update_apt() {
    [ "$(id -u)" = 0 ] && apt-get update -q || sudo apt-get update -q
}

with_apt() {
    if [ "$(id -u)" = 0 ]; then sudo=
    elif command -v sudo >/dev/null 2>&1; then sudo=sudo
    else echo "installing needs root, and there is no sudo" >&2; return 1
    fi
    # A fresh machine has no package lists yet.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$1" && return 0
    $sudo apt-get update -q &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$1"
}

missing=0
PATH=$PATH:/usr/sbin:/sbin
# shellcheck disable=SC2086 # the words of the list are the groups
[ $# -gt 0 ] || set -- $all
for name in "$@"; do group "$name"; done
exit $missing
