#include "rerank/serve/route.h"

#include <string.h>

typedef struct route_row {
    const char *path;
    bool is_post;
    rr_route route;
} route_row;

static const route_row rows[] = {
    {"/v1/rerank", true, RR_ROUTE_RERANK},
    {"/v2/rerank", true, RR_ROUTE_RERANK},
    {"/rerank", true, RR_ROUTE_RERANK},
    {"/v1/reranking", true, RR_ROUTE_RERANK},
    {"/reranking", true, RR_ROUTE_RERANK},
    {"/v1/rank/stream", true, RR_ROUTE_STREAM},
    {"/health", false, RR_ROUTE_HEALTH},
    {"/ready", false, RR_ROUTE_READY},
    {"/v1/models", false, RR_ROUTE_MODELS},
    {"/info", false, RR_ROUTE_INFO},
    {"/metrics", false, RR_ROUTE_METRICS},
    {"/openapi.json", false, RR_ROUTE_OPENAPI},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

const char *rr_route_name(rr_route route) {
    static const char *const names[] = {[RR_ROUTE_NONE] = "none",
        [RR_ROUTE_RERANK] = "rerank",
        [RR_ROUTE_STREAM] = "stream",
        [RR_ROUTE_HEALTH] = "health",
        [RR_ROUTE_READY] = "ready",
        [RR_ROUTE_MODELS] = "models",
        [RR_ROUTE_INFO] = "info",
        [RR_ROUTE_METRICS] = "metrics",
        [RR_ROUTE_OPENAPI] = "openapi",
        [RR_ROUTE_OPTIONS] = "options"};
    _Static_assert(sizeof names / sizeof names[0] == RR_ROUTE_COUNT, "one name a route");
    return names[route];
}

bool rr_route_is_free(rr_route route) {
    return route == RR_ROUTE_HEALTH || route == RR_ROUTE_READY || route == RR_ROUTE_OPTIONS;
}

bool rr_route_is_post(rr_route route) {
    return route == RR_ROUTE_RERANK || route == RR_ROUTE_STREAM;
}

static void append(rr_fault *fault, const char *text) {
    const size_t used = strlen(fault->text), room = sizeof fault->text - used - 1;
    strncat(fault->text, text, room);
}

static rr_route is_unknown(const char *path, rr_fault *fault) {
    rr_fault_set(fault, 404, "there is no \"%.100s\" here, but", path);
    for (size_t i = 0; i < N_ROWS; i++) {
        append(fault, i == 0 ? " " : ", ");
        append(fault, rows[i].is_post ? "POST " : "GET ");
        append(fault, rows[i].path);
    }
    return RR_ROUTE_NONE;
}

rr_route rr_route_find(const char *method, const char *path, rr_fault *fault) {
    size_t bytes = strlen(path);
    while (bytes > 1 && path[bytes - 1] == '/') {
        bytes--;
    }
    const bool is_post = strcmp(method, "POST") == 0;
    const bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strlen(rows[i].path) != bytes || memcmp(rows[i].path, path, bytes) != 0) {
            continue;
        }
        if (strcmp(method, "OPTIONS") == 0) {
            return RR_ROUTE_OPTIONS;
        }
        if (rows[i].is_post ? is_post : is_get) {
            return rows[i].route;
        }
        fault->allow = rows[i].is_post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
        rr_fault_set(fault, 405, "%s %s: found method %.20s, expected %s", rows[i].path,
            rows[i].is_post ? "ranks" : "tells", method, rows[i].is_post ? "POST" : "GET");
        return RR_ROUTE_NONE;
    }
    return is_unknown(path, fault);
}
