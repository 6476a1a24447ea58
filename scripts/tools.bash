# Sourced by scripts/test, scripts/peers and .ci/run: finds what they need, installs it as root, or says in one line what is missing.
# PROGRAM is the name under which they speak.
# shellcheck shell=bash

# Exit code after sysexits.h, as everywhere in Sluice: something that is needed is not there.
readonly UNAVAILABLE=69
# Fetching from a registry: how often it is tried, the pause before the next time, and the longest one try may take, in seconds.
readonly FETCH_ATTEMPTS=3
readonly FETCH_PAUSE=5
readonly FETCH_LIMIT=300

say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }

fail() {
    say "$*"
    exit "$UNAVAILABLE"
}

# fetch COMMAND...: runs what needs a registry, several times if it must.
fetch() {
    local attempt
    for ((attempt = 1; attempt <= FETCH_ATTEMPTS; attempt++)); do
        if ((attempt > 1)); then
            say "attempt $attempt of $FETCH_ATTEMPTS in $FETCH_PAUSE s"
            sleep "$FETCH_PAUSE"
        fi
        if timeout --foreground --kill-after=10 "$FETCH_LIMIT" "$@"; then return; fi
    done
    return 1
}

lists_are_fresh=no

# apt_install PACKAGE: the package lists are fetched once in a run, and a list that is missing counts as an error.
apt_install() {
    if [[ $lists_are_fresh == no ]]; then
        fetch apt-get update -qq -o DPkg::Lock::Timeout=60 -o APT::Update::Error-Mode=any || return
        lists_are_fresh=yes
    fi
    DEBIAN_FRONTEND=noninteractive fetch \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=60 "$1"
}

# install PACKAGE WHAT: gets a Debian package, or says that WHAT is missing.
install() {
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        fail "$2 is missing; install it (Debian and Ubuntu: apt-get install $1) and start again"
    fi
    say "$2 is missing: installing the package $1"
    apt_install "$1" >&2 || fail "$2 is missing, and the package $1 could not be installed"
}

need_build_tools() {
    if ! command -v cargo >/dev/null && [[ -x ${HOME:-}/.cargo/bin/cargo ]]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    command -v cargo >/dev/null || fail "cargo is missing; install Rust from https://rustup.rs and start again"
    # Linking, SQLite and TLS need a C compiler.
    command -v cc >/dev/null || install build-essential "a C compiler (cc)"
}
