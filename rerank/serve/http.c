#include "rerank/serve/http.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/socket.h"
#include "runtime/base/thread.h"

enum {
    N_THREADS = 4, /* that parse requests and write answers; none waits for a ranking */
    MOST_CONNECTIONS = 4096,
    IDLE_S = 120, /* many clients do not ask again when a kept connection was closed */
    HEADER_BYTES = 64 << 10,
    STREAM_BLOCK = 16 << 10,
    PEER_BYTES = 64
};
#define TICK_NS (UINT64_C(100) * 1000000)

/* One request of a connection. */
typedef struct http_request {
    rr_http *http;
    struct MHD_Connection *connection;
    rr_exchange *exchange;
    bool body_has_ended;
    /* under http->lock: */
    bool is_suspended; /* and in http->suspended */
    bool is_woken;     /* since it was last looked at */
    bool is_gone;      /* the client has closed */
    struct http_request *next, **link;
} http_request;

struct rr_http {
    rr_server *server;
    struct MHD_Daemon *daemon;
    rr_mutex lock;
    rr_cond ended;
    bool is_ending;
    rr_thread watcher;
    bool has_watcher;
    http_request *suspended;
    size_t n_suspended;
};

/* Waiting. A connection that waits is suspended: no thread looks at it until it is resumed. */

/* The lock is held. */
static void resume(http_request *request) {
    request->is_woken = true;
    if (request->is_suspended) {
        *request->link = request->next;
        if (request->next != NULL) {
            request->next->link = request->link;
        }
        request->http->n_suspended--;
        request->is_suspended = false;
        MHD_resume_connection(request->connection);
    }
}

static void on_wake(void *user) {
    http_request *request = user;
    rr_mutex_lock(&request->http->lock);
    resume(request);
    rr_mutex_unlock(&request->http->lock);
}

/* Waits for a wake, unless there was one since the last look. */
static void wait_for_wake(http_request *request) {
    rr_http *http = request->http;
    rr_mutex_lock(&http->lock);
    if (!request->is_woken) {
        MHD_suspend_connection(request->connection);
        request->is_suspended = true;
        request->next = http->suspended;
        request->link = &http->suspended;
        if (request->next != NULL) {
            request->next->link = &request->next;
        }
        http->suspended = request;
        http->n_suspended++;
    }
    request->is_woken = false;
    rr_mutex_unlock(&http->lock);
}

static bool is_gone(http_request *request) {
    rr_mutex_lock(&request->http->lock);
    const bool gone = request->is_gone;
    rr_mutex_unlock(&request->http->lock);
    return gone;
}

/* Nobody else looks at the sockets of suspended connections. The lock is held; it keeps them open:
 * only a resumed connection is closed. */
static void find_gone(rr_http *http) {
    const size_t n = http->n_suspended;
    int *sockets = calloc(n + 1, sizeof *sockets);
    bool *gone = calloc(n + 1, sizeof *gone);
    http_request **requests = calloc(n + 1, sizeof *requests);
    size_t i = 0;
    if (sockets != NULL && gone != NULL && requests != NULL) {
        for (http_request *request = http->suspended; request != NULL; request = request->next) {
            requests[i] = request;
            sockets[i++] =
                MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                    ->connect_fd;
        }
        rr_socket_find_gone(sockets, n, gone);
        for (i = 0; i < n; i++) {
            if (gone[i]) {
                requests[i]->is_gone = true;
                resume(requests[i]);
            }
        }
    }
    free(sockets);
    free(gone);
    free(requests);
}

static void watch(void *user) {
    rr_http *http = user;
    rr_mutex_lock(&http->lock);
    while (!http->is_ending) {
        if (!rr_cond_wait_until(&http->ended, &http->lock, rr_time_ns() + TICK_NS)) {
            find_gone(http);
            rr_mutex_unlock(&http->lock);
            rr_server_tick(http->server);
            rr_mutex_lock(&http->lock);
        }
    }
    rr_mutex_unlock(&http->lock);
}

/* Requests */

