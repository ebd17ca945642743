#include "rerank/rerank.h"

#include <string.h>

#include "rerank/clean.h"
#include "runtime/base/thread.h"

rr_status rr_rank_params_check(const rr_rank_params *params, rr_rank_params *out, rr_diag *diag) {
    rr_rank_params filled = *params;
    if (filled.window == 0) {
        filled.window = RR_RANK_WINDOW;
    }
    if (filled.step == 0) {
        filled.step = filled.window < RR_RANK_STEP ? filled.window : RR_RANK_STEP;
    }
    RR_TRY(rr_windows_check(filled.window, filled.step, diag));
    *out = filled;
    return RR_OK;
}

static size_t n_ranked(const rr_query *query, const rr_rank_params *params) {
    return params->depth == 0 || params->depth > query->n ? query->n : params->depth;
}

double rr_rank_score(size_t rank, size_t n) {
    return (double)(n - rank + 1) / (double)n;
}

static rr_status out_of_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory while ranking");
}

/* Keeps the reply's text and what the parser finds in it. */
static rr_status read_reply(rr_ranking *ranking, const rr_call *call, const rr_reply *reply, rr_window_result *result,
                            rr_diag *diag) {
    rr_buf clean = {0};
    rr_clean_utf8(reply->text.data != NULL ? reply->text.data : "", reply->text.bytes, &clean);
    char *text = clean.failed || reply->text.failed
                     ? NULL
                     : rr_arena_copy(&ranking->arena, clean.data != NULL ? clean.data : "", clean.bytes);
    size_t bytes = clean.bytes;
    rr_buf_destroy(&clean);
    uint32_t *passages = rr_arena_alloc(&ranking->arena, call->n, sizeof *passages);
    uint32_t *permutation = rr_arena_alloc(&ranking->arena, call->n, sizeof *permutation);
    if (text == NULL || passages == NULL || permutation == NULL) {
        return out_of_memory(diag);
    }
    memcpy(passages, call->order, call->n * sizeof *passages);
    rr_answer answer;
    rr_answer_parse(text, bytes, call->n, permutation, &answer);
    *result = (rr_window_result){
        .window = call->window,
        .passages = passages,
        .permutation = permutation,
        .n = call->n,
        .n_listed = answer.n_listed,
        .repaired = answer.repaired && (answer.dropped || reply->n_wanted == 0 || answer.n_listed < reply->n_wanted),
        .truncated = reply->truncated || answer.unclosed,
        .response = {text, bytes},
        .reasoning = answer.reasoning,
        .answer = answer.answer,
        .prompt_tokens = reply->prompt_tokens,
        .reused_tokens = reply->reused_tokens,
        .generated_tokens = reply->generated_tokens,
        .prompt_ns = reply->prompt_ns,
        .generate_ns = reply->generate_ns,
    };
    return RR_OK;
}

static rr_status rank_window(const rr_query *query, const rr_rank_params *params, const rr_responder *responder,
                             size_t index, rr_ranking *ranking, rr_diag *diag) {
    uint64_t start_ns = rr_time_ns();
    rr_window window = rr_windows_at(n_ranked(query, params), params->window, params->step, index);
    rr_prompt prompt = {0};
    rr_reply reply = {0};
    rr_window_result *result = &ranking->windows[index];
    uint32_t *order = ranking->order + window.begin;
    rr_call call = {
        .query = query,
        .index = index,
        .n_calls = ranking->n_windows,
        .window = window,
        .order = order,
        .n = (uint32_t)(window.end - window.begin),
        .prompt = &prompt,
    };
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_prompt_build(params->style, query, order, call.n, &prompt, diag));
    RR_TRY_GOTO(responder->respond(responder->user, &call, &reply, diag));
    RR_TRY_GOTO(read_reply(ranking, &call, &reply, result, diag));
    for (uint32_t i = 0; i < call.n; i++) {
        order[i] = result->passages[result->permutation[i] - 1];
    }
    result->time_ns = rr_time_ns() - start_ns;
    if (params->on_window != NULL) {
        params->on_window(params->user, &call, result);
    }
fail:
    rr_buf_destroy(&reply.text);
    rr_prompt_destroy(&prompt);
    return status;
}

