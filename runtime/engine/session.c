/* Sessions: one token timeline each, with its KV slot. Owns: the timeline and the last logits.
 * Every call that runs passes holds the engine's lock pass by pass, so sessions of several threads take turns. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/engine/internal.h"

rr_status rr_session_create(rr_engine *engine, rr_session **out, rr_diag *diag) {
    rr_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a session");
    }
    session->engine = engine;
    session->slot = UINT32_MAX;
    session->tokens = malloc(engine->limits.n_context * sizeof *session->tokens);
    session->logits = malloc(engine->model->config.n_vocab * sizeof *session->logits);
    rr_status status = RR_OK;
    if (session->tokens == NULL || session->logits == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for a session");
        goto fail;
    }
    pthread_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->limits.n_sessions && session->slot == UINT32_MAX; i++) {
        if (!engine->slot_taken[i]) {
            engine->slot_taken[i] = true;
            session->slot = i;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    if (session->slot == UINT32_MAX) {
        status = rr_fail(diag, RR_E_MEMORY, "all %u KV slots of this engine are taken", engine->limits.n_sessions);
        goto fail;
    }
    *out = session;
    return RR_OK;
fail:
    rr_session_destroy(&session);
    return status;
}

void rr_session_destroy(rr_session **pointer) {
    rr_session *session = *pointer;
    if (session == NULL) {
        return;
    }
    if (session->slot != UINT32_MAX) {
        pthread_mutex_lock(&session->engine->lock);
        session->engine->slot_taken[session->slot] = false;
        pthread_mutex_unlock(&session->engine->lock);
    }
    free(session->tokens);
    free(session->logits);
    free(session);
    *pointer = NULL;
}

size_t rr_session_n_tokens(const rr_session *session) {
    return session->n_tokens;
}

size_t rr_session_n_reused(const rr_session *session) {
    return session->n_reused;
}

void rr_session_on_sync_progress(rr_session *session, rr_sync_progress_fn fn, void *user) {
    session->on_progress = fn;
    session->on_progress_user = user;
}

void rr_session_cancel(rr_session *session) {
    atomic_store(&session->cancelled, true);
}

/* True once for each cancel. */
static bool take_cancel(rr_session *session) {
    return atomic_exchange(&session->cancelled, false);
}

/* Describes the session's next tokens to the device and to the pass; the caller holds the lock. */
static void put_row(rr_pass *pass, uint32_t index, const rr_session *session, int32_t token, size_t position) {
    rr_engine *engine = session->engine;
    pass->n_keys = position >= pass->n_keys ? (uint32_t)position + 1 : pass->n_keys;
    ((rr_row *)engine->rows.mapped)[index] = (rr_row){.token = (uint32_t)token,
                                                      .position = (uint32_t)position,
                                                      .kv = engine->slots[session->slot].address};
}

/* Keeps what the last head found for head row `row`; the caller holds the lock. */
static void take_results(rr_session *session, uint32_t row, bool with_logits) {
    session->best = rr_graph_best(session->engine, row);
    session->best_ready = true;
    session->logits_ready = with_logits;
    if (with_logits) {
        memcpy(session->logits, rr_graph_logits(session->engine, row),
               session->engine->model->config.n_vocab * sizeof *session->logits);
    }
}

static void forget_results(rr_session *session) {
    session->best_ready = false;
    session->logits_ready = false;
}

static rr_status check_tokens(const rr_session *session, const int32_t *tokens, size_t n, rr_diag *diag) {
    const rr_engine *engine = session->engine;
    if (n == 0) {
        return rr_fail(diag, RR_E_USAGE, "an empty token list: at least one token is needed");
    }
    if (n > engine->limits.n_context) {
        return rr_fail(diag, RR_E_USAGE, "%zu tokens do not fit a context of %u: use a larger --context or a shorter prompt",
                       n, engine->limits.n_context);
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= engine->model->config.n_vocab) {
            return rr_fail(diag, RR_E_USAGE, "token %zu is %d, expected an id from 0 to %u", i, tokens[i],
                           engine->model->config.n_vocab - 1);
        }
    }
    return RR_OK;
}

