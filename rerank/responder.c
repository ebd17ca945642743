#include "rerank/responder.h"

#include <string.h>

#include "rerank/answer_text.h"
#include "rerank/read.h"
#include "rerank/strict.h"
#include "runtime/base/text.h"

/* "[20] > " is up to six tokens; the rest is for the closing tag. */
enum { TOKENS_PER_ID = 6, TOKENS_OF_TAGS = 24 };

static size_t finish_tokens(uint32_t n) {
    return (size_t)n * TOKENS_PER_ID + TOKENS_OF_TAGS;
}

/* Continues a text that has no answer behind the tags that it lacks, and closes the answer. */
static rr_status finish_by_force(rr_turn *turn, rr_stop stop, rr_reply *reply, rr_diag *diag) {
    const char *tags =
        rr_answer_finish(turn->text->data, turn->text->bytes, turn->call->n, stop == RR_STOP_END);
    if (tags == NULL) {
        return RR_OK;
    }
    reply->truncated = true;
    if (tags[0] != '\0') {
        RR_TRY(
            rr_tokenizer_encode(turn->model->tokenizer, tags, strlen(tags), &turn->timeline, diag));
        RR_TRY(rr_turn_force(turn, tags, diag));
    }
    /* a model that ended inside its answer would only end again */
    if (tags[0] != '\0' || stop != RR_STOP_END) {
        RR_TRY(rr_turn_generate(turn, finish_tokens(turn->call->n), reply, &stop, diag));
    }
    /* so that no digit before the answer is read as part of it */
    return rr_answer_is_closed(turn->text->data, turn->text->bytes)
        ? RR_OK
        : rr_turn_force(turn, "</answer>", diag);
}

static rr_status answer_freely(rr_turn *turn, rr_reply *reply, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    rr_stop stop = RR_STOP_END;
    size_t max_tokens = 0;
    turn->is_over = rr_turn_is_answered;
    RR_TRY(rr_turn_room(turn,
        model->how.max_tokens == 0 ? RR_RESPONDER_MAX_TOKENS : model->how.max_tokens,
        finish_tokens(turn->call->n), &max_tokens, diag));
    RR_TRY(rr_turn_generate(turn, max_tokens, reply, &stop, diag));
    reply->truncated = stop == RR_STOP_MAX_TOKENS || stop == RR_STOP_CONTEXT;
    return model->style == RR_PROMPT_REARANK ? finish_by_force(turn, stop, reply, diag) : RR_OK;
}

static void on_prompt(void *user, size_t done, size_t total) {
    const rr_turn *turn = user;
    const rr_responder_events *events = &turn->model->events;
    events->prompt(events->user, turn->call, done, total);
}

/* For guessing the next answer: a window shares passages and phrases with the one before. */
static void remember(rr_model_responder *model, const rr_turn *turn) {
    const size_t n = turn->timeline.n - turn->n_prompt;
    if (model->earlier != NULL && n > 0) {
        model->n_earlier = n < model->earlier_room ? n : model->earlier_room;
        memcpy(model->earlier, turn->timeline.ids + turn->n_prompt,
            model->n_earlier * sizeof *model->earlier);
    }
}

static void set_deadline(const rr_model_responder *model, uint64_t time_ns) {
    rr_session_deadline(model->session, time_ns);
    if (model->drafting != NULL) {
        rr_session_deadline(model->drafting, time_ns);
    }
}

static rr_status model_respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    rr_model_responder *model = user;
    const rr_answer_mode mode = call->reasons ? model->how.then_mode : model->how.mode;
    rr_turn turn = {.model = model, .call = call, .text = &reply->text};
    rr_status status = RR_OK;
    set_deadline(model, call->deadline_ns);
    if (model->events.begin != NULL) {
        model->events.begin(model->events.user, call);
    }
    if (model->events.prompt != NULL) {
        rr_session_on_sync_progress(model->session, on_prompt, &turn);
    }
    if (mode != RR_ANSWER_READ) {
        RR_TRY_GOTO(rr_chat_encode(
            model->tokenizer, call->prompt->messages, call->prompt->n, true, &turn.timeline, diag));
        turn.n_prompt = turn.timeline.n;
    }
    switch (mode) {
    case RR_ANSWER_FREE:
        status = answer_freely(&turn, reply, diag);
        break;
    case RR_ANSWER_STRICT:
        status = rr_turn_strict(&turn, reply, diag);
        break;
    case RR_ANSWER_LOGITS:
        status = rr_turn_scores(&turn, reply, diag);
        break;
    case RR_ANSWER_READ:
        status = rr_turn_read(&turn, reply, diag);
        break;
    }
    if (status == RR_OK) {
        remember(model, &turn);
    }
fail:
    reply->generated_tokens = turn.n_generated; /* also of an answer that was not finished */
    rr_session_release(model->session);
    rr_session_on_sync_progress(model->session, NULL, NULL);
    set_deadline(model, 0);
    rr_tokens_destroy(&turn.timeline);
    return status;
}

rr_status rr_answer_params_check(
    const rr_answer_params *how, rr_prompt_style style, rr_diag *diag) {
    return how->mode != RR_ANSWER_READ || (how->readout != NULL && style == RR_PROMPT_REARANK)
        ? RR_OK
        : rr_fail(diag, RR_E_USAGE,
              "reading needs a readout and the prompt that lets the model reason");
}

rr_status rr_model_responder_make(rr_model_responder *model, rr_responder *out, rr_diag *diag) {
    RR_TRY(rr_answer_params_check(&model->how, model->style, diag));
    RR_TRY(rr_engine_tokenizer(model->engine, &model->tokenizer, diag));
    if (model->how.mode == RR_ANSWER_STRICT || model->how.mode == RR_ANSWER_LOGITS ||
        model->how.then_mode == RR_ANSWER_STRICT) {
        RR_TRY(rr_answer_tokens_make(model->tokenizer, model->style, &model->answer, diag));
    }
    *out = (rr_responder){model_respond, model};
    return RR_OK;
}

static bool is_rearank(const char *model_name, bool has_readout) {
    (void)has_readout;
    return rr_ascii_find(model_name, "rearank") != NULL;
}

static bool can_be_read(const char *model_name, bool has_readout) {
    (void)model_name;
    return has_readout;
}

static bool is_any(const char *model_name, bool has_readout) {
    (void)model_name;
    (void)has_readout;
    return true;
}

/* The first row that holds. */
static const struct {
    bool (*holds)(const char *model_name, bool has_readout);
    rr_way way;
} ways[] = {
    {is_rearank, {RR_ANSWER_FREE, "its model was trained to reason and rank"}},
    {can_be_read, {RR_ANSWER_READ, "there is a readout for its model"}},
    {is_any,
        {RR_ANSWER_STRICT, "there is no readout for its model, which was not trained to rank"}},
};

rr_way rr_way_default(const char *model_name, bool has_readout) {
    size_t i = 0;
    while (!ways[i].holds(model_name, has_readout)) {
        i++;
    }
    return ways[i].way;
}

rr_way rr_way_written(const char *model_name) {
    return rr_way_default(model_name, false);
}
