/* Passes over batches: rows in, results out. */
#include "runtime/engine/batch.h"

#include <string.h>

#include "runtime/compute/reader.h"

/* Behind the rows that the pass has. */
static void put_row(
    rr_pass *pass, rr_family family, const rr_session *session, int32_t token, size_t position) {
    rr_engine *engine = session->engine;
    const uint32_t index = rr_pass_n_rows(pass);
    uint32_t *n_keys = &pass->n_keys[family];
    *n_keys = position >= *n_keys ? (uint32_t)position + 1 : *n_keys;
    pass->n_rows[family]++;
    ((rr_row *)engine->compute->rows.mapped)[index] = (rr_row){.token = (uint32_t)token,
        .position = (uint32_t)position,
        .page = rr_pages_page(engine->pages, session->slot, position),
        .pages = rr_pages_table(engine->pages, session->slot)};
}

/* Keeps what the last head found for head row `row`. */
static void take_results(rr_session *session, uint32_t row, bool with_logits) {
    session->best = rr_pass_best(session->engine->compute, row);
    session->best_ready = true;
    session->logits_ready = with_logits;
    if (with_logits) {
        memcpy(session->logits, rr_pass_logits(session->engine->compute, row),
            session->engine->compute->model->config.n_vocab * sizeof *session->logits);
    }
}

/* The logits of all rows of a chunk, as many at a time as the readback buffer holds. */
static rr_status give_each(
    rr_engine *engine, const rr_request *request, rr_pass *pass, size_t begin, rr_diag *diag) {
    for (uint32_t at = 0; at < pass->n_rows[RR_PREFILL]; at += pass->head_rows) {
        uint32_t left = pass->n_rows[RR_PREFILL] - at;
        pass->head_first = at;
        pass->head_rows =
            left < engine->compute->limits.logits_rows ? left : engine->compute->limits.logits_rows;
        pass->head_family = RR_PREFILL;
        pass->read_logits = true;
        RR_TRY(rr_pass_run_head(engine->compute, pass, diag));
        for (uint32_t i = 0; i < pass->head_rows; i++) {
            RR_TRY(request->each(
                request->each_user, begin + at + i, rr_pass_logits(engine->compute, i), diag));
        }
    }
    return RR_OK;
}

/* The chunk, first in the pass. */
static void put_prompt(rr_pass *pass, const rr_batch *b) {
    const rr_request *request = b->prompt;
    for (size_t i = b->begin; i < b->end; i++) {
        put_row(pass, RR_PREFILL, request->session, request->tokens[i], i);
    }
    pass->cancelled = &request->session->cancelled;
    pass->deadline_ns = request->session->deadline_ns;
    pass->keep_rows = request->each != NULL;
    if (b->end == request->n && request->each == NULL && request->reading == NULL) {
        pass->head_first = rr_pass_n_rows(pass) - 1;
        pass->head_rows = 1;
        pass->read_logits = true;
    }
}

/* Rows of a request that need no head: of given ones all but the last, or that too. They come first
 * in a pass. */
static size_t n_headless(const rr_request *request) {
    return !request->given ? 0 : request->head_cols == 0 ? request->n : request->n - 1;
}

/* Behind what the pass has, decode rows: first those without a head. Returns which head row is the
 * first of the others. */
static uint32_t put_rows(rr_pass *pass, const rr_batch *b) {
    uint32_t first = 0; /* with a head */
    for (int with_head = 0; with_head < 2; with_head++) {
        first = rr_pass_n_rows(pass);
        for (uint32_t i = 0; i < b->n; i++) {
            const rr_request *request = b->rows[i];
            const size_t split = n_headless(request), end = with_head ? request->n : split;
            for (size_t k = with_head ? split : 0; k < end; k++) {
                put_row(pass, RR_DECODE, request->session, request->tokens[k],
                    request->session->n_tokens + k);
            }
        }
    }
    if (pass->head_rows == 0) {
        pass->head_first = first;
    } /* else the head takes rows that need none along, between a prompt's last and the others */
    pass->head_rows = rr_pass_n_rows(pass) - pass->head_first;
    return first - pass->head_first;
}

