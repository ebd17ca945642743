#include "rerank/rerank.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"

rr_status rr_rank_params_check(const rr_rank_params *params, rr_rank_params *out, rr_diag *diag) {
    rr_rank_params filled = *params;
    if (filled.window == 0) {
        filled.window = RR_RANK_WINDOW;
    }
    if (filled.step == 0) {
        filled.step = filled.window < RR_RANK_STEP ? filled.window : RR_RANK_STEP;
    }
    if (filled.passes == 0) {
        filled.passes = 1;
    }
    rr_schedule_params schedule = rr_rank_schedule(&filled);
    RR_TRY(rr_windows_check(filled.window, filled.step, diag));
    RR_TRY(rr_schedule_check(&schedule, 0, diag));
    *out = filled;
    return RR_OK;
}

uint64_t rr_rank_deadline(double seconds) {
    double ns = seconds * 1e9;
    return ns <= 0.0 ? 0 : ns < 1.0 ? 1 : ns < 1.8e19 ? (uint64_t)ns : UINT64_MAX;
}

size_t rr_rank_n(const rr_query *query, const rr_rank_params *params) {
    return params->depth == 0 || params->depth > query->n ? query->n : params->depth;
}

rr_prompt_form rr_rank_form(const rr_rank_params *params) {
    return (rr_prompt_form){.style = params->style, .passage_chars = params->passage_chars};
}

rr_schedule_params rr_rank_schedule(const rr_rank_params *params) {
    return (rr_schedule_params){
        params->schedule, params->window, params->step, params->passes, params->then_reason};
}

double rr_ranking_score(const rr_ranking *ranking, size_t rank) {
    return ranking->scores != NULL ? ranking->scores[rank - 1]
                                   : (double)(ranking->n - rank + 1) / (double)ranking->n;
}

/* The probability of each passage by the last window that read it; NaN = none did. */
static void last_probabilities(const rr_ranking *ranking, double *by_passage) {
    for (size_t i = 0; i < ranking->n; i++) {
        by_passage[i] = NAN;
    }
    for (size_t w = 0; w < ranking->n_windows; w++) {
        const rr_window_result *window = &ranking->windows[w];
        for (uint32_t i = 0; window->reads != NULL && i < window->n; i++) {
            by_passage[window->passages[i]] = window->reads[i].probability;
        }
    }
}

rr_status rr_ranking_score_all(rr_ranking *ranking, rr_diag *diag) {
    bool any = false;
    for (size_t w = 0; w < ranking->n_windows && !any; w++) {
        any = ranking->windows[w].reads != NULL;
    }
    if (!any) {
        return RR_OK;
    }
    double *by_passage = malloc(ranking->n * sizeof *by_passage);
    double *scores = rr_arena_alloc(&ranking->arena, ranking->n, sizeof *scores);
    if (by_passage == NULL || scores == NULL) {
        free(by_passage);
        return rr_fail(diag, RR_E_MEMORY, "out of memory while ranking");
    }
    last_probabilities(ranking, by_passage);
    /* what stands above a passage that was read, unread, has at least its probability */
    double next = NAN;
    for (size_t i = ranking->n; i-- > 0;) {
        const double p = by_passage[ranking->order[i]];
        next = isnan(p) ? next : p;
        scores[i] = next;
    }
    float above = nextafterf(1.0f, 2.0f);
    for (size_t i = 0; i < ranking->n; i++) {
        /* the unread at the end */
        const double behind =
            (double)above * (double)(ranking->n - i) / (double)(ranking->n - i + 1);
        const float p = (float)(isnan(scores[i]) ? behind : scores[i]),
                    least = (float)(ranking->n - i) * FLT_MIN;
        above = p < above ? p : nextafterf(above, 0.0f);
        above = above > least ? above : least;
        scores[i] = above;
    }
    free(by_passage);
    ranking->scores = scores;
    return RR_OK;
}

static bool is_share(float share) {
    return share >= 0.0f && share <= 1.0f;
}

