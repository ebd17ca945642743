/* A server's inside, for server.c and exchange.c. */
#ifndef RR_RERANK_SERVE_SERVER_INTERNAL_H
#define RR_RERANK_SERVE_SERVER_INTERNAL_H

#include "rerank/serve/job.h"
#include "rerank/serve/metrics.h"
#include "rerank/serve/pages.h"
#include "rerank/serve/server.h"

typedef enum rr_server_state {
    RR_SERVER_LOADING,
    RR_SERVER_OPEN,
    RR_SERVER_DRAINING
} rr_server_state;

struct rr_server {
    rr_server_params params; /* filled in */
    rr_serve_jobs jobs;
    rr_metrics metrics;
    rr_mutex log_lock;
    atomic_int state; /* rr_server_state */
    atomic_bool has_ranker;
    atomic_ullong n_ids; /* exchanges so far */
    atomic_ullong held_bytes;
    atomic_int n_ranking; /* exchanges with a whole body whose answer is not sent */
    atomic_llong n_connections;
    uint64_t began_ns, beat_ns;
};

bool rr_server_is_ready(rr_server *server, rr_fault *fault);
/* Fills in the reply of a GET. */
bool rr_server_page(rr_server *server, rr_route route, rr_http_reply *reply, rr_fault *fault);

#endif