/* Whatever any request wants of the head: ids from 0 on, 0 = all; logits, or the arg max alone. */
static void want_of_head(rr_pass *pass, const rr_batch *b) {
    bool whole = pass->read_logits;
    for (uint32_t i = 0; i < b->n; i++) {
        const rr_request *request = b->rows[i];
        whole = whole || !request->given;
        pass->head_cols =
            request->head_cols > pass->head_cols ? request->head_cols : pass->head_cols;
        pass->read_logits = pass->read_logits || request->with_logits || request->head_cols > 0;
    }
    pass->head_cols = whole ? 0 : pass->head_cols;
}

/* Results of decode rows, whose heads begin at head row `row`. */
static void take_rows(rr_engine *engine, const rr_batch *b, uint32_t row) {
    for (uint32_t i = 0; i < b->n; i++) {
        const rr_request *request = b->rows[i];
        if (request->given) {
            if (request->head_cols > 0) {
                memcpy(request->session->logits, rr_pass_logits(engine->compute, row++),
                    request->head_cols * sizeof *request->session->logits);
            }
            continue;
        }
        take_results(request->session, row, request->with_logits);
        for (size_t k = 0; k < request->n; k++, row++) {
            if (request->best != NULL) {
                request->best[k] = rr_pass_best(engine->compute, row);
            }
        }
    }
}

/* Gives every session pages of its own for what it is about to write. */
static rr_status own_pages(rr_engine *engine, const rr_batch *b, rr_diag *diag) {
    if (b->prompt != NULL) {
        RR_TRY(rr_pages_own(engine->pages, b->prompt->session->slot, b->begin, b->prompt->n, diag));
    }
    for (uint32_t i = 0; i < b->n; i++) {
        const rr_session *session = b->rows[i]->session;
        RR_TRY(rr_pages_own(engine->pages, session->slot, session->n_tokens,
            session->n_tokens + b->rows[i]->n, diag));
    }
    return RR_OK;
}

/* A pass of a chunk, of rows, or of both. */
static rr_status run_pass(rr_engine *engine, const rr_batch *b, rr_diag *diag) {
    rr_pass pass = {.head_family = RR_DECODE};
    RR_TRY(own_pages(engine, b, diag));
    uint32_t first = 0; /* head row of the decode rows */
    rr_read_pass read;
    if (b->prompt != NULL) {
        put_prompt(&pass, b);
    }
    if (b->prompt != NULL && b->prompt->reading != NULL) {
        read = rr_reader_begin(engine->compute, b->prompt->reading, b->begin, b->end);
        pass.read = &read;
    }
    const bool ends = pass.head_rows > 0;
    if (b->n > 0) {
        first = put_rows(&pass, b);
        want_of_head(&pass, b);
    }
    RR_TRY(rr_pass_run(engine->compute, &pass, diag));
    if (pass.read != NULL) {
        rr_reader_take(engine->compute, pass.read);
    }
    if (ends) {
        take_results(b->prompt->session, 0, true);
    }
    take_rows(engine, b, first);
    return b->prompt != NULL && b->prompt->each != NULL
        ? give_each(engine, b->prompt, &pass, b->begin, diag)
        : RR_OK;
}

void rr_batch_run(rr_engine *engine, rr_batch *b) {
    b->prompt_status = b->rows_status = run_pass(engine, b, &b->prompt_diag);
    b->rows_diag = b->prompt_diag;
    const bool was_stopped =
        b->prompt_status == RR_E_CANCELLED || b->prompt_status == RR_E_DEADLINE;
    /* the others' rows go on without it; what they wrote is written again */
    if (was_stopped && b->n > 0) {
        rr_batch rest = *b;
        rest.prompt = NULL;
        b->rows_status = run_pass(engine, &rest, &b->rows_diag);
    }
}