static const char *header_of(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static http_request *begin(
    rr_http *http, struct MHD_Connection *connection, const char *method, const char *path) {
    http_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    char peer[PEER_BYTES];
    rr_socket_peer(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, peer,
        sizeof peer);
    request->http = http;
    request->connection = connection;
    const rr_exchange_head head = {
        .method = method,
        .path = path,
        .headers = {.host = header_of(connection, MHD_HTTP_HEADER_HOST),
            .origin = header_of(connection, MHD_HTTP_HEADER_ORIGIN),
            .authorization = header_of(connection, MHD_HTTP_HEADER_AUTHORIZATION),
            .x_api_key = header_of(connection, "X-Api-Key")},
        .content_length = header_of(connection, MHD_HTTP_HEADER_CONTENT_LENGTH),
        .expect = header_of(connection, MHD_HTTP_HEADER_EXPECT),
        .peer = peer,
        .agent = header_of(connection, MHD_HTTP_HEADER_USER_AGENT),
        .wake = on_wake,
        .user = request,
    };
    request->exchange = rr_exchange_begin(http->server, &head);
    if (request->exchange == NULL) {
        free(request);
        return NULL;
    }
    return request;
}

static ssize_t read_stream(void *user, uint64_t position, char *out, size_t room) {
    http_request *request = user;
    (void)position;
    if (is_gone(request)) {
        rr_exchange_gone(request->exchange);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    bool over = false;
    const size_t n = rr_exchange_stream(request->exchange, out, room, &over);
    if (n > 0) {
        return (ssize_t)n;
    }
    if (over) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    wait_for_wake(request);
    return 0;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    if (value != NULL) {
        (void)MHD_add_response_header(response, name, value);
    }
}

static void add_headers(struct MHD_Response *response, const rr_http_reply *reply) {
    add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    add_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    add_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->retry_after_s != 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", reply->retry_after_s);
        add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (reply->status == 401) {
        add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    }
    if (reply->is_stream) {
        add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        add_header(response, "X-Accel-Buffering", "no"); /* nginx sends events as they come */
    }
    if (reply->allowed_origin != NULL) {
        add_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, reply->allowed_origin);
        add_header(response, MHD_HTTP_HEADER_VARY, "Origin");
        if (reply->is_preflight) {
            add_header(response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
            add_header(
                response, "Access-Control-Allow-Headers", "authorization, content-type, x-api-key");
            add_header(response, "Access-Control-Max-Age", "600");
        }
    }
}

static enum MHD_Result answer(http_request *request, const rr_http_reply *reply) {
    struct MHD_Response *response = reply->is_stream
        ? MHD_create_response_from_callback(
              MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, request, NULL)
        : MHD_create_response_from_buffer(
              reply->body.bytes, reply->body.data, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(response, reply);
    const enum MHD_Result queued = MHD_queue_response(request->connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Called with the header, with each piece of the body, at its end, and after a resumption. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *data, size_t *bytes, void **state) {
    http_request *request = *state;
    (void)version;
    if (request == NULL) {
        request = begin(user, connection, method, path);
        *state = request;
        if (request == NULL) {
            return MHD_NO;
        }
        const rr_http_reply *reply = rr_exchange_reply(request->exchange);
        return reply != NULL && reply->is_at_once ? answer(request, reply) : MHD_YES;
    }
    if (*bytes > 0) {
        const bool goes_on = rr_exchange_add(request->exchange, data, *bytes);
        *bytes = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    if (!request->body_has_ended) {
        request->body_has_ended = true;
        rr_exchange_body_end(request->exchange);
    }
    if (is_gone(request)) {
        rr_exchange_gone(request->exchange);
        return MHD_NO;
    }
    const rr_http_reply *reply = rr_exchange_reply(request->exchange);
    if (reply != NULL) {
        return answer(request, reply);
    }
    wait_for_wake(request);
    return MHD_YES;
}

static void on_completed(void *user, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode code) {
    http_request *request = *state;
    (void)user;
    (void)connection;
    if (request != NULL) {
        rr_exchange_end(&request->exchange, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
        free(request);
        *state = NULL;
    }
}

static void on_connection(void *user, struct MHD_Connection *connection, void **state,
    enum MHD_ConnectionNotificationCode code) {
    rr_http *http = user;
    (void)connection;
    (void)state;
    rr_server_count_connection(http->server, code == MHD_CONNECTION_NOTIFY_STARTED);
}

/* Life */

static rr_status start(rr_http *http, int listening, rr_diag *diag) {
    http->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0,
            NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, listening,
            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)N_THREADS, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_NOTIFY_COMPLETED,
            on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
    if (http->daemon == NULL) {
        rr_socket_close(listening);
        return rr_fail(diag, RR_E_INTERNAL, "libmicrohttpd could not start its threads");
    }
    http->has_watcher = rr_thread_start(&http->watcher, watch, http);
    return http->has_watcher ? RR_OK
                             : rr_fail(diag, RR_E_INTERNAL, "the system has no room for a thread");
}

rr_status rr_http_open(
    rr_server *server, const char *host, uint16_t *port, rr_http **out, rr_diag *diag) {
    int listening;
    RR_TRY(rr_socket_listen(host, port, &listening, diag));
    rr_http *http = calloc(1, sizeof *http);
    if (http == NULL || !rr_mutex_create(&http->lock) || !rr_cond_create(&http->ended)) {
        rr_socket_close(listening);
        rr_http_close(&http);
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a server");
    }
    http->server = server;
    const rr_status status = start(http, listening, diag);
    if (status != RR_OK) {
        rr_http_close(&http);
        return status;
    }
    *out = http;
    return RR_OK;
}

void rr_http_close(rr_http **http) {
    rr_http *h = *http;
    if (h == NULL) {
        return;
    }
    if (h->has_watcher) {
        rr_mutex_lock(&h->lock);
        h->is_ending = true;
        while (h->suspended != NULL) {
            h->suspended->is_gone = true;
            resume(h->suspended);
        }
        rr_cond_broadcast(&h->ended);
        rr_mutex_unlock(&h->lock);
        rr_thread_join(&h->watcher);
    }
    if (h->daemon != NULL) {
        MHD_stop_daemon(h->daemon); /* closes the socket, too */
    }
    rr_cond_destroy(&h->ended);
    rr_mutex_destroy(&h->lock);
    free(h);
    *http = NULL;
}
