#include "rerank/api_view.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/attention.h"

/* Copies that failed leave a NULL, which the caller finds at the end. */
static const char *copy_text(rr_ranking *ranking, rr_text text, bool *ok) {
    const char *copy = rr_arena_copy(&ranking->arena, text.data, text.bytes);
    *ok = *ok && copy != NULL;
    return copy;
}

static void view_results(const rr_api_view_params *params, rr_ranking *ranking, const bool *is_read,
    rearank_result *out, bool *ok) {
    for (size_t i = 0; i < ranking->n && *ok; i++) {
        const uint32_t passage = ranking->order[i];
        const char *id = params->passages[passage].id;
        out[i] = (rearank_result){
            .index = passage,
            .id = id != NULL ? copy_text(ranking, (rr_text){id, strlen(id)}, ok) : NULL,
            .rank = i + 1,
            .score = rr_ranking_score(ranking, i + 1),
            .calibrated = is_read[passage],
        };
    }
}

/* What drew the attention in one passage; `shown` is scratch. */
static void view_attention(const rr_api_view_params *params, rr_ranking *ranking, uint32_t passage,
    const rr_passage_read *read, rr_buf *shown, rearank_attention *out, bool *ok) {
    rr_buf_clear(shown);
    rr_prompt_passage(params->form, &params->query->passages[passage], shown);
    rearank_word *words = rr_arena_alloc(&ranking->arena, read->n_words + 1, sizeof *words);
    *ok = *ok && words != NULL && !shown->failed;
    if (!*ok) {
        return;
    }
    const rr_text whole = {shown->data != NULL ? shown->data : "", shown->bytes};
    *out = (rearank_attention){
        .sentence = copy_text(ranking, rr_attention_text(whole, read->sentence), ok),
        .share = (double)read->sentence.share,
        .words = words,
    };
    for (uint32_t i = 0; i < read->n_words && *ok; i++) {
        const rr_text word = rr_attention_text(whole, read->words[i]);
        if (word.bytes > 0) {
            words[out->n_words++] =
                (rearank_word){copy_text(ranking, word, ok), (double)read->words[i].share};
        }
    }
}

static void view_reads(const rr_api_view_params *params, rr_ranking *ranking,
    const rr_window_result *window, rearank_window *out, bool *ok) {
    double *scores = rr_arena_alloc(&ranking->arena, window->n, sizeof *scores);
    double *probabilities = rr_arena_alloc(&ranking->arena, window->n, sizeof *probabilities);
    rearank_attention *attention = rr_arena_alloc(&ranking->arena, window->n, sizeof *attention);
    rr_buf shown = {0};
    *ok = *ok && scores != NULL && probabilities != NULL && attention != NULL;
    for (uint32_t i = 0; i < window->n && *ok; i++) {
        scores[i] = window->reads[i].score;
        probabilities[i] = window->reads[i].probability;
        view_attention(
            params, ranking, window->passages[i], &window->reads[i], &shown, &attention[i], ok);
    }
    rr_buf_destroy(&shown);
    out->scores = scores;
    out->probabilities = probabilities;
    out->attention = attention;
}

static void view_window(const rr_api_view_params *params, rr_ranking *ranking,
    const rr_window_result *window, rearank_window *out, bool *ok) {
    *out = (rearank_window){
        .begin = window->window.begin,
        .end = window->window.end,
        .n = window->n,
        .passages = window->passages,
        .permutation = window->permutation,
        .response = window->response.data,
        .reasoning = copy_text(ranking, window->reasoning, ok),
        .answer = copy_text(ranking, window->answer, ok),
        .repaired = window->repaired,
        .truncated = window->truncated,
        .prompt_tokens = window->prompt_tokens,
        .reused_tokens = window->reused_tokens,
        .shared_tokens = window->shared_tokens,
        .generated_tokens = window->generated_tokens,
        .prompt_ns = window->prompt_ns,
        .generate_ns = window->generate_ns,
        .late = window->late,
    };
    if (window->reads != NULL && *ok) {
        view_reads(params, ranking, window, out, ok);
    }
}

rr_status rr_api_view(const rr_api_view_params *params, rr_ranking *ranking,
    rearank_result **results, rearank_window **windows, rr_diag *diag) {
    rearank_result *some_results =
        rr_arena_alloc(&ranking->arena, ranking->n + 1, sizeof *some_results);
    rearank_window *some_windows =
        rr_arena_alloc(&ranking->arena, ranking->n_windows + 1, sizeof *some_windows);
    bool *is_read = calloc(ranking->n + 1, sizeof *is_read);
    bool ok = some_results != NULL && some_windows != NULL && is_read != NULL;
    for (size_t i = 0; i < ranking->n_windows && ok; i++) {
        const rr_window_result *window = &ranking->windows[i];
        for (uint32_t k = 0; window->reads != NULL && k < window->n; k++) {
            is_read[window->passages[k]] = true;
        }
        view_window(params, ranking, window, &some_windows[i], &ok);
    }
    if (ok) {
        view_results(params, ranking, is_read, some_results, &ok);
    }
    free(is_read);
    if (!ok) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a ranking");
    }
    *results = some_results;
    *windows = some_windows;
    return RR_OK;
}
