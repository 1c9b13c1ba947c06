#!/bin/sh
# Installs a build into a temporary folder and uses it as a stranger would: headers alone as C17 and
# C++17, a consumer through CMake (shared and static) and one through pkg-config.
# Usage: run.sh BUILD_FOLDER SOURCE_FOLDER
set -eu
build=$1
here=$2/tests/install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build" --prefix "$prefix" >"$work/install.log"
for file in share/man/man1/marline-agent.1 share/man/man1/marline-backend-mock.1 \
    share/bash-completion/completions/marline-agent share/zsh/site-functions/_marline-agent; do
    [ -s "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
flags="-Wall -Wextra -Wpedantic -Werror"
for header in "$prefix"/include/marline/*.h; do
    name=marline/$(basename "$header")
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$name" "$name" >"$work/one.c"
    ${CC:-cc} -std=c17 $flags -I"$prefix/include" -fsyntax-only "$work/one.c"
    ${CXX:-c++} -std=c++17 $flags -I"$prefix/include" -fsyntax-only -x c++ "$work/one.c"
    echo "header $name: C17 and C++17"
done

expect='marline [0-9.]*: function.hello, 1 endpoint'
check() {
    "$@" >"$work/out"
    grep -q "^$expect\$" "$work/out" || { echo "unexpected output of $1:"; cat "$work/out"; exit 1; }
}
cmake -G Ninja -S "$here/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log"
cmake --build "$work/cmake" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
check "$work/cmake/consumer_shared"
check "$work/cmake/consumer_static"
echo "consumer through CMake: shared and static"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name marline.pc)")
export PKG_CONFIG_PATH
library=$(pkg-config --variable=libdir marline)
# shellcheck disable=SC2046
${CC:-cc} -std=c17 $flags "$here/consumer/consumer.c" $(pkg-config --cflags --libs marline) \
    -Wl,-rpath,"$library" -o "$work/by_pkg_config"
check "$work/by_pkg_config"
echo "consumer through pkg-config"
