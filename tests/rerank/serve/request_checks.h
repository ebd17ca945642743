/* What the tests of rerank/serve share: requests out of literal texts. */
#ifndef RR_TESTS_RERANK_SERVE_REQUEST_CHECKS_H
#define RR_TESTS_RERANK_SERVE_REQUEST_CHECKS_H

#include "rerank/serve/request.h"
#include "tests/check.h"

/* As rr_serve_request_read, of a text that is not changed. */
static inline bool check_read_copy(const char *text, rr_serve_request *request, rr_fault *fault) {
    static const rr_serve_limits limits = {.max_documents = 1000};
    const size_t bytes = strlen(text);
    char *body = malloc(bytes + 1);
    if (body == NULL) {
        return rr_fault_set(fault, 503, "out of memory");
    }
    memcpy(body, text, bytes + 1);
    const bool ok = rr_serve_request_read(body, bytes, &limits, request, fault);
    free(body);
    return ok;
}

/* A request that must be read; the caller destroys it. */
static inline rr_serve_request check_request(const char *text) {
    rr_serve_request request = {0};
    rr_fault fault = {0};
    const bool ok = check_read_copy(text, &request, &fault);
    CHECK_MSG(ok, "%s: status %u: %s", text, fault.status, fault.text);
    return request;
}

#endif
