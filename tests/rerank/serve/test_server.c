/* A server without sockets and without a model: what is judged from the header, answers, streams,
 * clients that go away and come back, drains. The ranker is a pretended one whose rankings end when
 * the test says so. */
#include "rerank/serve/server.h"
#include "tests/check.h"

enum { MOST = 8 };

/* A ranking of the pretended ranker: passages turned round, by one window. */
typedef struct made {
    rr_ranker_order order;
    bool is_over, is_cancelled, is_taken;
} made;

static struct {
    made rankings[MOST];
    size_t n;
    size_t n_waiting;  /* told by its stats */
    rr_status refuses; /* of the next start */
    bool ends_at_once; /* within start */
} ranker_state;

static void end_ranking(made *ranking) {
    ranking->is_over = true;
    ranking->order.on_over(ranking->order.user, ranking);
}

static rr_status made_start(void *user, const rr_ranker_order *order, void **out, rr_diag *diag) {
    (void)user;
    if (ranker_state.refuses != RR_OK) {
        return rr_fail(diag, ranker_state.refuses, "refused");
    }
    CHECK(ranker_state.n < MOST);
    made *ranking = &ranker_state.rankings[ranker_state.n++];
    *ranking = (made){.order = *order};
    *out = ranking;
    if (ranker_state.ends_at_once) {
        end_ranking(ranking);
    }
    return RR_OK;
}

static rr_status made_take(void *user, void **handle, rr_ranking *out, rr_diag *diag) {
    made *ranking = *handle;
    (void)user;
    CHECK(ranking->is_over && !ranking->is_taken);
    ranking->is_taken = true;
    *handle = NULL;
    if (ranking->is_cancelled) {
        return rr_fail(diag, RR_E_CANCELLED, "cancelled");
    }
    const size_t n = ranking->order.request->query.n;
    out->n = n;
    out->order = rr_arena_alloc(&out->arena, n + 1, sizeof *out->order);
    CHECK(out->order != NULL);
    for (size_t i = 0; i < n; i++) {
        out->order[i] = (uint32_t)(n - 1 - i);
    }
    return RR_OK;
}

static void made_cancel(void *user, void *handle) {
    made *ranking = handle;
    (void)user;
    CHECK(!ranking->is_over);
    ranking->is_cancelled = true;
    end_ranking(ranking); /* as a pool may, from within */
}

static void made_facts(void *user, rr_ranker_facts *out) {
    (void)user;
    *out = (rr_ranker_facts){.model = "m",
        .device = "d",
        .mode = RR_SERVE_MODE_STRICT,
        .n_workers = 1,
        .n_context = 100};
}

static void made_stats(void *user, rr_ranker_stats *out) {
    (void)user;
    *out = (rr_ranker_stats){.n_waiting = ranker_state.n_waiting};
}

static rr_serve_mode made_mode(void *user, const rr_serve_request *request, rr_prompt_form *form) {
    (void)user;
    *form = (rr_prompt_form){0};
    return request->wish.mode != RR_SERVE_MODE_DEFAULT ? request->wish.mode : RR_SERVE_MODE_STRICT;
}

static const rr_ranker ranker = {
    made_start, made_take, made_cancel, made_facts, made_stats, made_mode, NULL};

static char last_line[1024];
static void keep_line(void *user, const char *line, size_t bytes) {
    (void)user;
    snprintf(last_line, sizeof last_line, "%.*s", (int)bytes, line);
}

static rr_server *make_server(double linger_s) {
    rr_server *server = NULL;
    rr_diag diag = {0};
    const rr_server_params params = {.access = {.host = "127.0.0.1"},
        .max_body_bytes = 1000,
        .linger_s = linger_s,
        .log = keep_line};
    memset(&ranker_state, 0, sizeof ranker_state);
    CHECK_OK(rr_server_create(&params, &server, &diag), diag);
    rr_server_open(server, &ranker);
    return server;
}

static void end_server(rr_server *server) {
    rr_server_close(server);
    CHECK(rr_server_is_idle(server));
    rr_server_destroy(&server);
    for (size_t i = 0; i < ranker_state.n; i++) {
        CHECK(ranker_state.rankings[i].is_taken);
    }
}

static int n_wakes;
static void on_wake(void *user) {
    (void)user;
    n_wakes++;
}

