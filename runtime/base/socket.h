/* What a server needs of sockets beside HTTP: a socket that listens, a client's address, and which
 * clients have hung up. The operating system's side stands in socket_posix.c.
 * Owns: nothing global. Thread safe. */
#ifndef RR_BASE_SOCKET_H
#define RR_BASE_SOCKET_H

#include "runtime/base/status.h"

/* Listens at `host` (a name or an address) and `port` (0 = any that is free; *port gets it). The
 * socket is the caller's to close. Errors: RR_E_USAGE for a host that is not known, RR_E_IO when
 * the port is taken or not allowed. */
rr_status rr_socket_listen(const char *host, uint16_t *port, int *out, rr_diag *diag);
void rr_socket_close(int socket);

/* The address at the other end, as text; "" where it cannot be told. */
void rr_socket_peer(int socket, char *out, size_t room);

/* Sets gone[i] where the other end of sockets[i] has closed, wholly or its sending half, or the
 * connection is broken. Does not wait, reads nothing. */
void rr_socket_find_gone(const int *sockets, size_t n, bool *gone);

#endif
