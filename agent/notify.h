/* Tells the service manager how the agent is (the protocol of sd_notify). Does nothing where no
 * manager asks. Main thread. */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…", several parted by newlines. */
void notify_send(const char *state);
/* How often "WATCHDOG=1" is due, in ms: half of what the manager allows. 0 = it does not ask. */
uint64_t notify_watchdog_interval_ms(void);

#endif
