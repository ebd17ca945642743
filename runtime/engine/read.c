/* Owns: what may be asked, and how far a prompt is computed for it. */
#include "runtime/engine/read.h"

#include <string.h>

#include "runtime/engine/scheduler.h"

uint32_t rr_reading_n_layers(const rr_reading *reading) {
    uint32_t n = reading->n_rows > 0 ? reading->end_layer : 0;
    if (reading->n_states > 0 && reading->n_state_layers > 0 &&
        reading->state_layers[reading->n_state_layers - 1] > n) {
        n = reading->state_layers[reading->n_state_layers - 1];
    }
    return n;
}

static bool ascends(const uint32_t *values, uint32_t n, uint32_t limit) {
    for (uint32_t i = 0; i < n; i++) {
        if (values[i] >= limit || (i > 0 && values[i] <= values[i - 1])) {
            return false;
        }
    }
    return true;
}

static rr_status check_attention(
    const rr_engine *engine, const rr_reading *r, size_t n, rr_diag *diag) {
    const uint32_t n_layers = engine->model->config.n_layers;
    if (r->n_rows > RR_READ_ROWS || r->n_spans > RR_READ_SPANS) {
        return rr_fail(diag, RR_E_USAGE, "a reading of %u rows and %u spans: at most %d and %d",
            r->n_rows, r->n_spans, RR_READ_ROWS, RR_READ_SPANS);
    }
    if (r->n_rows == 0) {
        return RR_OK;
    }
    if (r->first_layer >= r->end_layer || r->end_layer > n_layers) {
        return rr_fail(diag, RR_E_USAGE, "a reading of layers %u to %u: this model has %u",
            r->first_layer, r->end_layer, n_layers);
    }
    bool good = r->n_spans > 0 && r->mass != NULL && (r->factors == NULL || r->drawn != NULL) &&
        ascends(r->rows, r->n_rows, (uint32_t)n);
    for (uint32_t i = 0; i < r->n_spans && good; i++) {
        good = r->spans[i].begin <= r->spans[i].end && r->spans[i].end <= n;
    }
    return good
        ? RR_OK
        : rr_fail(diag, RR_E_USAGE,
              "a reading's rows must ascend, and rows and spans lie in a prompt of %zu tokens", n);
}

static rr_status check_states(
    const rr_engine *engine, const rr_reading *r, size_t n, rr_diag *diag) {
    const uint32_t n_layers = engine->model->config.n_layers;
    if (r->n_states > RR_READ_SPANS || r->n_state_layers > RR_READ_LAYERS) {
        return rr_fail(diag, RR_E_USAGE,
            "hidden states of %u tokens behind %u layers: at most %d and %d", r->n_states,
            r->n_state_layers, RR_READ_SPANS, RR_READ_LAYERS);
    }
    bool good = (r->n_states > 0) == (r->n_state_layers > 0) &&
        (r->n_states == 0 || r->hidden != NULL) && ascends(r->states, r->n_states, (uint32_t)n) &&
        ascends(r->state_layers, r->n_state_layers, n_layers + 1) &&
        (r->n_state_layers == 0 || r->state_layers[0] > 0);
    return good ? RR_OK
                : rr_fail(diag, RR_E_USAGE,
                      "hidden states: tokens must ascend in a prompt of %zu, layers from 1 to %u",
                      n, n_layers);
}

/* The first and the last position that is looked at. */
static void bounds(const rr_reading *r, size_t *first, size_t *last) {
    *first = SIZE_MAX;
    *last = 0;
    const struct {
        const uint32_t *at;
        uint32_t n;
    } lists[] = {{r->rows, r->n_rows}, {r->states, r->n_states}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (lists[i].n > 0) {
            *first = lists[i].at[0] < *first ? lists[i].at[0] : *first;
            *last = lists[i].at[lists[i].n - 1] > *last ? lists[i].at[lists[i].n - 1] : *last;
        }
    }
}

/* The timeline keeps what it has of the prompt before the first token that is looked at, where that
 * went through the prompt's kernels: generated tokens before it would give it other bits. */
static void begin(
    rr_session *session, const int32_t *tokens, size_t n, size_t first, uint32_t n_layers) {
    size_t common = rr_session_common(session, tokens, n, n_layers);
    common = common < session->n_prompt ? common : session->n_prompt;
    session->n_tokens = common < first ? common : first;
    session->n_reused = session->n_tokens;
    session->n_shared = 0;
    session->is_cut = false;
}

rr_status rr_session_read(rr_session *session, const int32_t *tokens, size_t n,
    const rr_reading *reading, rr_diag *diag) {
    const rr_engine *engine = session->engine;
    if (engine->reader == NULL) {
        return rr_fail(diag, RR_E_USAGE, "this engine was opened without readings");
    }
    RR_TRY(rr_session_check_tokens(session, tokens, n, diag));
    RR_TRY(check_attention(engine, reading, n, diag));
    RR_TRY(check_states(engine, reading, n, diag));
    if (reading->n_rows == 0 && reading->n_states == 0) {
        return rr_fail(diag, RR_E_USAGE, "a reading of nothing");
    }
    size_t first, last;
    bounds(reading, &first, &last);
    if (reading->factors != NULL) {
        memset(reading->drawn, 0, n * sizeof *reading->drawn);
    }
    const rr_request request = {
        .reading = reading, .n_layers = rr_reading_n_layers(reading), .n_shareable = first};
    begin(session, tokens, n, first, request.n_layers);
    RR_TRY(rr_session_run_prompt(session, tokens, last + 1, &request, diag));
    return rr_session_check(session, diag);
}
