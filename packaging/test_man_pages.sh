#!/bin/sh
# The man pages name every option that the programs' help names, and groff reads them without a word.
# No line of help is longer than 80 columns.
# Usage: test_man_pages.sh FOLDER_OF_PAGES FOLDER_OF_PROGRAMS
set -eu
pages=$1
programs=$2
for program in marline-agent marline-backend-mock; do
    page=$pages/$program.1
    count=0
    for command in $("$programs/$program" --help | awk '/^Commands:$/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'); do
        "$programs/$program" help "$command" | LC_ALL=C awk -v what="$program $command" '
            { text = $0; gsub(/[\200-\277]/, "", text) } # code points, not bytes
            length(text) > 80 { print what ": too long: " $0; bad = 1 }
            END { exit bad }'
        for option in $("$programs/$program" help "$command" | sed -n 's/^  \(--[a-z-]*\).*/\1/p'); do
            count=$((count + 1))
            grep -q -e "^\.B $(echo "$option" | sed 's/-/\\\\-/g')\( \|$\)" "$page" || {
                echo "$page: $option of $command is missing"
                exit 1
            }
        done
    done
    [ "$count" -gt 8 ] || { echo "$program: only $count options found in its help"; exit 1; }
    if command -v groff >/dev/null; then
        complaints=$(groff -man -Tutf8 -ww -Kutf8 "$page" 2>&1 >/dev/null) || true
        [ -z "$complaints" ] || { echo "$complaints"; exit 1; }
    fi
    grep -q '^\.SS "Exit codes"' "$page" || { echo "$page says nothing of exit codes"; exit 1; }
    echo "$program.1: $count options"
done
