/* The addresses of a server.
 * Owns: the table of paths, methods and what each is for. Pure. */
#ifndef RR_RERANK_SERVE_ROUTE_H
#define RR_RERANK_SERVE_ROUTE_H

#include "rerank/serve/fault.h"

typedef enum rr_route {
    RR_ROUTE_NONE, /* there is no such address */
    RR_ROUTE_RERANK,
    RR_ROUTE_STREAM,
    RR_ROUTE_HEALTH,
    RR_ROUTE_READY,
    RR_ROUTE_MODELS,
    RR_ROUTE_INFO,
    RR_ROUTE_METRICS,
    RR_ROUTE_OPENAPI,
    RR_ROUTE_OPTIONS, /* a browser asks what a page may do */
    RR_ROUTE_COUNT
} rr_route;

/* What metrics and the log call it; static. */
const char *rr_route_name(rr_route route);
/* Whether it is answered without a key: whether the server lives is no secret. */
bool rr_route_is_free(rr_route route);
/* Whether it takes a body. */
bool rr_route_is_post(rr_route route);

/* Slashes at the end do not count. HEAD counts as GET. RR_ROUTE_NONE = the fault is set: 404, which
 * names the paths, or 405. */
rr_route rr_route_find(const char *method, const char *path, rr_fault *fault);

#endif
