#!/bin/sh
# The command line of marline-races: exit codes, and what bad input is told.
# Usage: test_cli.sh PROGRAM
set -u
program=$1
failed=0

# expect CODE TEXT ARGUMENT...: the program ends with CODE and says TEXT.
expect() {
    code=$1 text=$2
    shift 2
    said=$("$program" "$@" 2>&1)
    ended=$?
    if [ "$ended" -ne "$code" ] || ! printf '%s' "$said" | grep -qF -- "$text"; then
        printf 'FAILED: %s\n  exit %s, expected %s; expected to read: %s\n%s\n' \
            "$*" "$ended" "$code" "$text" "$said"
        failed=1
    fi
}

expect 2 'a command is needed'
expect 2 'no command "explode"' explode
expect 0 'usage:' help
expect 0 'usage:' replay --help
expect 2 "marline-races: unrecognized option '--frob'" replay --frob
expect 0 'loses 40 of 70' list
expect 2 'no design "chek-first"; the nearest is "check-first"' explore --design chek-first
expect 2 'no store "oracle"; there are model, sqlite and postgres' explore --store oracle
expect 2 'no journal mode "off"' explore --store sqlite --journal off
expect 2 'seed "-1" is not a number from 0 to' explore --seed -1
expect 2 'seed "99999999999999999999" is not a number from 0 to' explore --seed 99999999999999999999
expect 2 'what is "A" for?' explore A
expect 2 'design immediate cannot run on this store' explore --design immediate
expect 2 'replay needs --design' replay --schedule RS
expect 2 'replay needs --schedule' replay --design A
expect 2 'step 5 cannot run: R has done its 4 steps, the last is commit' \
    replay --design A --schedule RRRRRSSS
expect 2 "letter 4 is 'X'; design A has the parties R and S" replay --design A --schedule RRRXSSSS
expect 2 "the schedule ends before R's step 4 of 4 (commit); it needs 8 letters in all" \
    replay --design A --schedule RRR
expect 0 'write skew' replay --design A --schedule RRRSSSSR
expect 0 'after RRRSSS: from there, every order loses' replay --design A --shrink
expect 0 'no schedule loses a link' replay --design C --shrink
expect 0 '0 of 2 spans linked' replay --design "f'" --schedule RRRRSSSSSR
expect 0 'ABORTED (40001)' replay --design E --schedule RRRSSSSR
expect 0 '2 of 2 spans linked' replay --design A --schedule RRSRSSRS --store sqlite
expect 0 '"id":"A","isolation":"READ COMMITTED","schedules":70,"missed":40' explore --json --design A
expect 3 'apt install postgresql' explore --store postgres --programs /nonexistent
TMPDIR=/nonexistent expect 4 'no temporary folder' explore --store sqlite
expect 2 'seed "18446744073709551616" is not a number from 0 to' simulate --seed 18446744073709551616
expect 2 'runs "0" is not a number from 1' simulate --runs 0
expect 2 'no faults "some"; there are mix and none' simulate --faults some
expect 2 'no mutant "x"' simulate --mutant x
expect 2 'link-moves is an edit of the statements for SQLite' \
    simulate --store postgres --mutant link-moves
expect 1 'on the sqlite store' simulate --seed 1 --runs 100 --mutant link-moves
expect 1 '--log --store sqlite --mutant no-sweeper' \
    simulate --seed 1 --runs 100 --store sqlite --mutant no-sweeper
expect 3 'apt install postgresql' simulate --store postgres --programs /nonexistent
expect 0 'no invariant was violated' simulate --seed 7
expect 0 'on the memory store' simulate --seed 7 --store memory
expect 0 'agent 0: connecting' simulate --seed 7 --log
expect 0 'agent 0: registered' simulate --seed 7 --log
expect 0 'nothing goes wrong' simulate --seed 7 --faults none --log
expect 0 'at rest; no invariant was violated' simulate --seed 7 --log
expect 1 '--log --faults none --mutant no-result-point' \
    simulate --seed 1 --runs 1000 --faults none --mutant no-result-point
expect 1 '--log --mutant no-sweeper' simulate --seed 1 --runs 1000 --mutant no-sweeper

# All designs on the model, within two seconds of processor time (it takes a hundredth of that).
(ulimit -t 2 && "$program" explore >/dev/null) || {
    echo 'FAILED: explore on the model, within 2 s of processor time'
    failed=1
}

exit "$failed"
