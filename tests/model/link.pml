/* Linking spans to their result: one result, two batches of spans of one key, READ COMMITTED.
 *
 * Every step of a transaction is a step here, the commit included, so that all orders are tried; a
 * crash may come between any two steps of any process and takes the open transaction with it.
 *
 *   R_ONE      the result side inserts and links in one transaction; else it commits in between
 *   S_ONE      the same for the span side
 *   OLD_VIEW   REPEATABLE READ: the link sees what the transaction's first statement saw
 *   CRASH      up to two crashes, anywhere
 *   SWEEPER    a third process links what both points left, again and again
 *   LIVE       check the temporal formula (under weak fairness) instead of the state at rest
 *
 *   A = R_ONE S_ONE    B = R_ONE    C = neither    D = R_ONE S_ONE OLD_VIEW
 *   the project's own = CRASH SWEEPER
 *
 * Not modelled: other keys (nothing here mixes keys), lost connections, several results of one key. */

#define BATCHES 2
#define PARTIES 3
#define CRASH_MAX 2

/* Ids of the processes, for row locks; 0 is nobody. */
#define R_SIDE 1
#define S_SIDE 2 /* and S_SIDE + 1 */
#define SWEEP_SIDE 4

bool result_committed;
bool span_committed[BATCHES];
bool linked[BATCHES];
byte locked_by[BATCHES]; /* an uncommitted link: nobody else sees it, everybody waits for it */
byte ended;
byte crashes;
bool swept_at_rest;

/* The commit makes the inserts and links of `me` visible, all at once. */
inline commit_links(me)
{
    if
    :: locked_by[0] == me -> assert(!linked[0]); linked[0] = true; locked_by[0] = 0
    :: else
    fi;
    if
    :: locked_by[1] == me -> assert(!linked[1]); linked[1] = true; locked_by[1] = 0
    :: else
    fi
}

inline roll_back(me)
{
    if
    :: locked_by[0] == me -> locked_by[0] = 0
    :: else
    fi;
    if
    :: locked_by[1] == me -> locked_by[1] = 0
    :: else
    fi
}

/* UPDATE of one row that the statement's snapshot showed: waits for whoever has it in hand, then
 * looks at the row again. */
inline update_row(me, b)
{
    atomic {
        locked_by[b] == 0 || locked_by[b] == me;
        if
        :: !linked[b] -> locked_by[b] = me
        :: else
        fi
    }
}

/* Between any two steps the process may die; its transaction is then rolled back. */
inline may_crash(me)
{
#ifdef CRASH
    if
    :: atomic { crashes < CRASH_MAX -> crashes++; roll_back(me); printf("a crash of %d\n", me) }; goto dead
    :: true
    fi
#else
    skip
#endif
}

proctype ResultSide()
{
    bool sees[BATCHES];

    d_step {
        sees[0] = span_committed[0]; sees[1] = span_committed[1];
        printf("R   begins, inserts the result\n")
    }
    may_crash(R_SIDE);
#ifndef R_ONE
    d_step { result_committed = true; printf("R   commits; begins again\n") }
    may_crash(R_SIDE);
#endif
    d_step {
#ifndef OLD_VIEW
        sees[0] = span_committed[0]; sees[1] = span_committed[1];
#endif
        printf("R   link: sees batch 0: %d, batch 1: %d\n", sees[0], sees[1])
    }
    if
    :: sees[0] -> update_row(R_SIDE, 0)
    :: else
    fi;
    may_crash(R_SIDE);
    if
    :: sees[1] -> update_row(R_SIDE, 1)
    :: else
    fi;
    may_crash(R_SIDE);
    d_step {
        result_committed = true; commit_links(R_SIDE);
        printf("R   commits\n")
    }
dead:
    ended++
}

proctype SpanSide(byte b)
{
    bool sees;

    d_step { sees = result_committed; printf("S%d  begins, inserts its spans\n", b) }
    may_crash(S_SIDE + b);
#ifndef S_ONE
    d_step { span_committed[b] = true; printf("S%d  commits; begins again\n", b) }
    may_crash(S_SIDE + b);
#endif
    d_step {
#ifndef OLD_VIEW
        sees = result_committed;
#endif
        printf("S%d  link: sees the result: %d\n", b, sees)
    }
    if
    :: sees -> update_row(S_SIDE + b, b)
    :: else
    fi;
    may_crash(S_SIDE + b);
    d_step {
        span_committed[b] = true; commit_links(S_SIDE + b);
        printf("S%d  commits\n", b)
    }
dead:
    ended++
}

#ifdef SWEEPER
/* One pass: UPDATE of all waiting spans that have a result; commit. A crash starts it anew. */
proctype Sweeper()
{
    bool at_rest;
    bool sees[BATCHES];

end_of_pass:
    do
    :: true ->
        d_step {
            at_rest = (ended == PARTIES);
            sees[0] = result_committed && span_committed[0];
            sees[1] = result_committed && span_committed[1]
        }
        may_crash(SWEEP_SIDE);
        if
        :: sees[0] -> update_row(SWEEP_SIDE, 0)
        :: else
        fi;
        may_crash(SWEEP_SIDE);
        if
        :: sees[1] -> update_row(SWEEP_SIDE, 1)
        :: else
        fi;
        may_crash(SWEEP_SIDE);
        d_step {
            commit_links(SWEEP_SIDE);
            swept_at_rest = swept_at_rest || at_rest
        };
        skip;
dead:   skip
    od
}
#endif

init
{
    atomic {
        run ResultSide();
        run SpanSide(0);
        run SpanSide(1);
#ifdef SWEEPER
        run Sweeper()
#endif
    }
#ifndef LIVE
    ended == PARTIES;
#ifdef SWEEPER
    swept_at_rest;
#endif
    /* At rest every stored span whose result is stored carries it. */
    assert(!result_committed || !span_committed[0] || linked[0]);
    assert(!result_committed || !span_committed[1] || linked[1])
#endif
}

#ifdef LIVE
ltl drains {
    [] ((result_committed && span_committed[0]) -> <> linked[0]) &&
    [] ((result_committed && span_committed[1]) -> <> linked[1])
}
#endif