static rr_exchange *begin(rr_server *server, const char *method, const char *path) {
    const rr_exchange_head head = {.method = method,
        .path = path,
        .headers = {.host = "127.0.0.1:80"},
        .peer = "127.0.0.1",
        .wake = on_wake};
    rr_exchange *exchange = rr_exchange_begin(server, &head);
    CHECK(exchange != NULL);
    return exchange;
}

static rr_exchange *post(rr_server *server, const char *path, const char *body) {
    rr_exchange *exchange = begin(server, "POST", path);
    const size_t half = strlen(body) / 2;
    CHECK(rr_exchange_add(exchange, body, half));
    CHECK(rr_exchange_add(exchange, body + half, strlen(body) - half));
    rr_exchange_body_end(exchange);
    return exchange;
}

static void replies(rr_exchange *exchange, unsigned status, const char *words) {
    const rr_http_reply *reply = rr_exchange_reply(exchange);
    CHECK(reply != NULL);
    if (reply != NULL) {
        CHECK_MSG(reply->status == status && strstr(reply->body.data, words) != NULL,
            "found %u %s, expected %u with %s", reply->status, reply->body.data, status, words);
    }
}

static const char request[] = "{\"query\":\"q\",\"documents\":[\"a\",\"b\"]}";

static void test_pages(void) {
    rr_server *server = make_server(0);
    static const struct {
        const char *path, *words;
    } pages[] = {{"/health", "\"ok\""}, {"/ready", "\"ok\""}, {"/v1/models", "\"id\":\"m\""},
        {"/info", "\"model_id\":\"m\""}, {"/metrics", "rearank_ready 1"},
        {"/openapi.json", "\"openapi\": \"3.1.0\""}};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        rr_exchange *exchange = begin(server, "GET", pages[i].path);
        replies(exchange, 200, pages[i].words);
        rr_exchange_end(&exchange, true);
    }
    rr_exchange *exchange = begin(server, "GET", "/v1/rerank");
    replies(exchange, 405, "POST");
    CHECK_TEXT(rr_exchange_reply(exchange)->allow, "POST, OPTIONS");
    rr_exchange_end(&exchange, true);
    end_server(server);
}

static void test_loading(void) {
    rr_server *server = NULL;
    rr_diag diag = {0};
    const rr_server_params open = {.access = {.host = "0.0.0.0"}};
    CHECK_INT(rr_server_create(&open, &server, &diag), RR_E_USAGE);
    CHECK(strstr(diag.text, "API key") != NULL);
    const rr_server_params params = {.access = {.host = "localhost"}};
    CHECK_OK(rr_server_create(&params, &server, &diag), diag);
    rr_exchange *exchange = begin(server, "POST", "/rerank");
    replies(exchange, 503, "loaded");
    CHECK(rr_exchange_reply(exchange)->retry_after_s > 0);
    rr_exchange_end(&exchange, true);
    exchange = begin(server, "GET", "/health");
    replies(exchange, 200, "ok");
    rr_exchange_end(&exchange, true);
    rr_server_close(server);
    rr_server_destroy(&server);
}

static void test_lengths(void) {
    rr_server *server = make_server(0);
    rr_exchange_head head = {.method = "POST",
        .path = "/rerank",
        .headers = {.host = "localhost"},
        .content_length = "10737418240",
        .wake = on_wake};
    rr_exchange *exchange = rr_exchange_begin(server, &head);
    replies(exchange, 413, "more than the 1000 bytes");
    CHECK(rr_exchange_reply(exchange)->is_at_once);
    rr_exchange_end(&exchange, true);
    head.content_length = "2000";
    exchange = rr_exchange_begin(server, &head);
    replies(exchange, 413, "more than the 1000 bytes");
    CHECK(!rr_exchange_reply(exchange)->is_at_once);
    rr_exchange_end(&exchange, true);
    head.expect = "100-continue";
    exchange = rr_exchange_begin(server, &head);
    CHECK(rr_exchange_reply(exchange)->is_at_once);
    head.expect = NULL;
    rr_exchange_end(&exchange, true);
    head.content_length = "99999999999999999999999999";
    exchange = rr_exchange_begin(server, &head);
    replies(exchange, 413, "1000");
    rr_exchange_end(&exchange, true);
    head.content_length = NULL;
    static const char block[600] = {0};
    exchange = rr_exchange_begin(server, &head);
    CHECK(rr_exchange_add(exchange, block, sizeof block));
    CHECK(rr_exchange_add(exchange, block, sizeof block));
    replies(exchange, 413, "1000");
    bool goes_on = true;
    for (int i = 0; i < 8; i++) {
        goes_on = rr_exchange_add(exchange, block, sizeof block);
    }
    CHECK(!goes_on);
    rr_exchange_end(&exchange, false);
    end_server(server);
}

