/* A rerank server without its sockets: from a request's header and body to an answer or a stream.
 * Owns: what is judged from the header alone, rankings in progress and those whose client went
 * away, deadlines, limits, counters, the log. Does not own HTTP (rerank/serve/http.h), the shapes
 * of requests and answers (request.h, answer.h), nor how a ranking is made (ranker.h).
 *
 * One HTTP request is an exchange:
 *
 *     rr_exchange_begin ─▶ reply (refused from the header alone, or a GET)
 *           │ body: rr_exchange_add …, rr_exchange_body_end
 *           ▼
 *        waiting ─ wake ─▶ reply, or a stream to be read
 *           └ rr_exchange_gone: the client has closed
 *
 * and ends with rr_exchange_end. An exchange is used by one thread at a time, but for `wake`.
 *
 * A ranking whose client has gone goes on for `linger_s`, as long as nobody else waits for its
 * place, and is kept for a while when it is finished: some clients hang up after five seconds and
 * ask the same again. Streams end at once. */
#ifndef RR_RERANK_SERVE_SERVER_H
#define RR_RERANK_SERVE_SERVER_H

#include "rerank/serve/access.h"
#include "rerank/serve/ranker.h"
#include "rerank/serve/route.h"

typedef struct rr_server rr_server;
typedef struct rr_exchange rr_exchange;

/* Zero values mean the defaults. Texts are borrowed. */
typedef struct rr_server_params {
    rr_access access;
    size_t max_documents;  /* 0 = 1000 */
    size_t max_body_bytes; /* 0 = 32 MiB */
    size_t max_held_bytes; /* of all bodies in progress; 0 = 512 MiB */
    double deadline_s;     /* from request to answer; 0 = none */
    double linger_s;       /* below 0 = none, 0 = 10 */
    /* A line for each request, with its end; from any thread, one at a time. NULL = none. */
    void (*log)(void *user, const char *line, size_t bytes);
    void *user;
} rr_server_params;

/* Errors: RR_E_USAGE when it would listen to others without a key; RR_E_MEMORY. */
rr_status rr_server_create(const rr_server_params *params, rr_server **out, rr_diag *diag);
/* All exchanges must have ended. Accepts NULL. */
void rr_server_destroy(rr_server **server);

/* From now on rankings are taken; the ranker is borrowed until rr_server_close. */
void rr_server_open(rr_server *server, const rr_ranker *ranker);
/* From now on nothing new is taken: 503. What was taken is finished. */
void rr_server_drain(rr_server *server);
/* No exchange waits for a ranking; after rr_server_drain none will. */
bool rr_server_is_idle(rr_server *server);
/* Cancels all that runs and waits until the ranker has let go of it. */
void rr_server_close(rr_server *server);

/* To be called some ten times a second: lets go of rankings whose client has been gone too long,
 * and keeps streams alive. */
void rr_server_tick(rr_server *server);

/* A request's line and header, borrowed for the call. */
typedef struct rr_exchange_head {
    const char *method, *path;
    rr_access_headers headers;
    const char *content_length; /* NULL = not given */
    const char *expect;         /* of a client that sends the body once it is told to; or NULL */
    const char *peer;           /* the client's address */
    const char *agent;          /* User-Agent, or NULL */
    /* Called when an exchange that waits has got its reply, or its stream has more; from any
     * thread; it must not call the server. */
    void (*wake)(void *user);
    void *user;
} rr_exchange_head;

/* Lives as long as the exchange. */
typedef struct rr_http_reply {
    unsigned status;
    const char *content_type;
    const char *allow;          /* header of 405; NULL = none */
    const char *allowed_origin; /* a page from elsewhere that may read this; NULL = none */
    bool is_preflight;          /* tells such a page what it may send */
    unsigned retry_after_s;     /* 0 = none */
    bool is_stream;             /* the body is read by rr_exchange_stream */
    /* A refusal to be sent before the request's body was read. Others wait for the body, which is
     * dropped: the connection stays of use, and a client that sends all before it reads sees the
     * answer and no broken pipe. */
    bool is_at_once;
    rr_buf body;
} rr_http_reply;

/* NULL when out of memory. */
rr_exchange *rr_exchange_begin(rr_server *server, const rr_exchange_head *head);
/* The reply, once it is known; NULL before. */
const rr_http_reply *rr_exchange_reply(rr_exchange *exchange);
/* A piece of the body. False = far more than it may be: the connection should be closed. */
bool rr_exchange_add(rr_exchange *exchange, const char *data, size_t bytes);
/* The body is whole; there is a reply afterwards, or `wake` will be called. */
void rr_exchange_body_end(rr_exchange *exchange);
/* Copies of the stream what is there; 0 = nothing now, `wake` will be called; *over = it ends. */
size_t rr_exchange_stream(rr_exchange *exchange, char *out, size_t room, bool *over);
/* The client has closed the connection. */
void rr_exchange_gone(rr_exchange *exchange);
/* Frees it; `sent` = the answer went out whole. Accepts NULL. */
void rr_exchange_end(rr_exchange **exchange, bool sent);
/* For the metrics: a connection was opened, or closed. */
void rr_server_count_connection(rr_server *server, bool opened);

#endif
