/* Passes TCP connections on to a server of this machine, and can cut or freeze all of them. One
 * thread of its own. */
#ifndef TESTS_SUPPORT_TCP_RELAY_H
#define TESTS_SUPPORT_TCP_RELAY_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_relay;

/* Listens on a free port of 127.0.0.1. Ends the program when it cannot. */
struct tcp_relay *tcp_relay_start(uint16_t *out_port);
void tcp_relay_stop(struct tcp_relay *r);

/* All from any thread. New connections go there; 0 = they are refused. */
void tcp_relay_set_target(struct tcp_relay *r, uint16_t port);
/* Ends the connections that there are: at once (with a reset), or as a server ends them. */
void tcp_relay_cut(struct tcp_relay *r, bool with_reset);
/* While frozen nothing is passed on, and nothing is accepted. */
void tcp_relay_freeze(struct tcp_relay *r, bool is_frozen);

#endif
