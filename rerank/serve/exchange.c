/* One HTTP request of a server, from its header to its last byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rerank/serve/answer.h"
#include "rerank/serve/log_line.h"
#include "rerank/serve/server_internal.h"
#include "runtime/base/hash.h"

enum { PEER_BYTES = 64, METHOD_BYTES = 16, ID_BYTES = 40, MOST_RETRY_AFTER_S = 60 };

struct rr_exchange {
    rr_server *server;
    rr_serve_owner owner;
    char id[ID_BYTES], peer[PEER_BYTES], method[METHOD_BYTES];
    rr_route route;
    uint64_t submitter;
    uint64_t began_ns;
    int64_t time_s;
    rr_buf body;
    uint64_t seen_bytes; /* of the body, also those that were dropped */
    size_t held_bytes;   /* in server->held_bytes */
    bool has_reply;
    rr_http_reply reply;
    rr_fault fault;
    bool counts;              /* in server->n_ranking */
    rr_serve_job *job;        /* of which this is the owner; NULL = none */
    rr_serve_request request; /* of a repeat, whose job has another's; else empty */
    bool is_repeat, is_gone;
    /* of the ranking, for the log */
    const char *mode;
    size_t documents, windows;
    rr_serve_usage usage;
};

/* Replies */

static void refuse(rr_exchange *exchange) {
    const rr_fault *fault = &exchange->fault;
    rr_http_reply *reply = &exchange->reply;
    rr_buf_clear(&reply->body);
    reply->body.failed = false;
    rr_fault_body(fault, &reply->body);
    reply->status = fault->status;
    reply->content_type = "application/json";
    reply->allow = fault->allow;
    reply->retry_after_s = fault->retry_after_s;
    exchange->has_reply = true;
}

/* Bytes of a body that is refused, as a multiple of the limit, that are read and dropped. */
enum { DROPPED_TIMES = 4 };

static bool check_length(rr_exchange *exchange, const rr_exchange_head *head) {
    const size_t most = exchange->server->params.max_body_bytes;
    rr_fault *fault = &exchange->fault;
    if (head->content_length == NULL) {
        return true;
    }
    uint64_t length = 0;
    for (const char *at = head->content_length; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return rr_fault_set(fault, 400, "the header Content-Length is no number");
        }
        length = length > UINT64_MAX / 20 ? UINT64_MAX / 2 : length * 10 + (uint64_t)(*at - '0');
    }
    exchange->reply.is_at_once = length / DROPPED_TIMES > most;
    return length <= most ||
        rr_fault_set(
            fault, 413, "the body has more than the %zu bytes that this server takes", most);
}

/* What can be said before a byte of the body was read. */
static bool judge(rr_exchange *exchange, const rr_exchange_head *head) {
    rr_server *server = exchange->server;
    rr_fault *fault = &exchange->fault;
    const rr_access *access = &server->params.access;
    size_t key = 0;
    RR_FAULT_TRY(rr_access_host(access, &head->headers, fault));
    RR_FAULT_TRY(rr_access_origin(access, &head->headers, &exchange->reply.allowed_origin, fault));
    exchange->route = rr_route_find(head->method, head->path, fault);
    RR_FAULT_TRY(exchange->route != RR_ROUTE_NONE);
    if (!rr_route_is_free(exchange->route)) {
        RR_FAULT_TRY(rr_access_key(access, &head->headers, &key, fault));
    }
    exchange->submitter = rr_hash(rr_hash(key, exchange->peer, strlen(exchange->peer)),
        head->agent != NULL ? head->agent : "", head->agent != NULL ? strlen(head->agent) : 0);
    if (exchange->route == RR_ROUTE_OPTIONS) {
        exchange->reply.status = 204;
        exchange->reply.is_preflight = true;
        exchange->has_reply = true;
        return true;
    }
    if (!rr_route_is_post(exchange->route)) {
        RR_FAULT_TRY(rr_server_page(server, exchange->route, &exchange->reply, fault));
        exchange->has_reply = true;
        return true;
    }
    RR_FAULT_TRY(check_length(exchange, head));
    RR_FAULT_TRY(rr_server_is_ready(server, fault));
    if (atomic_load(&server->held_bytes) > server->params.max_held_bytes) {
        atomic_fetch_add(&server->metrics.refused, 1);
        fault->retry_after_s = 5;
        return rr_fault_set(fault, 429, "too many bytes of other requests are in progress");
    }
    return true;
}

