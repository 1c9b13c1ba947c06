#compdef marline-agent marline-backend-mock
# Completes commands and options in zsh. It asks the program's own help, and so knows what that
# program knows.

_marline() {
    local program=${words[1]}
    if (( CURRENT == 2 )) || [[ $CURRENT == 3 && ${words[2]} == help ]]; then
        compadd -- ${(f)"$($program --help 2>/dev/null |
            sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')"}
    elif [[ ${words[CURRENT]} == -* ]]; then
        compadd -- ${(f)"$($program help ${words[2]} 2>/dev/null |
            sed -n 's/^  \(--[a-z-]*\).*/\1/p')"}
    else
        _files
    fi
}
_marline "$@"
