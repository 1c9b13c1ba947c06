# Sourced by the scripts: installs missing Debian packages, configures and builds. POSIX shell.

# A script in scripts/ or .ci/ has the project one level above it.
root=$(cd "$(dirname "$0")/.." && pwd)

# What the programs need to be built and run, what their tests need on top, and what lets the tests that
# are otherwise skipped run too (PostgreSQL brings a server that starts by itself, so only CI installs it).
build_packages="gcc libc6-dev cmake ninja-build pkg-config libwebsockets-dev libcurl4-openssl-dev libcjson-dev \
uuid-dev libsqlite3-dev zlib1g-dev libssl-dev libyaml-dev libmicrohttpd-dev libpq-dev ca-certificates"
test_packages="g++ libcmocka-dev python3 python3-venv curl procps"
proof_packages="postgresql spin doxygen"

say() {
    if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
        printf '\033[1m%s\033[0m\n' "$*" >&2
    else
        printf '%s\n' "$*" >&2
    fi
}

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
    done
}

# Prints what a person has to install, and ends with 3.
give_up() {
    say "$1"
    say "Install these (Debian 12 package names), then run this command again:"
    printf '  %s\n' $2 >&2
    exit 3
}

# require_packages NAME...: installs what is missing, as root or through sudo.
require_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        # Another system: the packages cannot be looked up, so the tools decide.
        for tool in cc cmake ninja pkg-config; do
            command -v "$tool" >/dev/null 2>&1 || give_up "This system has no apt, and $tool is missing." "$*"
        done
        pkg-config --exists libwebsockets libcurl libcjson uuid sqlite3 zlib openssl yaml-0.1 libmicrohttpd ||
            give_up "This system has no apt, and a library is missing." "$*"
        return
    fi
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            give_up "Packages are missing, and there is neither root nor sudo to install them." "$missing"
        elif [ -t 0 ]; then
            as_root=sudo
        elif sudo -n true 2>/dev/null; then
            as_root="sudo -n"
        else
            give_up "Packages are missing, and sudo wants a password but there is no terminal." "$missing"
        fi
    fi
    say "Installing: $missing"
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! { $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
        >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        give_up "apt-get could not install them (its last lines are above)." "$missing"
    fi
    rm -f "$log"
}

# build PRESET [CMAKE_OPTION...]: configures only when needed (ninja does it again when a list changes).
build() {
    preset=$1
    shift
    folder=$root/build/$preset
    # shellcheck disable=SC2015
    launcher=$(command -v ccache >/dev/null 2>&1 && echo -DCMAKE_C_COMPILER_LAUNCHER=ccache || true)
    # The options of the last time stand beside the build, so that the same ones need no new look.
    if [ ! -f "$folder/build.ninja" ] || { [ $# -gt 0 ] && [ "$*" != "$(cat "$folder.options" 2>/dev/null)" ]; }; then
        say "Configuring $preset"
        (cd "$root" && cmake --preset "$preset" $launcher "$@" >"$root/build/$preset.configure.log" 2>&1) || {
            tail -n 30 "$root/build/$preset.configure.log" >&2
            say "Configuring $preset failed; the whole log: build/$preset.configure.log"
            exit 1
        }
    fi
    printf '%s' "$*" >"$folder.options"
    say "Building $preset"
    (cd "$root" && cmake --build "$folder") >&2 || {
        say "Building $preset failed."
        exit 1
    }
}
