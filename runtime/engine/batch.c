/* Passes over batches: rows in, results out. */
#include "runtime/engine/batch.h"

#include <string.h>

#include "runtime/engine/share.h"

static void put_row(rr_pass *pass, uint32_t index, const rr_session *session, int32_t token, size_t position) {
    rr_engine *engine = session->engine;
    pass->n_keys = position >= pass->n_keys ? (uint32_t)position + 1 : pass->n_keys;
    ((rr_row *)engine->rows.mapped)[index] = (rr_row){.token = (uint32_t)token,
                                                      .position = (uint32_t)position,
                                                      .kv = engine->slots[session->slot].address};
}

/* Keeps what the last head found for head row `row`. */
static void take_results(rr_session *session, uint32_t row, bool with_logits) {
    session->best = rr_graph_best(session->engine, row);
    session->best_ready = true;
    session->logits_ready = with_logits;
    if (with_logits) {
        memcpy(session->logits, rr_graph_logits(session->engine, row),
               session->engine->model->config.n_vocab * sizeof *session->logits);
    }
}

/* The logits of all rows of a chunk, as many at a time as the readback buffer holds. */
static rr_status give_each(rr_engine *engine, const rr_request *request, rr_pass *pass, size_t begin, rr_diag *diag) {
    for (uint32_t at = 0; at < pass->n_rows; at += pass->head_rows) {
        uint32_t left = pass->n_rows - at;
        pass->head_first = at;
        pass->head_rows = left < engine->limits.logits_rows ? left : engine->limits.logits_rows;
        pass->head_family = RR_PREFILL;
        pass->read_logits = true;
        RR_TRY(rr_graph_head(engine, pass, diag));
        for (uint32_t i = 0; i < pass->head_rows; i++) {
            RR_TRY(request->each(request->each_user, begin + at + i, rr_graph_logits(engine, i), diag));
        }
    }
    return RR_OK;
}

static rr_status run_prompt(rr_engine *engine, const rr_batch *b, rr_diag *diag) {
    const rr_request *request = b->requests[0];
    rr_session *session = request->session;
    if (b->from != NULL) {
        return rr_share_copy(engine, b->from, session, b->begin, b->end, diag);
    }
    rr_pass pass = {.family = RR_PREFILL, .n_rows = b->n_rows, .cancelled = &session->cancelled};
    if (b->end == request->n && request->each == NULL) {
        pass.head_first = b->n_rows - 1;
        pass.head_rows = 1;
        pass.head_family = RR_DECODE;
        pass.read_logits = true;
    }
    for (size_t i = b->begin; i < b->end; i++) {
        put_row(&pass, (uint32_t)(i - b->begin), session, request->tokens[i], i);
    }
    RR_TRY(rr_graph_run(engine, &pass, diag));
    if (pass.head_rows > 0) {
        take_results(session, 0, true);
    }
    return request->each != NULL ? give_each(engine, request, &pass, b->begin, diag) : RR_OK;
}

/* Rows of a request that need no head: of given ones all but the last, or that too. They come first in a pass. */
static size_t n_headless(const rr_request *request) {
    return !request->given ? 0 : request->head_cols == 0 ? request->n : request->n - 1;
}

static void put_rows(rr_pass *pass, const rr_batch *b) {
    uint32_t row = 0;
    for (int with_head = 0; with_head < 2; with_head++) {
        pass->head_first = row;
        for (uint32_t i = 0; i < b->n; i++) {
            const rr_request *request = b->requests[i];
            const size_t split = n_headless(request), end = with_head ? request->n : split;
            for (size_t k = with_head ? split : 0; k < end; k++) {
                put_row(pass, row++, request->session, request->tokens[k], request->session->n_tokens + k);
            }
        }
    }
    pass->head_rows = row - pass->head_first;
}

/* Whatever any request wants of the head: ids from 0 on, 0 = all; logits, or the arg max alone. */
static void want_of_head(rr_pass *pass, const rr_batch *b) {
    bool whole = false;
    for (uint32_t i = 0; i < b->n; i++) {
        const rr_request *request = b->requests[i];
        whole = whole || !request->given;
        pass->head_cols = request->head_cols > pass->head_cols ? request->head_cols : pass->head_cols;
        pass->read_logits = pass->read_logits || request->with_logits || request->head_cols > 0;
    }
    pass->head_cols = whole ? 0 : pass->head_cols;
}

static rr_status run_rows(rr_engine *engine, const rr_batch *b, rr_diag *diag) {
    rr_pass pass = {.family = RR_DECODE, .n_rows = b->n_rows, .head_family = RR_DECODE};
    put_rows(&pass, b);
    want_of_head(&pass, b);
    RR_TRY(rr_graph_run(engine, &pass, diag));
    uint32_t row = 0; /* of the head */
    for (uint32_t i = 0; i < b->n; i++) {
        const rr_request *request = b->requests[i];
        if (request->given) {
            if (request->head_cols > 0) {
                memcpy(request->session->logits, rr_graph_logits(engine, row++),
                       request->head_cols * sizeof *request->session->logits);
            }
            continue;
        }
        take_results(request->session, row, request->with_logits);
        for (size_t k = 0; k < request->n; k++, row++) {
            if (request->best != NULL) {
                request->best[k] = rr_graph_best(engine, row);
            }
        }
    }
    return RR_OK;
}

rr_status rr_batch_run(rr_engine *engine, const rr_batch *b, rr_diag *diag) {
    return b->family == RR_PREFILL ? run_prompt(engine, b, diag) : run_rows(engine, b, diag);
}
