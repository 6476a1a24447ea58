# Sourced by scripts/test and .ci/run: finds what they need, installs it as root, or says in one line what is missing.
# PROGRAM is the name under which they speak.
# shellcheck shell=bash

# Exit code after sysexits.h, as everywhere in Sluice: something that is needed is not there.
readonly UNAVAILABLE=69

say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }

fail() {
    say "$*"
    exit "$UNAVAILABLE"
}

# install PACKAGE WHAT: gets a Debian package, or says that WHAT is missing.
install() {
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        fail "$2 is missing; install it (Debian and Ubuntu: apt-get install $1) and start again"
    fi
    say "$2 is missing: installing the package $1"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"; } >&2 ||
        fail "$2 is missing, and the package $1 could not be installed"
}

need_build_tools() {
    if ! command -v cargo >/dev/null && [[ -x ${HOME:-}/.cargo/bin/cargo ]]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    command -v cargo >/dev/null || fail "cargo is missing; install Rust from https://rustup.rs and start again"
    # Linking, SQLite and TLS need a C compiler.
    command -v cc >/dev/null || install build-essential "a C compiler (cc)"
}