static size_t common_prefix(const rr_session *session, const int32_t *tokens, size_t n) {
    size_t common = 0;
    while (common < n && common < session->n_tokens && session->tokens[common] == tokens[common]) {
        common++;
    }
    return common;
}

/* Runs prompt tokens [begin, end) of `tokens`; on success the timeline reaches `end`. `pass` says which logits. */
static rr_status run_chunk(rr_session *session, const int32_t *tokens, size_t begin, size_t end, rr_pass *pass,
                           rr_diag *diag) {
    rr_engine *engine = session->engine;
    pass->family = RR_PREFILL;
    pass->n_rows = (uint32_t)(end - begin);
    pass->cancelled = &session->cancelled;
    for (size_t i = begin; i < end; i++) {
        put_row(pass, (uint32_t)(i - begin), session, tokens[i], i);
    }
    session->n_tokens = begin;
    forget_results(session);
    rr_status status = rr_graph_run(engine, pass, diag);
    if (status == RR_OK) {
        memcpy(session->tokens + begin, tokens + begin, (end - begin) * sizeof *tokens);
        session->n_tokens = end;
    }
    return status;
}

rr_status rr_session_sync(rr_session *session, const int32_t *tokens, size_t n, rr_diag *diag) {
    rr_engine *engine = session->engine;
    RR_TRY(check_tokens(session, tokens, n, diag));
    size_t common = common_prefix(session, tokens, n);
    bool already = common == n && session->n_tokens == n && session->best_ready && session->logits_ready;
    if (!already && common == n) {
        common--; /* the last token's logits are wanted */
    }
    session->n_reused = common;
    size_t done = common;
    while (!already && done < n) {
        size_t end = n - done < engine->limits.prompt_chunk ? n : done + engine->limits.prompt_chunk;
        rr_pass pass = {0};
        if (end == n) {
            pass.head_first = (uint32_t)(n - 1 - done);
            pass.head_rows = 1;
            pass.head_family = RR_DECODE;
            pass.read_logits = true;
        }
        pthread_mutex_lock(&engine->lock);
        rr_status status = run_chunk(session, tokens, done, end, &pass, diag);
        if (status == RR_OK && end == n) {
            take_results(session, 0, true);
        }
        pthread_mutex_unlock(&engine->lock);
        if (status == RR_E_CANCELLED) {
            take_cancel(session);
        }
        RR_TRY(status);
        done = end;
        if (session->on_progress != NULL) {
            session->on_progress(session->on_progress_user, done - common, n - common);
        }
    }
    if (take_cancel(session)) {
        return rr_fail(diag, RR_E_CANCELLED, "cancelled");
    }
    return RR_OK;
}

rr_status rr_session_logits(rr_session *session, const float **out, rr_diag *diag) {
    if (session->n_tokens == 0) {
        return rr_fail(diag, RR_E_USAGE, "no tokens in this session: sync first");
    }
    if (!session->logits_ready) {
        /* a greedy step read back its arg max only; the last token runs again, as a prompt token */
        size_t n = session->n_tokens;
        session->n_tokens = n - 1;
        int32_t last = session->tokens[n - 1];
        pthread_mutex_lock(&session->engine->lock);
        rr_pass pass = {.family = RR_DECODE, .n_rows = 1, .head_rows = 1, .head_family = RR_DECODE, .read_logits = true};
        put_row(&pass, 0, session, last, n - 1);
        rr_status status = rr_graph_run(session->engine, &pass, diag);
        if (status == RR_OK) {
            session->n_tokens = n;
            take_results(session, 0, true);
        }
        pthread_mutex_unlock(&session->engine->lock);
        RR_TRY(status);
    }
    *out = session->logits;
    return RR_OK;
}

/* One decode pass; the arguments have been checked. */
static rr_status decode(rr_engine *engine, rr_session *const *sessions, const int32_t *tokens, size_t n,
                        bool read_logits, rr_diag *diag) {
    pthread_mutex_lock(&engine->lock);
    rr_pass pass = {.family = RR_DECODE,
                    .n_rows = (uint32_t)n,
                    .head_rows = (uint32_t)n,
                    .head_family = RR_DECODE,
                    .read_logits = read_logits};
    for (size_t i = 0; i < n; i++) {
        put_row(&pass, (uint32_t)i, sessions[i], tokens[i], sessions[i]->n_tokens);
        forget_results(sessions[i]);
    }
    rr_status status = rr_graph_run(engine, &pass, diag);
    for (size_t i = 0; status == RR_OK && i < n; i++) {
        sessions[i]->tokens[sessions[i]->n_tokens++] = tokens[i];
        take_results(sessions[i], (uint32_t)i, read_logits);
    }
    pthread_mutex_unlock(&engine->lock);
    return status;
}