rr_exchange *rr_exchange_begin(rr_server *server, const rr_exchange_head *head) {
    rr_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return NULL;
    }
    exchange->server = server;
    exchange->owner = (rr_serve_owner){head->wake, head->user};
    exchange->began_ns = rr_time_ns();
    exchange->time_s = (int64_t)time(NULL);
    snprintf(exchange->id, sizeof exchange->id, "rr-%llx-%llx",
        (unsigned long long)exchange->time_s,
        (unsigned long long)atomic_fetch_add(&server->n_ids, 1));
    snprintf(exchange->peer, sizeof exchange->peer, "%s", head->peer != NULL ? head->peer : "");
    snprintf(exchange->method, sizeof exchange->method, "%.15s", head->method);
    if (!judge(exchange, head)) {
        refuse(exchange);
        exchange->reply.is_at_once = exchange->reply.is_at_once || head->expect != NULL;
    }
    return exchange;
}

bool rr_exchange_add(rr_exchange *exchange, const char *data, size_t bytes) {
    rr_server *server = exchange->server;
    exchange->seen_bytes += bytes;
    if (exchange->has_reply) {
        return exchange->seen_bytes / DROPPED_TIMES <= server->params.max_body_bytes;
    }
    if (exchange->seen_bytes > server->params.max_body_bytes) {
        rr_fault_set(&exchange->fault, 413,
            "the body has more than the %zu bytes that this server takes",
            server->params.max_body_bytes);
        refuse(exchange);
        return true;
    }
    atomic_fetch_add(&server->held_bytes, bytes);
    exchange->held_bytes += bytes;
    rr_buf_append(&exchange->body, data, bytes);
    return true;
}

/* Rankings */

/* Until when a ranking of this request may take, by the server and by the client; 0 = any time. */
static uint64_t deadline_of(const rr_exchange *exchange, const rr_serve_request *request) {
    double seconds = exchange->server->params.deadline_s;
    if (request->wish.deadline_s > 0.0 && (seconds <= 0.0 || request->wish.deadline_s < seconds)) {
        seconds = request->wish.deadline_s;
    }
    return seconds > 0.0 ? exchange->began_ns + (uint64_t)(seconds * 1e9) : 0;
}

/* How long until there is room again, by what rankings took so far. */
static unsigned retry_after(const rr_server *server) {
    const uint64_t n = atomic_load(&server->metrics.rankings);
    const double mean_s =
        n > 0 ? (double)atomic_load(&server->metrics.time_ns) * 1e-9 / (double)n : 1.0;
    /* the mean holds the wait, too: half of it */
    const double seconds = mean_s / 2.0 + 1.0;
    return seconds < MOST_RETRY_AFTER_S ? (unsigned)seconds : MOST_RETRY_AFTER_S;
}

static void note_ranking(rr_exchange *exchange, const rr_serve_request *request, const char *mode) {
    exchange->mode = mode;
    exchange->documents = request->n;
}

/* Takes over a ranking whose client has gone and that is the same. */
static bool join(rr_exchange *exchange, rr_serve_request *request, uint64_t hash) {
    rr_serve_jobs *jobs = &exchange->server->jobs;
    rr_mutex_lock(&jobs->lock);
    rr_serve_job *job = rr_serve_job_find(jobs, request, hash);
    if (job != NULL) {
        job->owner = exchange->owner;
        exchange->job = job;
    }
    rr_mutex_unlock(&jobs->lock);
    if (job == NULL) {
        return false;
    }
    exchange->is_repeat = true;
    exchange->request = *request;
    note_ranking(exchange, request, job->made_by.mode);
    atomic_fetch_add(&exchange->server->metrics.repeats, 1);
    return true;
}

/* Owns the request; NULL = out of memory. */
static rr_serve_job *make_job(rr_exchange *exchange, rr_serve_request *request, uint64_t hash) {
    const rr_ranker *ranker = exchange->server->jobs.ranker;
    rr_serve_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        rr_serve_request_destroy(request);
        return NULL;
    }
    rr_ranker_facts facts;
    ranker->facts(ranker->user, &facts);
    job->request = *request;
    job->hash = hash;
    job->owner = exchange->owner;
    job->made_by =
        (rr_serve_made_by){.id = exchange->id, .model = facts.model, .device = facts.device};
    const rr_serve_mode mode = ranker->mode_of(ranker->user, &job->request, &job->made_by.form);
    job->made_by.mode = rr_serve_mode_names[mode];
    return job;
}

