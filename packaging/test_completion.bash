# What bash completes for both programs.
# Usage: test_completion.bash FOLDER_OF_SCRIPT FOLDER_OF_PROGRAMS
set -eu
source "$1/completion.bash"
PATH=$2:$PATH

# expect WANTED WORD...: the completion of the last word holds WANTED.
expect() {
    local wanted=$1
    shift
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _marline
    for word in "${COMPREPLY[@]}"; do
        if [[ $word == "$wanted" ]]; then
            return 0
        fi
    done
    echo "no '$wanted' for: $*; but: ${COMPREPLY[*]}"
    exit 1
}

expect doctor marline-agent do
expect dead-letters marline-agent ""
expect run marline-agent help r
expect --export-interval-ms marline-agent run --exp
expect --time-scale marline-agent check --scenario fast --t
expect backend-restart marline-agent check --scenario ba
expect no-result marline-agent check --scenario ""
expect all marline-agent check --scenario a
expect serve marline-backend-mock s
expect --ready-file marline-backend-mock serve --re
cd "$1"
expect completion.bash marline-agent run --config comp
echo "completion: all found"

if command -v zsh >/dev/null; then
    zsh -n "$1/completion.zsh"
    echo "completion.zsh: read by zsh"
else
    echo "completion.zsh: not tried, there is no zsh here"
fi
