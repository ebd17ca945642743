/* Owns: how far a prompt is computed for a reading. */
#include "runtime/engine/read.h"

#include <string.h>

#include "runtime/engine/session_call.h"

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
    rr_session_reuse(session, common < first ? common : first);
}

rr_status rr_session_read(rr_session *session, const int32_t *tokens, size_t n,
    const rr_reading *reading, rr_diag *diag) {
    const rr_engine *engine = session->engine;
    if (engine->compute->reader == NULL) {
        return rr_fail(diag, RR_E_USAGE, "this engine was opened without readings");
    }
    RR_TRY(rr_session_check_tokens(session, tokens, n, diag));
    RR_TRY(rr_reading_check(reading, engine->compute->model->config.n_layers, n, diag));
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
