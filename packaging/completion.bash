# Completes commands and options of marline-agent and marline-backend-mock in bash. It asks the
# program's own help, and so knows what that program knows.

_marline()
{
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]} words
    COMPREPLY=()
    if ((COMP_CWORD == 1)) || [[ $COMP_CWORD == 2 && $previous == help ]]; then
        words=$("$program" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')
    elif [[ $current == -* ]]; then
        words=$("$program" help "${COMP_WORDS[1]}" 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
    elif [[ $previous == --scenario ]]; then
        words="all $("$program" check --help 2>/dev/null |
            sed -n 's/^  \([a-z][a-z-]*\)  *[a-z64].*/\1/p' | grep -v '^marline')"
    else
        # The value of an option, mostly a file.
        COMPREPLY=($(compgen -f -- "$current"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _marline marline-agent marline-backend-mock
