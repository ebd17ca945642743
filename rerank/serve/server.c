/* The server's life, its ticks, and what it tells about itself. Exchanges: exchange.c. */
#include "rerank/serve/server_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DOCUMENTS = 1000, LINGER_S = 10 };
#define MAX_BODY_BYTES ((size_t)32 << 20)
#define MAX_HELD_BYTES ((size_t)512 << 20)
#define BEAT_NS (UINT64_C(15) * 1000000000)

rr_status rr_server_create(const rr_server_params *params, rr_server **out, rr_diag *diag) {
    if (!rr_access_is_loopback(params->access.host) && params->access.n_keys == 0) {
        return rr_fail(diag, RR_E_USAGE,
            "--host %s can be reached by others: that wants an API key (--api-key-file FILE, or "
            "REARANK_API_KEY)",
            params->access.host);
    }
    rr_server *server = calloc(1, sizeof *server);
    if (server == NULL || !rr_mutex_create(&server->jobs.lock) ||
        !rr_cond_create(&server->jobs.changed) || !rr_mutex_create(&server->log_lock)) {
        rr_server_destroy(&server);
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a server");
    }
    server->params = *params;
    rr_server_params *filled = &server->params;
    filled->max_documents = params->max_documents != 0 ? params->max_documents : MAX_DOCUMENTS;
    filled->max_body_bytes = params->max_body_bytes != 0 ? params->max_body_bytes : MAX_BODY_BYTES;
    filled->max_held_bytes = params->max_held_bytes != 0 ? params->max_held_bytes : MAX_HELD_BYTES;
    filled->linger_s = params->linger_s < 0.0 ? 0.0
        : params->linger_s > 0.0              ? params->linger_s
                                              : (double)LINGER_S;
    server->began_ns = server->beat_ns = rr_time_ns();
    *out = server;
    return RR_OK;
}

void rr_server_destroy(rr_server **server) {
    if (*server != NULL) {
        rr_cond_destroy(&(*server)->jobs.changed);
        rr_mutex_destroy(&(*server)->jobs.lock);
        rr_mutex_destroy(&(*server)->log_lock);
        free(*server);
        *server = NULL;
    }
}

static bool has_ranker(rr_server *server) {
    return atomic_load(&server->has_ranker);
}

void rr_server_open(rr_server *server, const rr_ranker *ranker) {
    server->jobs.ranker = ranker;
    atomic_store(&server->has_ranker, true); /* from here on other threads look at it */
    atomic_store(&server->state, RR_SERVER_OPEN);
}

void rr_server_drain(rr_server *server) {
    atomic_store(&server->state, RR_SERVER_DRAINING);
}

bool rr_server_is_idle(rr_server *server) {
    return atomic_load(&server->n_ranking) == 0;
}

void rr_server_close(rr_server *server) {
    rr_server_drain(server);
    if (has_ranker(server)) {
        rr_serve_jobs_close(&server->jobs);
    }
}

/* Keeps what is between server and client from closing a silent stream. */
static void beat(rr_server *server) {
    rr_mutex_lock(&server->jobs.lock);
    for (rr_serve_job *job = server->jobs.first; job != NULL; job = job->next) {
        if (job->stream != NULL && job->owner.wake != NULL) {
            rr_stream_beat(job->stream);
            job->owner.wake(job->owner.user);
        }
    }
    rr_mutex_unlock(&server->jobs.lock);
}

void rr_server_tick(rr_server *server) {
    const uint64_t now_ns = rr_time_ns();
    if (!has_ranker(server)) {
        return;
    }
    rr_ranker_stats stats;
    server->jobs.ranker->stats(server->jobs.ranker->user, &stats);
    rr_serve_jobs_tick(&server->jobs, now_ns, stats.n_waiting > 0);
    if (now_ns - server->beat_ns >= BEAT_NS) {
        server->beat_ns = now_ns;
        beat(server);
    }
}

void rr_server_count_connection(rr_server *server, bool opened) {
    atomic_fetch_add(&server->n_connections, opened ? 1 : -1);
}

/* Pages */

static void write_metrics(rr_server *server, rr_buf *out) {
    rr_metrics_now now = {
        .connections = (uint64_t)atomic_load(&server->n_connections),
        .held_bytes = atomic_load(&server->held_bytes),
        .ready = atomic_load(&server->state) == RR_SERVER_OPEN,
        .uptime_s = (double)(rr_time_ns() - server->began_ns) * 1e-9,
    };
    if (has_ranker(server)) {
        rr_ranker_stats stats;
        rr_ranker_facts facts;
        server->jobs.ranker->stats(server->jobs.ranker->user, &stats);
        server->jobs.ranker->facts(server->jobs.ranker->user, &facts);
        now.queued = stats.n_waiting;
        now.running = stats.n_begun;
        now.device_bytes = facts.device_bytes;
    }
    rr_metrics_write(&server->metrics, &now, out);
}

bool rr_server_is_ready(rr_server *server, rr_fault *fault) {
    const int state = atomic_load(&server->state);
    if (state == RR_SERVER_OPEN) {
        return true;
    }
    fault->retry_after_s = 5;
    return rr_fault_set(fault, 503,
        state == RR_SERVER_DRAINING ? "the server is about to end and takes nothing new"
                                    : "the model is being loaded");
}

bool rr_server_page(rr_server *server, rr_route route, rr_http_reply *reply, rr_fault *fault) {
    rr_ranker_facts facts = {0};
    if (route == RR_ROUTE_READY || route == RR_ROUTE_MODELS || route == RR_ROUTE_INFO) {
        RR_FAULT_TRY(rr_server_is_ready(server, fault));
        server->jobs.ranker->facts(server->jobs.ranker->user, &facts);
    }
    reply->status = 200;
    reply->content_type = "application/json";
    switch (route) {
    case RR_ROUTE_METRICS:
        reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
        write_metrics(server, &reply->body);
        break;
    case RR_ROUTE_MODELS:
        rr_page_models(&facts, &reply->body);
        break;
    case RR_ROUTE_INFO:
        rr_page_info(&facts, server->params.max_documents, &reply->body);
        break;
    case RR_ROUTE_OPENAPI:
        rr_buf_text(&reply->body, rr_openapi_json);
        break;
    default:
        rr_buf_text(&reply->body, "{\"status\":\"ok\"}");
        break;
    }
    return true;
}
