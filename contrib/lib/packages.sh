# For contrib/test and contrib/bench, which read it with `source`: what they need is looked for, and installed with
# apt-get where it is missing, where there is one, and where this user is root or may use sudo without a password.
#
# The system's own servers are never started: while packages are being installed, /usr/sbin/policy-rc.d forbids it, which
# is what Debian has that file for (see invoke-rc.d(8)). A policy that is there already is this machine's own decision
# and stays.

say() { printf '%s: %s\n' "contrib/$(basename "$0")" "$*" >&2; }

# Whether one of the commands is there, in PATH or where Debian keeps servers.
have() {
    local name found
    for name in "$@"; do
        if command -v "$name" >/dev/null 2>&1; then return 0; fi
        for found in "/usr/sbin/$name" /usr/lib/postgresql/*/bin/"$name" /usr/pgsql-*/bin/"$name"; do
            if [ -x "$found" ]; then return 0; fi
        done
    done
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Installs packages without letting any of them start a server.
install_quietly() {
    local policy=/usr/sbin/policy-rc.d ours=0 status=0
    if [ ! -e "$policy" ]; then
        ours=1
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 0755 "$policy"
        # A policy that stayed behind would keep this machine's servers from starting at the next upgrade.
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2 || status=$?
    if [ "$ours" -eq 1 ]; then
        as_root rm -f "$policy"
        trap - EXIT
    fi
    return "$status"
}

# Ends the script where there is no cargo, in PATH or where rustup puts it.
need_cargo() {
    if ! have cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    if ! have cargo; then
        say 'cargo is missing. Install Rust 1.94 or newer, then run this again.'
        exit 1
    fi
}

# Installs Debian's packages of these names, or ends the script and says what to do. Without a name it does nothing. To be
# called before the script sets a trap for its own end.
need_packages() {
    [ "$#" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        say "missing: $* (Debian's names). There is no apt-get here; install them by other means, then run this again."
        exit 1
    fi
    if ! as_root true 2>/dev/null; then
        say "missing: $*. This user may not install packages; have an administrator run"
        say "    apt-get install --no-install-recommends $*"
        exit 1
    fi
    say "installing $*"
    # The package lists may be missing or old: read them anew only where the first attempt fails.
    if ! install_quietly "$@"; then
        as_root apt-get update >&2 || true
        if ! install_quietly "$@"; then
            say "could not install $*; see what apt-get says above."
            exit 1
        fi
    fi
}