static void test_answers(void) {
    rr_server *server = make_server(0);
    rr_exchange *exchange = post(server, "/v1/rerank", request);
    CHECK(rr_exchange_reply(exchange) == NULL && !rr_server_is_idle(server));
    n_wakes = 0;
    end_ranking(&ranker_state.rankings[0]);
    CHECK_INT(n_wakes, 1);
    replies(exchange, 200, "\"results\":[{\"index\":1,\"relevance_score\":1}");
    rr_exchange_end(&exchange, true);
    CHECK(rr_server_is_idle(server));
    CHECK_MSG(strstr(last_line, "\"route\":\"rerank\",\"status\":200") != NULL &&
            strstr(last_line, "\"mode\":\"strict\",\"documents\":2") != NULL &&
            strstr(last_line, "\"q\"") == NULL,
        "%s", last_line);
    ranker_state.ends_at_once = true;
    exchange = post(server, "/rerank", "{\"query\":\"q\",\"texts\":[\"a\",\"\"]}");
    replies(exchange, 200, "[{\"index\":0,\"score\":1},{\"index\":1,");
    rr_exchange_end(&exchange, true);
    exchange = post(server, "/rerank", "{\"query\":\"q\",\"texts\":[]}");
    replies(exchange, 400, "\"error_type\":\"Empty\"");
    rr_exchange_end(&exchange, true);
    ranker_state.refuses = RR_E_BUSY;
    exchange = post(server, "/rerank", request);
    replies(exchange, 429, "wait already");
    CHECK(rr_exchange_reply(exchange)->retry_after_s > 0);
    rr_exchange_end(&exchange, true);
    exchange = post(server, "/rerank", "{\"query\":\"q\",\"texts\":[\"a\"]}");
    replies(exchange, 429, "\"error_type\":\"Overloaded\"");
    rr_exchange_end(&exchange, true);
    ranker_state.refuses = RR_E_DEVICE;
    exchange = post(server, "/rerank", request);
    replies(exchange, 500, "server_error");
    rr_exchange_end(&exchange, true);
    end_server(server);
}

/* A client that hangs up and asks the same again gets the ranking that went on. */
static void test_repeats(void) {
    rr_server *server = make_server(1000);
    rr_exchange *exchange = post(server, "/v1/rerank", request);
    rr_exchange_gone(exchange);
    rr_exchange_end(&exchange, false);
    CHECK_MSG(strstr(last_line, "\"status\":0") != NULL, "%s", last_line);
    rr_server_tick(server);
    CHECK(!ranker_state.rankings[0].is_cancelled);
    exchange = post(server, "/rerank", "{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":1}");
    CHECK_INT(ranker_state.n, 1);
    CHECK(rr_exchange_reply(exchange) == NULL);
    end_ranking(&ranker_state.rankings[0]);
    replies(exchange, 200, "\"results\":[{\"index\":1,\"relevance_score\":1}],");
    rr_exchange_end(&exchange, true);
    CHECK(strstr(last_line, "\"repeat\":true") != NULL);
    /* and one that is finished meanwhile; another question is another ranking */
    exchange = post(server, "/v1/rerank", request);
    rr_exchange_gone(exchange);
    rr_exchange_end(&exchange, false);
    end_ranking(&ranker_state.rankings[1]);
    rr_server_tick(server);
    rr_exchange *other =
        post(server, "/v1/rerank", "{\"query\":\"other\",\"documents\":[\"a\",\"b\"]}");
    CHECK_INT(ranker_state.n, 3);
    CHECK(rr_exchange_reply(other) == NULL);
    exchange = post(server, "/v1/rerank", request);
    replies(exchange, 200, "\"index\":1");
    rr_exchange_end(&exchange, true);
    /* once it was given it is gone */
    exchange = post(server, "/v1/rerank", request);
    CHECK_INT(ranker_state.n, 4);
    rr_exchange_gone(exchange);
    rr_exchange_end(&exchange, false);
    /* when others wait, what nobody waits for ends */
    ranker_state.n_waiting = 1;
    rr_server_tick(server);
    CHECK(ranker_state.rankings[3].is_cancelled && !ranker_state.rankings[2].is_cancelled);
    rr_exchange_gone(other);
    rr_exchange_end(&other, false);
    end_server(server);
}

