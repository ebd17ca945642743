/* In place of http.c where a build has no libmicrohttpd. */
#include "rerank/serve/http.h"

rr_status rr_http_open(
    rr_server *server, const char *host, uint16_t *port, rr_http **out, rr_diag *diag) {
    (void)server;
    (void)host;
    (void)port;
    (void)out;
    return rr_fail(diag, RR_E_UNSUPPORTED,
        "this build has no server: libmicrohttpd was not there (Debian: libmicrohttpd-dev)");
}

void rr_http_close(rr_http **http) {
    *http = NULL;
}
