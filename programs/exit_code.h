/* What the programs leave behind when they end. Part of the interface: `marline-agent help` and
 * `marline-backend-mock help` print these tables, and scripts depend on them. */
#ifndef PROGRAMS_EXIT_CODE_H
#define PROGRAMS_EXIT_CODE_H

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_USAGE = 2,     /* unknown command or option, value out of range */
    EXIT_CODE_INTERNAL = 70, /* the program's own fault, or out of memory */

    /* marline-agent, and marline-backend-mock run */
    EXIT_CODE_CHECK_FAILED = 1,  /* check ran, and a span is not linked as it should be */
    EXIT_CODE_TESTS_FAILED = 1,  /* run ran, and a test did not pass */
    EXIT_CODE_CONFIGURATION = 3, /* configuration file, tests, plugin or endpoint at fault */
    EXIT_CODE_UNREACHABLE = 4,   /* backend not reached or not working now: try again later */
    EXIT_CODE_REFUSED = 5,       /* key or project refused: trying again is pointless */

    /* marline-backend-mock serve */
    EXIT_CODE_LISTEN = 3,     /* the address cannot be had */
    EXIT_CODE_STORE = 4,      /* the store cannot be opened or written */
    EXIT_CODE_READY_FILE = 5, /* a file of our own cannot be written: key or ready file */
};

#endif
