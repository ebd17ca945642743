/* The HTTP side of a server, over libmicrohttpd.
 * Owns: connections, their threads (a few, whatever the number of clients), and that a client that
 * closes while its ranking is made is noticed. Does not own what is answered
 * (rerank/serve/server.h). Where a build has no libmicrohttpd, rr_http_open says so. */
#ifndef RR_RERANK_SERVE_HTTP_H
#define RR_RERANK_SERVE_HTTP_H

#include "rerank/serve/server.h"

typedef struct rr_http rr_http;

/* Serves `server` (borrowed) at `host` and *port; 0 = any that is free, which *port then is.
 * Errors: as rr_socket_listen; RR_E_UNSUPPORTED without libmicrohttpd; RR_E_MEMORY; RR_E_INTERNAL
 * when the system gives no threads. */
rr_status rr_http_open(
    rr_server *server, const char *host, uint16_t *port, rr_http **out, rr_diag *diag);
/* Closes all connections; rr_server_close must have been called, so that none waits for a ranking.
 * Accepts a NULL one. */
void rr_http_close(rr_http **http);

#endif