rr_status rr_rank(const rr_query *query, const rr_rank_params *params, const rr_responder *responder, rr_ranking *out,
                  rr_diag *diag) {
    uint64_t start_ns = rr_time_ns();
    *out = (rr_ranking){0};
    rr_rank_params checked;
    RR_TRY(rr_rank_params_check(params, &checked, diag));
    if (query->n > UINT32_MAX) {
        return rr_fail(diag, RR_E_USAGE, "found %zu passages, expected at most %u", query->n, UINT32_MAX);
    }
    rr_ranking ranking = {.n = query->n};
    rr_status status = RR_OK;
    ranking.n_windows = rr_windows_count(n_ranked(query, &checked), checked.window, checked.step);
    ranking.order = rr_arena_alloc(&ranking.arena, ranking.n + 1, sizeof *ranking.order);
    ranking.windows = rr_arena_alloc(&ranking.arena, ranking.n_windows + 1, sizeof *ranking.windows);
    if (ranking.order == NULL || ranking.windows == NULL) {
        RR_TRY_GOTO(out_of_memory(diag));
    }
    for (size_t i = 0; i < ranking.n; i++) {
        ranking.order[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < ranking.n_windows; i++) {
        RR_TRY_GOTO(rank_window(query, &checked, responder, i, &ranking, diag));
    }
    ranking.time_ns = rr_time_ns() - start_ns;
    *out = ranking;
    return RR_OK;
fail:
    rr_ranking_destroy(&ranking);
    return status;
}

void rr_ranking_destroy(rr_ranking *ranking) {
    rr_arena_destroy(&ranking->arena);
    *ranking = (rr_ranking){0};
}

/* Replay ------------------------------------------------------------------------------------------------------------ */

static rr_status replay_respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    const rr_replay *replay = user;
    const rr_recorded *recorded = rr_recording_find(replay->recording, call->query->qid);
    if (recorded == NULL) {
        return rr_fail(diag, RR_E_INPUT, "%s: no answers for qid \"%.100s\", expected %zu", replay->label,
                       call->query->qid, call->n_calls);
    }
    if (call->index >= recorded->n) {
        return rr_fail(diag, RR_E_INPUT,
                       "%s:%zu: qid \"%.100s\" has %zu answers, expected %zu; were they recorded with this --window, "
                       "--step and --depth?",
                       replay->label, recorded->line, recorded->qid, recorded->n, call->n_calls);
    }
    rr_buf_append(&reply->text, recorded->responses[call->index].data, recorded->responses[call->index].bytes);
    return RR_OK;
}

rr_responder rr_replay_responder(rr_replay *replay) {
    return (rr_responder){replay_respond, replay};
}

rr_status rr_replay_check(const rr_replay *replay, const rr_candidates *candidates, const rr_rank_params *params,
                          rr_diag *diag) {
    rr_rank_params checked;
    RR_TRY(rr_rank_params_check(params, &checked, diag));
    size_t n_found = 0;
    for (size_t i = 0; i < candidates->n; i++) {
        const rr_query *query = &candidates->queries[i];
        const rr_recorded *recorded = rr_recording_find(replay->recording, query->qid);
        size_t n_calls = rr_windows_count(n_ranked(query, &checked), checked.window, checked.step);
        n_found += recorded != NULL;
        if (recorded != NULL && recorded->n > n_calls) {
            return rr_fail(diag, RR_E_INPUT,
                           "%s:%zu: qid \"%.100s\" has %zu answers, expected %zu; were they recorded with this "
                           "--window, --step and --depth?",
                           replay->label, recorded->line, recorded->qid, recorded->n, n_calls);
        }
    }
    if (n_found == replay->recording->n) {
        return RR_OK;
    }
    for (size_t i = 0; i < replay->recording->n; i++) {
        const rr_recorded *recorded = &replay->recording->items[i];
        bool known = false;
        for (size_t k = 0; k < candidates->n && !known; k++) {
            known = strcmp(candidates->queries[k].qid, recorded->qid) == 0;
        }
        if (!known) {
            return rr_fail(diag, RR_E_INPUT, "%s:%zu: answers for qid \"%.100s\", which is not among the candidates",
                           replay->label, recorded->line, recorded->qid);
        }
    }
    return RR_OK;
}
