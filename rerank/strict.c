#include "rerank/strict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/answer_text.h"
#include "runtime/base/thread.h"

/* Tokens that the tags before an answer may take: each of their bytes at most, and those of one
 * token joined to them. */
enum { TOKENS_OF_OPENING = 40 };

static rr_status out_of_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory for an answer");
}

/* The tokens of `text` behind the last token of the timeline, which they may replace: where the
 * model's last token is one that the tokenizer gives, the two are encoded as one text, so that ">"
 * and "\n" become the ">\n" that they are elsewhere. */
static rr_status join(rr_turn *turn, const char *text, rr_diag *diag) {
    const rr_tokenizer *tokenizer = turn->model->tokenizer;
    const int32_t last = turn->timeline.ids[turn->timeline.n - 1];
    const rr_text piece = rr_tokenizer_piece(tokenizer, last, false);
    rr_buf joined = {0};
    rr_tokens alone = {0};
    rr_status status = RR_OK;
    bool joins = turn->timeline.n > turn->n_prompt && !rr_tokenizer_is_special(tokenizer, last);
    if (joins) {
        RR_TRY_GOTO(rr_tokenizer_encode(tokenizer, piece.data, piece.bytes, &alone, diag));
        joins = alone.n == 1 && alone.ids[0] == last; /* not so for a part of a character */
    }
    if (joins) {
        rr_buf_append(&joined, piece.data, piece.bytes);
        turn->timeline.n--;
    }
    rr_buf_text(&joined, text);
    if (joined.failed) {
        status = out_of_memory(diag);
        goto fail;
    }
    RR_TRY_GOTO(rr_tokenizer_encode(tokenizer, joined.data, joined.bytes, &turn->timeline, diag));
fail:
    rr_buf_destroy(&joined);
    rr_tokens_destroy(&alone);
    return status;
}

/* Writes what must stand before the list of ids. */
static rr_status open_answer(rr_turn *turn, rr_diag *diag) {
    const char *tags = turn->model->style == RR_PROMPT_REARANK
        ? rr_answer_opening(turn->text->data, turn->text->bytes)
        : "[";
    if (tags[0] != '\0') {
        RR_TRY(join(turn, tags, diag));
        RR_TRY(rr_turn_force(turn, tags, diag));
    }
    return turn->timeline.failed ? out_of_memory(diag) : RR_OK;
}

/* The logits of `choices` [n] behind the timeline, as a plain loop has them: of the last `n_new`
 * tokens each takes a pass of its own, with the whole head. */
static rr_status ask_plainly(const rr_turn *turn, size_t n_new, const int32_t *choices, uint32_t n,
    float *out, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    const rr_tokens *timeline = &turn->timeline;
    int32_t ids[RR_GRAMMAR_CHOICES + 1] = {
        (int32_t)rr_engine_model(model->engine)->config.n_vocab - 1};
    float logits[RR_GRAMMAR_CHOICES + 1];
    for (size_t i = n_new; i > 1; i--) {
        RR_TRY(rr_session_logits_of(
            model->session, timeline->ids, timeline->n - i + 1, ids, 1, logits, diag));
    }
    memcpy(ids + 1, choices, n * sizeof *choices);
    RR_TRY(
        rr_session_logits_of(model->session, timeline->ids, timeline->n, ids, n + 1, logits, diag));
    memcpy(out, logits + 1, n * sizeof *out);
    return RR_OK;
}

/* Writes the list of ids behind `n_new` tokens that the model has not seen: what is to be chosen is
 * chosen by its logits. */
static rr_status write_list(rr_turn *turn, rr_grammar *grammar, size_t n_new, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    int32_t choices[RR_GRAMMAR_CHOICES];
    float logits[RR_GRAMMAR_CHOICES];
    uint32_t n;
    /* not the draws of the thinking once more */
    uint64_t rng = rr_turn_seed(turn) ^ UINT64_C(0xA0761D6478BD642F);
    while ((n = rr_grammar_next(grammar, choices)) > 0) {
        size_t chosen = 0;
        if (n > 1 || model->how.every_token) {
            RR_TRY(model->how.every_token ? ask_plainly(turn, n_new, choices, n, logits, diag)
                                          : rr_session_logits_of(model->session, turn->timeline.ids,
                                                turn->timeline.n, choices, n, logits, diag));
            n_new = 0;
        }
        if (n > 1) {
            chosen = rr_choose(logits, n, model->how.temperature, model->how.top_p, &rng);
            turn->n_generated++;
        }
        rr_grammar_take(grammar, choices[chosen]);
        rr_tokens_push(&turn->timeline, choices[chosen]);
        n_new++;
        if (turn->timeline.failed) {
            return out_of_memory(diag);
        }
        rr_text piece = rr_tokenizer_piece(model->tokenizer, choices[chosen], false);
        if (!rr_turn_take(turn, piece.data, piece.bytes, false)) {
            return turn->refused ? rr_fail(diag, RR_E_CANCELLED, "cancelled") : out_of_memory(diag);
        }
    }
    return RR_OK;
}