static rr_status begin_stream(rr_serve_job *job, rr_diag *diag) {
    job->stream = calloc(1, sizeof *job->stream);
    return job->stream == NULL ? rr_fail(diag, RR_E_MEMORY, "out of memory for a stream")
                               : rr_stream_begin(job->stream, &job->request, &job->made_by, diag);
}

static void refuse_status(rr_exchange *exchange, rr_status status, const rr_diag *diag) {
    if (status == RR_E_BUSY) {
        atomic_fetch_add(&exchange->server->metrics.refused, 1);
        exchange->fault.retry_after_s = retry_after(exchange->server);
        rr_fault_set(&exchange->fault, 429, "too many requests wait already");
    } else {
        rr_fault_set_status(&exchange->fault, status, diag);
    }
    refuse(exchange);
}

static void start(rr_exchange *exchange, rr_serve_request *request, uint64_t hash) {
    rr_diag diag = {0};
    rr_serve_job *job = make_job(exchange, request, hash);
    if (job == NULL) {
        refuse_status(exchange, RR_E_MEMORY, &diag);
        return;
    }
    rr_status status = RR_OK;
    if (exchange->route == RR_ROUTE_STREAM) {
        status = begin_stream(job, &diag);
    }
    const uint64_t deadline_ns = deadline_of(exchange, &job->request);
    note_ranking(exchange, &job->request, job->made_by.mode);
    if (status != RR_OK) {
        rr_serve_job_free(job);
    } else {
        status = rr_serve_job_start(
            &exchange->server->jobs, job, deadline_ns, exchange->submitter, &diag);
    }
    if (status != RR_OK) {
        refuse_status(exchange, status, &diag);
        return;
    }
    exchange->job = job;
    if (job->stream != NULL) {
        exchange->reply.status = 200;
        exchange->reply.content_type = "text/event-stream";
        exchange->reply.is_stream = true;
        exchange->has_reply = true;
    }
}

void rr_exchange_body_end(rr_exchange *exchange) {
    rr_server *server = exchange->server;
    rr_serve_request request = {0};
    if (exchange->has_reply) {
        return;
    }
    /* Counted before it is asked whether the server takes more: a server that drains and finds
     * nobody counted has nobody on the way to a ranking. */
    exchange->counts = true;
    atomic_fetch_add(&server->n_ranking, 1);
    const rr_serve_limits limits = {.max_documents = server->params.max_documents};
    if (exchange->body.failed) {
        refuse_status(exchange, RR_E_MEMORY, NULL);
        return;
    }
    char none[] = "";
    if (!rr_server_is_ready(server, &exchange->fault) ||
        !rr_serve_request_read(exchange->body.data != NULL ? exchange->body.data : none,
            exchange->body.bytes, &limits, &request, &exchange->fault)) {
        refuse(exchange);
        return;
    }
    /* the parsed form has copies of its texts */
    rr_buf_destroy(&exchange->body);
    exchange->fault.is_tei = request.dialect == RR_DIALECT_TEI;
    const uint64_t hash = rr_serve_request_hash(&request);
    if (exchange->route == RR_ROUTE_STREAM || !join(exchange, &request, hash)) {
        start(exchange, &request, hash);
    }
}

/* The answer of a ranking that is over, as JSON; false = the fault is set. */
static bool write_answer(rr_exchange *exchange, rr_buf *out) {
    const rr_serve_job *job = exchange->job;
    const rr_serve_request *request = exchange->is_repeat ? &exchange->request : &job->request;
    rr_diag diag = job->diag;
    rr_status status = job->status;
    if (status == RR_OK) {
        rr_serve_made_by made_by = job->made_by;
        made_by.id = exchange->id;
        status = rr_serve_answer(request, &job->ranking, &made_by, out, &diag);
    }
    if (status != RR_OK) {
        return rr_fault_set_status(&exchange->fault, status, &diag);
    }
    exchange->usage = rr_serve_usage_of(&job->ranking);
    exchange->windows = job->ranking.n_windows;
    rr_metrics_ranking(&exchange->server->metrics, request->n, exchange->windows, &exchange->usage,
        rr_time_ns() - exchange->began_ns);
    return true;
}

static void finish_job(rr_exchange *exchange) {
    rr_mutex_lock(&exchange->server->jobs.lock);
    rr_serve_job_finish(&exchange->server->jobs, exchange->job);
    rr_mutex_unlock(&exchange->server->jobs.lock);
    exchange->job = NULL;
}

static bool is_over(rr_exchange *exchange) {
    rr_mutex_lock(&exchange->server->jobs.lock);
    const bool over = exchange->job->is_over && !exchange->job->is_cancelling;
    rr_mutex_unlock(&exchange->server->jobs.lock);
    return over;
}