static void test_no_linger(void) {
    rr_server *server = make_server(-1);
    rr_exchange *exchange = post(server, "/v1/rerank", request);
    rr_exchange_gone(exchange);
    CHECK(ranker_state.rankings[0].is_cancelled);
    rr_exchange_end(&exchange, false);
    CHECK(rr_server_is_idle(server));
    end_server(server);
}

static void read_all(rr_exchange *exchange, char *out, size_t room, bool *over) {
    size_t used = 0, n;
    do {
        n = rr_exchange_stream(exchange, out + used, 7 < room - used ? 7 : room - used, over);
        used += n;
    } while (n > 0 && used + 1 < room);
    out[used] = '\0';
}

static void test_stream(void) {
    rr_server *server = make_server(0);
    static char text[8192];
    bool over = true;
    rr_exchange *exchange = post(server, "/v1/rank/stream", request);
    CHECK(rr_exchange_reply(exchange) != NULL && rr_exchange_reply(exchange)->is_stream);
    read_all(exchange, text, sizeof text, &over);
    CHECK_MSG(!over && strncmp(text, "event: start\ndata: {\"id\":", 25) == 0, "%s", text);
    const uint32_t order[] = {0, 1}, turned[] = {2, 1}, standing[] = {1, 0};
    const rr_call call = {
        .index = 0, .n_calls = 1, .order = order, .n = 2, .standing = standing, .n_standing = 2};
    const rr_ranker_order *heard = &ranker_state.rankings[0].order;
    n_wakes = 0;
    heard->on_text(heard->user, &call, "", 0, 0);
    heard->on_text(heard->user, &call, "[2] \"is\"\n", 9, 3);
    const rr_window_result result = {.window = {0, 2},
        .passages = order,
        .permutation = turned,
        .n = 2,
        .reasoning = {"", 0},
        .answer = {"", 0}};
    heard->on_window(heard->user, &call, &result);
    CHECK_INT(n_wakes, 3);
    read_all(exchange, text, sizeof text, &over);
    CHECK_MSG(!over &&
            strstr(text,
                "event: window\ndata: {\"window\":0,\"windows\":1,\"documents\":[0,1]}\n\n"
                "event: text\ndata: {\"window\":0,\"text\":\"[2] \\\"is\\\"\\u000a\",\"tokens\":3}\n\n"
                "event: done\ndata: {\"window\":0,\"result\":{\"begin\":0,") == text &&
            strstr(text, "event: order\ndata: {\"order\":[1,0]}\n\n") != NULL,
        "%s", text);
    end_ranking(&ranker_state.rankings[0]);
    read_all(exchange, text, sizeof text, &over);
    CHECK_MSG(over && strncmp(text, "event: ranking\ndata: {\"id\":", 27) == 0, "%s", text);
    rr_exchange_end(&exchange, true);
    /* closing it ends the work, and no repeat gets it */
    exchange = post(server, "/v1/rank/stream", request);
    rr_exchange_gone(exchange);
    CHECK(ranker_state.rankings[1].is_cancelled);
    rr_exchange_end(&exchange, false);
    end_server(server);
}

static void test_drain(void) {
    rr_server *server = make_server(0);
    rr_exchange *exchange = post(server, "/v1/rerank", request);
    rr_server_drain(server);
    rr_exchange *late = begin(server, "POST", "/v1/rerank");
    replies(late, 503, "about to end");
    rr_exchange_end(&late, true);
    late = begin(server, "GET", "/ready");
    replies(late, 503, "about to end");
    rr_exchange_end(&late, true);
    CHECK(!rr_server_is_idle(server));
    end_ranking(&ranker_state.rankings[0]);
    replies(exchange, 200, "\"results\"");
    rr_exchange_end(&exchange, true);
    CHECK(rr_server_is_idle(server));
    end_server(server);
}

int main(void) {
    test_pages();
    test_loading();
    test_lengths();
    test_answers();
    test_repeats();
    test_no_linger();
    test_stream();
    test_drain();
    return CHECK_END();
}