/* Lets the model think. */
static rr_status think(rr_turn *turn, size_t n_answer, rr_reply *reply, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    const size_t limit =
        model->how.max_tokens == 0 ? RR_RESPONDER_MAX_TOKENS : model->how.max_tokens;
    size_t budget = model->how.think_budget == 0 ? RR_THINK_BUDGET
        : model->how.think_budget < 0            ? 0
                                                 : (size_t)model->how.think_budget;
    rr_stop stop = RR_STOP_MAX_TOKENS;
    if (model->style != RR_PROMPT_REARANK) {
        budget = 0;
        stop = RR_STOP_END;
    }
    RR_TRY(rr_turn_room(
        turn, budget < limit ? budget : limit, n_answer + TOKENS_OF_OPENING, &budget, diag));
    if (budget > 0) {
        turn->is_over = rr_turn_is_thought;
        RR_TRY(rr_turn_generate(turn, budget, reply, &stop, diag));
    } else {
        RR_TRY(rr_turn_sync(turn, reply, diag));
    }
    reply->truncated = stop == RR_STOP_MAX_TOKENS || stop == RR_STOP_CONTEXT;
    return RR_OK;
}

rr_status rr_turn_strict(rr_turn *turn, rr_reply *reply, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    rr_grammar grammar;
    rr_grammar_begin(&grammar, &model->answer, turn->call->n, model->how.answer_depth);
    RR_TRY(
        think(turn, rr_answer_tokens_most(&model->answer, turn->call->n, model->how.answer_depth),
            reply, diag));
    uint64_t start_ns = rr_time_ns();
    const size_t n_thought = turn->timeline.n;
    RR_TRY(open_answer(turn, diag));
    RR_TRY(write_list(turn, &grammar, turn->timeline.n + 1 - n_thought, diag));
    reply->generate_ns += rr_time_ns() - start_ns;
    reply->generated_tokens = turn->n_generated;
    reply->n_wanted = grammar.n_wanted;
    return RR_OK;
}

/* Scores */

typedef struct scored {
    double score; /* log of a probability */
    uint32_t id;
} scored;

static int by_score(const void *left, const void *right) {
    const scored *a = left, *b = right;
    return a->score != b->score ? (a->score < b->score ? 1 : -1) : a->id < b->id ? -1 : 1;
}

/* Logits to logs of probabilities; a NaN counts as the least. */
static void log_softmax(const float *logits, uint32_t n, double *out) {
    double most = -INFINITY, sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = isnan(logits[i]) ? -1e30 : (double)logits[i];
        most = out[i] > most ? out[i] : most;
    }
    for (uint32_t i = 0; i < n; i++) {
        sum += exp(out[i] - most);
    }
    for (uint32_t i = 0; i < n; i++) {
        out[i] -= most + log(sum);
    }
}

/* Scores every id that begins with the digits that `grammar` has seen; `score` is theirs. The
 * timeline comes back as it was. */
static rr_status score_ids(
    rr_turn *turn, const rr_grammar *grammar, double score, scored *out, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    int32_t choices[RR_GRAMMAR_CHOICES];
    float logits[RR_GRAMMAR_CHOICES];
    double logs[RR_GRAMMAR_CHOICES] = {0.0};
    const uint32_t n = rr_grammar_next(grammar, choices);
    if (n > 1 && grammar->number == 0) { /* the prompt's own */
        const float *all = NULL;
        RR_TRY(rr_session_logits(model->session, &all, diag));
        for (uint32_t i = 0; i < n; i++) {
            logits[i] = all[choices[i]];
        }
    } else if (n > 1) {
        RR_TRY(rr_session_logits_of(
            model->session, turn->timeline.ids, turn->timeline.n, choices, n, logits, diag));
    }
    if (n > 1) {
        log_softmax(logits, n, logs);
    }
    for (uint32_t i = 0; i < n; i++) {
        rr_grammar next = *grammar;
        rr_grammar_take(&next, choices[i]);
        if (next.n_listed > 0) {
            out[grammar->number - 1] = (scored){score + logs[i], grammar->number};
            continue;
        }
        rr_tokens_push(&turn->timeline, choices[i]);
        if (turn->timeline.failed) {
            return out_of_memory(diag);
        }
        RR_TRY(score_ids(turn, &next, score + logs[i], out, diag));
        turn->timeline.n--;
    }
    return RR_OK;
}

rr_status rr_turn_scores(rr_turn *turn, rr_reply *reply, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    const char *opening = model->style == RR_PROMPT_REARANK ? "<answer> [" : "[";
    const uint32_t n = turn->call->n;
    scored ids[RR_WINDOW_MAX];
    rr_grammar grammar;
    size_t room;
    RR_TRY(rr_turn_room(turn, 0, TOKENS_OF_OPENING, &room, diag));
    RR_TRY(rr_tokenizer_encode(model->tokenizer, opening, strlen(opening), &turn->timeline, diag));
    RR_TRY(rr_turn_sync(turn, reply, diag));
    uint64_t start_ns = rr_time_ns();
    rr_grammar_begin(&grammar, &model->answer, n, 1);
    RR_TRY(score_ids(turn, &grammar, 0.0, ids, diag));
    qsort(ids, n, sizeof *ids, by_score);
    rr_buf text = {0};
    rr_buf_text(&text, opening);
    for (uint32_t i = 0; i < n; i++) {
        rr_buf_printf(&text, i == 0 ? "%u" : "] > [%u", ids[i].id);
    }
    rr_buf_text(&text, model->style == RR_PROMPT_REARANK ? "] </answer>" : "]");
    rr_buf_append(&text, "", 1);
    rr_status status = text.failed ? out_of_memory(diag) : rr_turn_force(turn, text.data, diag);
    rr_buf_destroy(&text);
    reply->generate_ns += rr_time_ns() - start_ns;
    return status;
}