bool rr_passage_read_is_sound(const rr_passage_read *read) {
    bool sound = isfinite(read->score) && read->probability >= 0.0 && read->probability <= 1.0 &&
        read->sentence.begin <= read->sentence.end && is_share(read->sentence.share) &&
        read->n_words <= RR_READ_WORDS;
    uint32_t behind = 0;
    for (uint32_t i = 0; sound && i < read->n_words; i++) {
        const rr_read_part *word = &read->words[i];
        sound = word->begin >= behind && word->begin < word->end && is_share(word->share);
        behind = word->end;
    }
    return sound;
}

static void round_share(float *share) {
    *share = *share > 1.0f && *share < 1.001f ? 1.0f : *share; /* sums of floats */
}

static rr_status copy_reads(rr_arena *arena, const rr_passage_read *reads, uint32_t n,
    const rr_passage_read **out, rr_diag *diag) {
    rr_passage_read *copy = rr_arena_alloc(arena, n, sizeof *copy);
    if (copy == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory while ranking");
    }
    memcpy(copy, reads, n * sizeof *copy);
    for (uint32_t i = 0; i < n; i++) {
        round_share(&copy[i].sentence.share);
        for (uint32_t k = 0; k < copy[i].n_words && k < RR_READ_WORDS; k++) {
            round_share(&copy[i].words[k].share);
        }
        if (!rr_passage_read_is_sound(&copy[i])) {
            return rr_fail(diag, RR_E_INTERNAL,
                "what was read of passage [%u] makes no sense: score %g, probability %g, %u words",
                i + 1, copy[i].score, copy[i].probability, copy[i].n_words);
        }
    }
    *out = copy;
    return RR_OK;
}

rr_status rr_window_read(rr_arena *arena, const rr_call *call, const rr_reply *reply,
    rr_window_result *out, rr_diag *diag) {
    rr_buf clean = {0};
    rr_clean_utf8(reply->text.data != NULL ? reply->text.data : "", reply->text.bytes, &clean);
    char *text = clean.failed || reply->text.failed
        ? NULL
        : rr_arena_copy(arena, clean.data != NULL ? clean.data : "", clean.bytes);
    size_t bytes = clean.bytes;
    rr_buf_destroy(&clean);
    uint32_t *passages = rr_arena_alloc(arena, call->n, sizeof *passages);
    uint32_t *permutation = rr_arena_alloc(arena, call->n, sizeof *permutation);
    const rr_passage_read *reads = NULL;
    if (text == NULL || passages == NULL || permutation == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory while ranking");
    }
    RR_TRY(reply->reads != NULL ? copy_reads(arena, reply->reads, call->n, &reads, diag) : RR_OK);
    memcpy(passages, call->order, call->n * sizeof *passages);
    rr_answer answer;
    rr_answer_parse(text, bytes, call->n, permutation, &answer);
    *out = (rr_window_result){
        .window = call->window,
        .passages = passages,
        .permutation = permutation,
        .n = call->n,
        .n_listed = answer.n_listed,
        .repaired = answer.repaired &&
            (answer.dropped || reply->n_wanted == 0 || answer.n_listed < reply->n_wanted),
        .truncated = reply->truncated || answer.unclosed,
        .reads = reads,
        .response = {text, bytes},
        .reasoning = answer.reasoning,
        .answer = answer.answer,
        .prompt_tokens = reply->prompt_tokens,
        .reused_tokens = reply->reused_tokens,
        .shared_tokens = reply->shared_tokens,
        .generated_tokens = reply->generated_tokens,
        .prompt_ns = reply->prompt_ns,
        .generate_ns = reply->generate_ns,
    };
    return RR_OK;
}

void rr_ranking_destroy(rr_ranking *ranking) {
    rr_arena_destroy(&ranking->arena);
    *ranking = (rr_ranking){0};
}

size_t rr_ranking_n_late(const rr_ranking *ranking) {
    size_t n_late = 0;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        n_late += ranking->windows[i].late;
    }
    return n_late;
}
