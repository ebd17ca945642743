/* Who may use a server: hosts, origins, keys; its addresses; its metrics. */
#include "rerank/serve/access.h"
#include "rerank/serve/metrics.h"
#include "rerank/serve/route.h"
#include "tests/check.h"

static const rr_access local = {.host = "127.0.0.1"};

static bool takes_host(const rr_access *access, const char *host) {
    rr_fault fault = {0};
    const bool ok = rr_access_host(access, &(rr_access_headers){.host = host}, &fault);
    CHECK(ok == (fault.status == 0) && (ok || fault.status == 403));
    return ok;
}

static void test_hosts(void) {
    static const char *const good[] = {"127.0.0.1", "127.0.0.1:8080", "localhost", "LocalHost:1",
        "[::1]", "[::1]:8080", "127.9.9.9:80"};
    static const char *const bad[] = {"rebound.example:8080", "127.0.0.1.evil.example", "evil", "",
        ":8080", "localhost.evil:80", "127.0.0.1:80:80", "[::1", "[::1]x", "10.0.0.1", "127.evil",
        "localhost@evil", "localhost:80a"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK_MSG(takes_host(&local, good[i]), "%s is refused", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_MSG(!takes_host(&local, bad[i]), "%s is taken", bad[i]);
    }
    CHECK(takes_host(&local, NULL));
    static const char *const names[] = {"rank.example"}, *const keys[] = {"k"};
    const rr_access named = {.host = "127.0.0.1", .names = names, .n_names = 1};
    CHECK(takes_host(&named, "Rank.Example:443") && !takes_host(&named, "other.example"));
    const rr_access wide = {.host = "0.0.0.0", .keys = keys, .n_keys = 1};
    CHECK(takes_host(&wide, "any.example"));
    const rr_access strict = {
        .host = "0.0.0.0", .keys = keys, .n_keys = 1, .names = names, .n_names = 1};
    CHECK(takes_host(&strict, "rank.example") && !takes_host(&strict, "any.example"));
    const rr_access keyed = {.host = "localhost", .keys = keys, .n_keys = 1};
    CHECK(!takes_host(&keyed, "any.example"));
    CHECK(rr_access_is_loopback("::1") && !rr_access_is_loopback("0.0.0.0"));
}

static void test_origins(void) {
    static const char *const origins[] = {"https://app.example"};
    const rr_access access = {.host = "127.0.0.1", .origins = origins, .n_origins = 1};
    const struct {
        const char *origin;
        bool ok, named;
    } rows[] = {{NULL, true, false}, {"http://127.0.0.1:8080", true, false},
        {"https://127.0.0.1:8080", true, false}, {"https://app.example", true, true},
        {"https://elsewhere.example", false, false}, {"null", false, false}, {"", false, false},
        {"http://127.0.0.1:9090", false, false}, {"https://app.example.evil", false, false},
        {"http://", false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rr_fault fault = {0};
        const char *allowed = "?";
        const rr_access_headers headers = {.host = "127.0.0.1:8080", .origin = rows[i].origin};
        const bool ok = rr_access_origin(&access, &headers, &allowed, &fault);
        CHECK_MSG(ok == rows[i].ok && (allowed != NULL) == rows[i].named, "origin %s",
            rows[i].origin != NULL ? rows[i].origin : "none");
        CHECK(ok || fault.status == 403);
    }
}

static void test_keys(void) {
    static const char *const keys[] = {"first", "second"};
    const rr_access access = {.host = "127.0.0.1", .keys = keys, .n_keys = 2};
    const struct {
        const char *authorization, *x_api_key;
        int index; /* −1 = refused */
    } rows[] = {{"Bearer first", NULL, 0}, {"bearer second", NULL, 1}, {"second", NULL, 1},
        {"BEARER  first ", NULL, 0}, {NULL, "second", 1}, {"Bearer None", "first", 0},
        {NULL, NULL, -1}, {"", NULL, -1}, {"Bearer", NULL, -1}, {"Bearer ", NULL, -1},
        {"Bearer firs", NULL, -1}, {"Bearer firstfirst", NULL, -1}, {"Basic first", NULL, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rr_fault fault = {0};
        size_t index = 99;
        const rr_access_headers headers = {
            .authorization = rows[i].authorization, .x_api_key = rows[i].x_api_key};
        const bool ok = rr_access_key(&access, &headers, &index, &fault);
        CHECK_MSG(ok == (rows[i].index >= 0) && (!ok || (int)index == rows[i].index), "row %zu", i);
        CHECK(ok || fault.status == 401);
    }
    rr_fault fault = {0};
    size_t index;
    CHECK(rr_access_key(
        &local, &(rr_access_headers){.authorization = "Bearer None"}, &index, &fault));
}

static void test_routes(void) {
    rr_fault fault = {0};
    CHECK_INT(rr_route_find("POST", "/v1/rerank", &fault), RR_ROUTE_RERANK);
    CHECK_INT(rr_route_find("POST", "/v1/rerank/", &fault), RR_ROUTE_RERANK);
    CHECK_INT(rr_route_find("POST", "/v2/rerank", &fault), RR_ROUTE_RERANK);
    CHECK_INT(rr_route_find("POST", "/v1/rank/stream", &fault), RR_ROUTE_STREAM);
    CHECK_INT(rr_route_find("GET", "/health", &fault), RR_ROUTE_HEALTH);
    CHECK_INT(rr_route_find("HEAD", "/info", &fault), RR_ROUTE_INFO);
    CHECK_INT(rr_route_find("OPTIONS", "/rerank", &fault), RR_ROUTE_OPTIONS);
    CHECK_INT(fault.status, 0);
    CHECK_INT(rr_route_find("GET", "/v1/rerank", &fault), RR_ROUTE_NONE);
    CHECK(fault.status == 405 && strstr(fault.allow, "POST") != NULL);
    fault = (rr_fault){0};
    CHECK_INT(rr_route_find("POST", "/v3/rerank", &fault), RR_ROUTE_NONE);
    CHECK(fault.status == 404 && strstr(fault.text, "POST /v1/rerank") != NULL &&
        strstr(fault.text, "GET /openapi.json") != NULL);
    CHECK(rr_route_is_free(RR_ROUTE_HEALTH) && !rr_route_is_free(RR_ROUTE_METRICS));
    CHECK(rr_route_is_post(RR_ROUTE_STREAM) && !rr_route_is_post(RR_ROUTE_INFO));
}

static void test_metrics(void) {
    static rr_metrics metrics;
    rr_buf out = {0};
    rr_metrics_request(&metrics, RR_ROUTE_RERANK, 200);
    rr_metrics_request(&metrics, RR_ROUTE_RERANK, 404);
    rr_metrics_request(&metrics, RR_ROUTE_RERANK, 0);
    const rr_serve_usage usage = {.prompt_tokens = 60, .computed_tokens = 50, .n_late = 1};
    rr_metrics_ranking(&metrics, 20, 2, &usage, 2000000000);
    rr_metrics_write(&metrics, &(rr_metrics_now){.queued = 3, .ready = true}, &out);
    CHECK(
        strstr(out.data, "\nrearank_requests_total{route=\"rerank\",status=\"2xx\"} 1\n") != NULL);
    CHECK(
        strstr(out.data, "\nrearank_requests_total{route=\"rerank\",status=\"gone\"} 1\n") != NULL);
    CHECK(strstr(out.data, "\nrearank_computed_tokens_total 50\n") != NULL);
    CHECK(strstr(out.data, "\nrearank_rankings_late_total 1\n") != NULL);
    CHECK(strstr(out.data, "\nrearank_ranking_seconds_bucket{le=\"1\"} 0\n") != NULL);
    CHECK(strstr(out.data, "\nrearank_ranking_seconds_bucket{le=\"3\"} 1\n") != NULL);
    CHECK(strstr(out.data, "\nrearank_ranking_seconds_bucket{le=\"+Inf\"} 1\n") != NULL);
    CHECK(strstr(out.data, "\nrearank_queued 3\n") != NULL);
    rr_buf_destroy(&out);
}

int main(void) {
    test_hosts();
    test_origins();
    test_keys();
    test_routes();
    test_metrics();
    return CHECK_END();
}