rr_status rr_engine_decode(rr_engine *engine, rr_session *const *sessions, const int32_t *tokens, size_t n,
                           rr_diag *diag) {
    if (n == 0 || n > RR_DECODE_ROWS) {
        return rr_fail(diag, RR_E_USAGE, "%zu rows in a decode pass, expected 1 to %d", n, RR_DECODE_ROWS);
    }
    for (size_t i = 0; i < n; i++) {
        if (sessions[i]->engine != engine || sessions[i]->n_tokens >= engine->limits.n_context || tokens[i] < 0 ||
            (uint32_t)tokens[i] >= engine->model->config.n_vocab) {
            return rr_fail(diag, RR_E_USAGE, "row %zu of a decode pass: another engine's session, a full context or a bad id", i);
        }
        for (size_t j = 0; j < i; j++) {
            if (sessions[i] == sessions[j]) {
                return rr_fail(diag, RR_E_USAGE, "rows %zu and %zu of a decode pass are the same session", j, i);
            }
        }
    }
    return decode(engine, sessions, tokens, n, true, diag);
}

/* Runs tokens [begin, end) of `tokens` as one decode pass; on success the timeline reaches `end`. With `head_cols` the logits of
 * the last for ids [0, head_cols) are left in session->logits. */
static rr_status run_written(rr_session *session, const int32_t *tokens, size_t begin, size_t end, uint32_t head_cols,
                             rr_diag *diag) {
    rr_engine *engine = session->engine;
    const uint32_t n = (uint32_t)(end - begin);
    rr_pass pass = {.family = RR_DECODE,
                    .n_rows = n,
                    .head_first = n - 1,
                    .head_rows = head_cols != 0,
                    .head_family = RR_DECODE,
                    .head_cols = head_cols,
                    .read_logits = true,
                    .cancelled = &session->cancelled};
    pthread_mutex_lock(&engine->lock);
    for (size_t i = begin; i < end; i++) {
        put_row(&pass, (uint32_t)(i - begin), session, tokens[i], i);
    }
    session->n_tokens = begin;
    forget_results(session);
    rr_status status = rr_graph_run(engine, &pass, diag);
    if (status == RR_OK) {
        memcpy(session->tokens + begin, tokens + begin, n * sizeof *tokens);
        session->n_tokens = end;
        if (head_cols != 0) {
            memcpy(session->logits, rr_graph_logits(engine, 0), head_cols * sizeof *session->logits);
        }
    }
    pthread_mutex_unlock(&engine->lock);
    if (status == RR_E_CANCELLED) {
        take_cancel(session);
    }
    return status;
}

rr_status rr_session_logits_of(rr_session *session, const int32_t *tokens, size_t n, const int32_t *ids, size_t n_ids,
                               float *out, rr_diag *diag) {
    const uint32_t n_vocab = session->engine->model->config.n_vocab;
    RR_TRY(check_tokens(session, tokens, n, diag));
    int32_t most = -1;
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= n_vocab) {
            return rr_fail(diag, RR_E_USAGE, "choice %zu is %d, expected an id from 0 to %u", i, ids[i], n_vocab - 1);
        }
        most = ids[i] > most ? ids[i] : most;
    }
    if (most < 0) {
        return rr_fail(diag, RR_E_USAGE, "no ids to choose from: at least one is needed");
    }
    const uint32_t rounded = ((uint32_t)most / RR_LANES_UNIT + 1) * RR_LANES_UNIT;
    size_t done = common_prefix(session, tokens, n);
    done -= done == n; /* the last token's logits are wanted */
    while (done < n) {
        size_t end = n - done < RR_DECODE_ROWS ? n : done + RR_DECODE_ROWS;
        RR_TRY(run_written(session, tokens, done, end, end < n ? 0 : rounded < n_vocab ? rounded : n_vocab, diag));
        done = end;
    }
    if (take_cancel(session)) {
        return rr_fail(diag, RR_E_CANCELLED, "cancelled");
    }
    for (size_t i = 0; i < n_ids; i++) {
        out[i] = session->logits[ids[i]];
    }
    return RR_OK;
}

