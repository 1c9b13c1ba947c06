#!/bin/sh
# Writes a man page from what a program says with --help, and of each of its commands, so that the
# two cannot differ.
# Usage: help_to_man.sh PROGRAM VERSION SUMMARY >PAGE.1
set -eu
program=$1
version=$2
summary=$3
name=$(basename "$program")

# Help texts have one shape: "Usage:" lines, paragraphs, headings that end with a colon, options at
# two columns with their explanation at thirty, and anything else indented is shown as it is.
translate() {
    awk '
        function escaped(text) {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            sub(/^[.'"'"']/, "\\\\\\&&", text)
            return text
        }
        function end_block() {
            if (block) { print ".fi\n.RE"; block = 0 }
        }
        /^Usage: / || (usage && /^       /) {
            if (!usage) print ".nf"
            usage = 1
            sub(/^Usage: |^ +/, "")
            print escaped($0)
            next
        }
        usage { print ".fi"; usage = 0 }
        /^$/ { end_block(); option = 0; print ".PP"; next }
        /^[A-Z][A-Za-z ]*:$/ {
            end_block()
            sub(/:$/, "")
            print ".SS \"" escaped($0) "\""
            next
        }
        /^  --/ {
            end_block()
            text = substr($0, 3)
            at = match(text, /  +/)
            print ".TP\n.B " escaped(at ? substr(text, 1, at - 1) : text)
            if (at) print escaped(substr(text, at + RLENGTH))
            option = 1
            next
        }
        option && /^      / { sub(/^ +/, ""); print escaped($0); next }
        /^  / {
            if (!block) { print ".RS 2\n.nf"; block = 1 }
            print escaped(substr($0, 3))
            next
        }
        { end_block(); print escaped($0) }
        END { end_block(); if (usage) print ".fi" }
    '
}

commands() {
    "$program" --help | awk '/^Commands:$/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
}

printf '.TH "%s" 1 "" "marline %s" "User Commands"\n' "$(echo "$name" | tr '[:lower:]' '[:upper:]')" "$version"
printf '.SH NAME\n%s \\- %s\n' "$(echo "$name" | sed 's/-/\\-/g')" "$summary"
printf '.SH DESCRIPTION\n'
"$program" --help | translate
for command in $(commands); do
    case $command in help | version) continue ;; esac
    printf '.SH "THE COMMAND %s"\n' "$(echo "$command" | tr '[:lower:]' '[:upper:]' | sed 's/-/\\-/g')"
    "$program" help "$command" | translate
done
