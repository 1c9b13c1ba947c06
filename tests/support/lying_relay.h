/* Stands between a client and a server on loopback, and replaces a text in what the server says, to
 * show how a client takes a server that is wrong. The two texts are of one size, so that lengths
 * and framing stay true. Serves any number of connections, on a thread of its own. */
#ifndef TESTS_SUPPORT_LYING_RELAY_H
#define TESTS_SUPPORT_LYING_RELAY_H

#include <stdint.h>

struct lying_relay;

/* Texts are borrowed. Never NULL. `server_port` is on 127.0.0.1. */
struct lying_relay *lying_relay_start(uint16_t server_port, const char *truth, const char *lie);
uint16_t lying_relay_port(const struct lying_relay *relay);
/* How often it has lied. */
unsigned lying_relay_lies(const struct lying_relay *relay);
/* Ends every connection. */
void lying_relay_stop(struct lying_relay *relay);

#endif
