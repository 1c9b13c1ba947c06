/* What marline-agent leaves behind when it ends. Part of the interface: `marline-agent help` prints
 * this table, and scripts depend on it. */
#ifndef AGENT_EXIT_CODE_H
#define AGENT_EXIT_CODE_H

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_CHECK_FAILED = 1,  /* check ran, and a span is not linked as it should be */
    EXIT_CODE_USAGE = 2,         /* unknown command or option, value out of range */
    EXIT_CODE_CONFIGURATION = 3, /* configuration file, plugin or endpoint at fault */
    EXIT_CODE_UNREACHABLE = 4,   /* backend not reached or not working now: try again later */
    EXIT_CODE_REFUSED = 5,       /* key or project refused: trying again is pointless */
    EXIT_CODE_INTERNAL = 70,     /* the program's own fault, or out of memory */
};

#endif
