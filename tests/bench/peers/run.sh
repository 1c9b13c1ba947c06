#!/bin/sh
# Compares what a span costs its caller in this SDK and in others, side by side: the programs take
# turns, ROUNDS times, and the best of each counts. Prints a table. See README.md.
# Usage: run.sh [BUILD_FOLDER]    (a release build; default build/release)
# Exit: 0 measured, 1 a program failed or lost a span.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
build=$(cd "${1:-$root/build/release}" && pwd)
work=$build/peers
rounds=${ROUNDS:-5}
mkdir -p "$work"

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name marline.pc)")
export PKG_CONFIG_PATH
cmake -S "$here" -B "$work/build" -DCMAKE_BUILD_RPATH="$(pkg-config --variable=libdir marline)" \
    >"$work/configure.log" 2>&1 || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
cp "$work/build/marline_peer" "$work/1"
if [ -x "$work/build/opentelemetry_cpp_peer" ]; then
    printf '#!/bin/sh\nexec "%s" plain\n' "$work/build/opentelemetry_cpp_peer" >"$work/2"
    printf '#!/bin/sh\nexec "%s" otlp\n' "$work/build/opentelemetry_cpp_peer" >"$work/3"
    chmod +x "$work/2" "$work/3"
else
    echo "skipped: opentelemetry-cpp is not installed (CMAKE_PREFIX_PATH names where)" >&2
fi
if command -v cargo >/dev/null; then
    version=$(sed -n 's/^opentelemetry_sdk.*version = "=\([^"]*\)".*/\1/p' "$here/rust/Cargo.toml")
    cp -r "$here/rust/." "$work/rust-source"
    (cd "$work/rust-source" && PEER_VERSION=$version CARGO_TARGET_DIR="$work/rust" cargo build --release --quiet)
    cp "$work/rust/release/opentelemetry-rust-peer" "$work/4"
else
    echo "skipped: no cargo for the Rust peer" >&2
fi

: >"$work/rows"
round=0
while [ "$round" -lt "$rounds" ]; do
    for program in "$work"/[1-4]; do
        "$program" >>"$work/rows"
    done
    round=$((round + 1))
done
awk -F'|' '
    !($1 in best) { order[++n] = $1 }
    !($1 in best) || $2 < best[$1] { best[$1] = $2 }
    !($1 in median) || $3 < median[$1] { median[$1] = $3 }
    { allocations[$1] = $4 }
    END {
        print "| SDK | best burst, ns/span | median burst, ns/span | allocations/span |"
        print "|---|---|---|---|"
        for (i = 1; i <= n; i++)
            printf "| %s | %.0f | %.0f | %.1f |\n", order[i], best[order[i]], median[order[i]], allocations[order[i]]
    }' "$work/rows"
