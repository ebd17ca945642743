/* Hostile rerank requests: read, with an answer that is JSON, names every document once and has
 * falling scores; or refused with a status of the client's and a body that is JSON. */
#include <stdlib.h>
#include <string.h>

#include "rerank/serve/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

static void must_be_json(const rr_buf *text) {
    must(!text->failed);
    yyjson_doc *doc = yyjson_read(text->data, text->bytes, 0);
    must(doc != NULL);
    yyjson_doc_free(doc);
}

static void check_results(const rr_serve_request *request, const rr_ranking *ranking) {
    rr_serve_result *results = calloc(request->n, sizeof *results);
    bool *seen = calloc(request->n, sizeof *seen);
    must(results != NULL && seen != NULL);
    rr_serve_results(request, ranking, results);
    for (size_t i = 0; i < request->n; i++) {
        must(results[i].index < request->n && !seen[results[i].index]);
        must(results[i].score > 0.0 && results[i].score <= 1.0);
        must(i == 0 || results[i].score < results[i - 1].score);
        seen[results[i].index] = true;
    }
    free(results);
    free(seen);
}

static void answer(const rr_serve_request *request) {
    const rr_serve_made_by made_by = {.id = "i", .model = "m", .device = "d", .mode = "read"};
    rr_ranking ranking = {.n = request->query.n};
    rr_buf out = {0};
    rr_diag diag = {0};
    ranking.order = calloc(ranking.n + 1, sizeof *ranking.order);
    must(ranking.order != NULL);
    for (size_t i = 0; i < ranking.n; i++) {
        ranking.order[i] = (uint32_t)(ranking.n - 1 - i);
        must(request->query.passages[i].text.bytes > 0 ||
            request->query.passages[i].title.bytes > 0);
    }
    check_results(request, &ranking);
    must(rr_serve_answer(request, &ranking, &made_by, &out, &diag) == RR_OK);
    must_be_json(&out);
    rr_buf_destroy(&out);
    free(ranking.order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const rr_serve_limits limits = {.max_documents = 64};
    rr_serve_request request = {0};
    rr_fault fault = {0};
    char *body = malloc(size > 0 ? size : 1);
    must(body != NULL);
    memcpy(body, data, size);
    if (rr_serve_request_read(body, size, &limits, &request, &fault)) {
        must(fault.status == 0 && request.n >= 1 && request.n <= 64);
        must(request.top_n >= 1 && request.top_n <= request.n && request.query.n <= request.n);
        must(rr_serve_request_is_same(&request, &request));
        answer(&request);
    } else {
        rr_buf out = {0};
        must(fault.status >= 400 && fault.status < 500 && fault.text[0] != '\0');
        rr_fault_body(&fault, &out);
        must_be_json(&out);
        rr_buf_destroy(&out);
    }
    rr_serve_request_destroy(&request);
    free(body);
    return 0;
}