const rr_http_reply *rr_exchange_reply(rr_exchange *exchange) {
    if (!exchange->has_reply && exchange->job != NULL && is_over(exchange)) {
        exchange->reply.status = 200;
        exchange->reply.content_type = "application/json";
        exchange->has_reply = true;
        if (!write_answer(exchange, &exchange->reply.body)) {
            refuse(exchange);
        }
        finish_job(exchange);
    }
    return exchange->has_reply ? &exchange->reply : NULL;
}

/* Streams */

static void end_stream(rr_exchange *exchange) {
    rr_buf json = {0};
    const bool ok = write_answer(exchange, &json);
    if (!ok) {
        rr_buf_clear(&json);
        json.failed = false;
        rr_fault_body(&exchange->fault, &json);
    }
    rr_mutex_lock(&exchange->server->jobs.lock);
    rr_stream_end(exchange->job->stream, ok ? "ranking" : "error", &json);
    rr_mutex_unlock(&exchange->server->jobs.lock);
    rr_buf_destroy(&json);
}

size_t rr_exchange_stream(rr_exchange *exchange, char *out, size_t room, bool *over) {
    rr_mutex *lock = &exchange->server->jobs.lock;
    if (exchange->job == NULL) { /* gone */
        *over = true;
        return 0;
    }
    rr_stream *stream = exchange->job->stream;
    if (is_over(exchange) && !stream->is_ended) {
        end_stream(exchange);
    }
    rr_mutex_lock(lock);
    const size_t n = rr_stream_read(stream, out, room);
    *over = rr_stream_is_over(stream) || stream->is_full;
    rr_mutex_unlock(lock);
    return n;
}

/* The end */

void rr_exchange_gone(rr_exchange *exchange) {
    rr_server *server = exchange->server;
    exchange->is_gone = true;
    if (exchange->job == NULL) {
        return;
    }
    const double linger_s = exchange->job->stream != NULL ? 0.0 : server->params.linger_s;
    atomic_fetch_add(&server->metrics.gone, 1);
    rr_mutex_lock(&server->jobs.lock);
    rr_serve_job_abandon(&server->jobs, exchange->job,
        linger_s > 0.0 ? rr_time_ns() + (uint64_t)(linger_s * 1e9) : 0);
    rr_mutex_unlock(&server->jobs.lock);
    exchange->job = NULL;
}

static void tell(const rr_exchange *exchange, bool sent) {
    rr_server *server = exchange->server;
    const unsigned status = sent ? exchange->reply.status : 0;
    rr_metrics_request(&server->metrics, exchange->route, status);
    if (server->params.log == NULL) {
        return;
    }
    const rr_log_entry entry = {
        .time_s = exchange->time_s,
        .id = exchange->id,
        .peer = exchange->peer,
        .method = exchange->method,
        .route = exchange->route,
        .status = status,
        .time_ns = rr_time_ns() - exchange->began_ns,
        .body_bytes = (size_t)exchange->seen_bytes,
        .answer_bytes = exchange->reply.body.bytes,
        .mode = exchange->mode,
        .documents = exchange->documents,
        .windows = exchange->windows,
        .usage = exchange->usage,
        .is_repeat = exchange->is_repeat,
        .fault = exchange->fault.status != 0 ? rr_fault_type(exchange->fault.status) : NULL,
    };
    rr_buf line = {0};
    rr_log_line(&entry, &line);
    if (!line.failed) {
        rr_mutex_lock(&server->log_lock);
        server->params.log(server->params.user, line.data, line.bytes);
        rr_mutex_unlock(&server->log_lock);
    }
    rr_buf_destroy(&line);
}

void rr_exchange_end(rr_exchange **exchange, bool sent) {
    rr_exchange *e = *exchange;
    if (e == NULL) {
        return;
    }
    rr_server *server = e->server;
    if (e->job != NULL && e->job->stream != NULL && sent && is_over(e)) {
        finish_job(e);
    } else if (e->job != NULL) {
        rr_exchange_gone(e);
    }
    tell(e, sent && !e->is_gone);
    atomic_fetch_sub(&server->held_bytes, e->held_bytes);
    atomic_fetch_sub(&server->n_ranking, e->counts);
    rr_serve_request_destroy(&e->request);
    rr_buf_destroy(&e->body);
    rr_buf_destroy(&e->reply.body);
    free(e);
    *exchange = NULL;
}