static bool is_end(const rr_engine *engine, int32_t id) {
    return engine->tokenizer != NULL &&
           (id == rr_tokenizer_im_end(engine->tokenizer) || id == rr_tokenizer_end_of_text(engine->tokenizer));
}

rr_status rr_session_generate(rr_session *session, const rr_generate_params *params, rr_tokens *out,
                              rr_generate_result *result, rr_diag *diag) {
    rr_engine *engine = session->engine;
    const uint32_t n_vocab = engine->model->config.n_vocab;
    const bool sampled = params->temperature > 0.0f;
    if (session->n_tokens == 0) {
        return rr_fail(diag, RR_E_USAGE, "nothing to continue: sync first");
    }
    uint64_t begin_ns = rr_time_ns();
    rr_generate_result found = {.stop = RR_STOP_MAX_TOKENS};
    uint64_t rng = params->seed;
    rr_status status = RR_OK;
    rr_candidate *scratch = sampled ? malloc(n_vocab * sizeof *scratch) : NULL;
    if (sampled && scratch == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for sampling");
    }
    if (sampled || !session->best_ready) {
        const float *ignored;
        RR_TRY_GOTO(rr_session_logits(session, &ignored, diag));
    }
    while (params->max_tokens == 0 || found.n_tokens < params->max_tokens) {
        if (take_cancel(session)) {
            status = rr_fail(diag, RR_E_CANCELLED, "cancelled");
            break;
        }
        int32_t id = sampled ? rr_sample(session->logits, n_vocab, params->temperature, params->top_p, &rng, scratch)
                             : session->best;
        if (!params->ignore_end && is_end(engine, id)) {
            found.stop = RR_STOP_END;
            break;
        }
        rr_tokens_push(out, id);
        if (out->failed) {
            status = rr_fail(diag, RR_E_MEMORY, "out of memory for generated tokens");
            break;
        }
        found.n_tokens++;
        if (params->on_token != NULL && !params->on_token(params->user, id)) {
            found.stop = RR_STOP_CALLER;
            break;
        }
        if (session->n_tokens >= engine->limits.n_context) {
            found.stop = RR_STOP_CONTEXT;
            break;
        }
        if (params->max_tokens != 0 && found.n_tokens == params->max_tokens) {
            break;
        }
        RR_TRY_GOTO(decode(engine, &session, &id, 1, sampled, diag));
    }
fail:
    free(scratch);
    found.time_ns = rr_time_ns() - begin_ns;
    if (result != NULL) {
        *result = found;
    }
    return status;
}

rr_status rr_session_logits_all(rr_session *session, const int32_t *tokens, size_t n, rr_logits_fn row, void *user,
                                rr_diag *diag) {
    rr_engine *engine = session->engine;
    RR_TRY(check_tokens(session, tokens, n, diag));
    session->n_tokens = 0;
    session->n_reused = 0;
    rr_status status = RR_OK;
    for (size_t done = 0; done < n && status == RR_OK;) {
        size_t end = n - done < engine->limits.prompt_chunk ? n : done + engine->limits.prompt_chunk;
        rr_pass pass = {0};
        pthread_mutex_lock(&engine->lock);
        status = run_chunk(session, tokens, done, end, &pass, diag);
        for (size_t at = done; at < end && status == RR_OK;) {
            size_t n_head = end - at < engine->limits.logits_rows ? end - at : engine->limits.logits_rows;
            pass.head_first = (uint32_t)(at - done);
            pass.head_rows = (uint32_t)n_head;
            pass.head_family = RR_PREFILL;
            pass.read_logits = true;
            status = rr_graph_head(engine, &pass, diag);
            for (size_t i = 0; i < n_head && status == RR_OK; i++) {
                status = row(user, at + i, rr_graph_logits(engine, (uint32_t)i), diag);
            }
            at += n_head;
        }
        pthread_mutex_unlock(&engine->lock);
        done = end;
    }
    take_cancel(session);
    return status;
}
