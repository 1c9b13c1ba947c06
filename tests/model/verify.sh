#!/bin/sh
# Checks link.pml exhaustively with spin: the designs that lose must lose, the others must hold.
# Usage: verify.sh [DESIGN]     DESIGN: print the shortest losing order of A, B, Bp, D or Ccrash.
# Exit: 0 as expected, 1 not so, 77 spin is not installed (Debian's package spin).
set -eu
model=$(cd "$(dirname "$0")" && pwd)/link.pml
if ! command -v spin >/dev/null; then
    echo "spin is not installed; on Debian: apt install spin"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$model" "$work" # spin leaves its trails beside the model
cd "$work"

flags_of() {
    case $1 in
    A) echo "-DR_ONE -DS_ONE" ;;
    B) echo "-DR_ONE" ;;
    Bp) echo "-DS_ONE" ;;
    C) echo "-DNONE" ;;
    D) echo "-DR_ONE -DS_ONE -DOLD_VIEW" ;;
    Ccrash) echo "-DCRASH" ;;
    own) echo "-DCRASH -DSWEEPER" ;;
    *) echo "no design $1" >&2; exit 1 ;;
    esac
}

# build DESIGN SPIN_FLAGS CC_FLAGS: leaves ./pan
build() {
    # shellcheck disable=SC2046,SC2086
    spin $(flags_of "$1") $2 -a link.pml >spin.log 2>&1 || { cat spin.log; exit 1; }
    # shellcheck disable=SC2086
    "${CC:-cc}" -O1 -w $3 -o pan pan.c
}

if [ $# -gt 0 ]; then
    build "$1" "" "-DSAFETY -DBFS"
    ./pan -m100000 >/dev/null
    # shellcheck disable=SC2046
    spin $(flags_of "$1") -t -T link.pml | grep -E '^ *(R |S[01] |a crash)' | sed 's/^ */  /'
    exit 0
fi

failed=0
# expect DESIGN holds|loses WHAT PAN_FLAGS: runs ./pan
expect() {
    # shellcheck disable=SC2086
    ./pan -m2000000 $4 >pan.log 2>&1 || true
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
    states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
    found=loses
    [ "${errors:-none}" = 0 ] && found=holds
    if grep -q 'max search depth too small' pan.log || [ -z "$errors" ] || [ "$found" != "$2" ]; then
        printf 'FAILED: design %s %s, expected: %s\n' "$1" "$3" "$2"
        cat pan.log
        failed=1
        return
    fi
    printf '%-8s %-6s %-52s %9s states\n' "$1" "$found" "$3" "$states"
}

for case in A:loses B:loses Bp:loses D:loses C:holds Ccrash:loses own:holds; do
    build "${case%:*}" "" "-DSAFETY"
    expect "${case%:*}" "${case#*:}" "at rest" ""
done
build own -DLIVE "-DNFAIR=5"
expect own holds "whatever waits is linked in the end (fair)" "-a -f"
build Ccrash -DLIVE "-DNFAIR=5"
expect Ccrash loses "whatever waits is linked in the end (fair)" "-a -f"
exit $failed
