#define _GNU_SOURCE /* strcasestr */
#include "rerank/turn.h"

#include <string.h>

#include "rerank/answer_text.h"
#include "runtime/base/thread.h"

/* "[20] > " is up to six tokens; the rest is for the closing tag. */
enum { TOKENS_PER_ID = 6, TOKENS_OF_TAGS = 24 };

static size_t finish_tokens(uint32_t n) {
    return (size_t)n * TOKENS_PER_ID + TOKENS_OF_TAGS;
}

bool rr_turn_take(rr_turn *turn, const char *bytes, size_t n_bytes, bool flush) {
    size_t before = turn->text->bytes;
    const rr_responder_events *events = &turn->model->events;
    rr_utf8_stream_push(&turn->utf8, bytes, n_bytes, flush, turn->text);
    if (turn->text->failed || turn->refused) {
        return false;
    }
    size_t n_new = turn->text->bytes - before;
    const char *text = n_new > 0 ? turn->text->data + before : "";
    if (events->text != NULL && (n_new > 0 || n_bytes > 0)) {
        turn->refused = !events->text(events->user, turn->call, text, n_new, turn->n_generated);
    }
    if (turn->call->on_text != NULL && n_new > 0 && !turn->refused) {
        turn->refused =
            !turn->call->on_text(turn->call->listener, turn->text->data, turn->text->bytes);
    }
    return !turn->refused;
}

bool rr_turn_wrote(const rr_turn *turn, size_t from, const char *needle) {
    size_t length = strlen(needle);
    from = from > length ? from - length : 0;
    for (size_t i = from; i + length <= turn->text->bytes; i++) {
        if (memcmp(turn->text->data + i, needle, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Looks only at the end of the text: the whole is parsed when a closing tag has just been
 * written. */
bool rr_turn_is_answered(const rr_turn *turn, size_t from) {
    return rr_turn_wrote(turn, from, RR_ANSWER_CLOSE) &&
        rr_answer_is_closed(turn->text->data, turn->text->bytes);
}

static bool on_token(void *user, int32_t id) {
    rr_turn *turn = user;
    turn->n_generated++;
    size_t before = turn->text->bytes;
    rr_text piece = rr_tokenizer_piece(turn->model->tokenizer, id, false);
    return rr_turn_take(turn, piece.data, piece.bytes, false) && !turn->is_over(turn, before);
}

rr_status rr_turn_sync(rr_turn *turn, rr_reply *reply, rr_diag *diag) {
    rr_session *session = turn->model->session;
    uint64_t start_ns = rr_time_ns();
    RR_TRY(rr_session_sync(session, turn->timeline.ids, turn->timeline.n, diag));
    if (reply->prompt_tokens == 0) {
        reply->prompt_tokens = turn->n_prompt;
        reply->reused_tokens = rr_session_n_reused(session);
        reply->shared_tokens = rr_session_n_shared(session);
    }
    reply->prompt_ns += rr_time_ns() - start_ns;
    return RR_OK;
}

rr_status rr_turn_generate(
    rr_turn *turn, size_t max_tokens, rr_reply *reply, rr_stop *stop, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    const rr_draft_text earlier = {model->earlier, model->n_earlier};
    rr_draft_model drafts = {
        .session = model->drafting, .sources = {.texts = &earlier, .n = model->n_earlier > 0}};
    rr_generate_params params = {
        .max_tokens = (uint32_t)max_tokens,
        .temperature = model->temperature,
        .top_p = model->top_p,
        .seed = rr_turn_seed(turn),
        .on_token = on_token,
        .user = turn,
        .draft = model->no_drafts ? NULL : rr_draft_by_model,
        .draft_user = &drafts,
    };
    RR_TRY(rr_turn_sync(turn, reply, diag));
    uint64_t synced_ns = rr_time_ns();
    rr_generate_result result;
    rr_status status = rr_session_generate(model->session, &params, &turn->timeline, &result, diag);
    reply->generate_ns += rr_time_ns() - synced_ns;
    RR_TRY(status);
    rr_turn_take(turn, NULL, 0, true);
    if (turn->timeline.failed || turn->text->failed) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for an answer");
    }
    if (turn->refused) {
        return rr_fail(diag, RR_E_CANCELLED, "cancelled");
    }
    reply->generated_tokens = turn->n_generated;
    *stop = result.stop;
    return RR_OK;
}

rr_status rr_turn_force(rr_turn *turn, const char *text, rr_diag *diag) {
    if (rr_turn_take(turn, text, strlen(text), true)) {
        return RR_OK;
    }
    return turn->refused ? rr_fail(diag, RR_E_CANCELLED, "cancelled")
                         : rr_fail(diag, RR_E_MEMORY, "out of memory for an answer");
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
    RR_TRY(rr_turn_room(turn, model->max_tokens == 0 ? RR_RESPONDER_MAX_TOKENS : model->max_tokens,
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

/* What tags may take beyond what they are reckoned at, so that a hold ends no answer that the
 * context does not end. */
enum { TOKENS_TO_SPARE = 64 };

rr_status rr_turn_room(
    const rr_turn *turn, size_t wanted, size_t n_answer, size_t *out, rr_diag *diag) {
    size_t n_context = rr_engine_plan(turn->model->engine)->n_context;
    size_t needed = turn->timeline.n + n_answer + 1;
    if (needed > n_context) {
        return rr_fail(diag, RR_E_INPUT,
            "a window of %u passages takes %zu prompt tokens and room for an answer, %zu in "
            "all; the context holds %zu: make the window smaller (a single one: rank fewer passages) "
            "or the context larger",
            turn->call->n, turn->timeline.n, needed, n_context);
    }
    size_t room = n_context - needed + 1;
    *out = wanted < room ? wanted : room;
    const size_t most = needed + *out + TOKENS_TO_SPARE;
    return rr_session_hold(turn->model->session, most < n_context ? most : n_context, diag);
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
    const rr_answer_mode mode = call->reasons ? model->then_mode : model->mode;
    rr_turn turn = {.model = model, .call = call, .text = &reply->text};
    rr_status status = RR_OK;
    set_deadline(model, call->deadline_ns);
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

rr_status rr_model_responder_make(rr_model_responder *model, rr_responder *out, rr_diag *diag) {
    RR_TRY(rr_engine_tokenizer(model->engine, &model->tokenizer, diag));
    if (model->mode == RR_ANSWER_READ &&
        (model->readout == NULL || model->style != RR_PROMPT_REARANK)) {
        return rr_fail(
            diag, RR_E_USAGE, "reading needs a readout and the prompt that lets the model reason");
    }
    if (model->mode == RR_ANSWER_STRICT || model->mode == RR_ANSWER_LOGITS ||
        model->then_mode == RR_ANSWER_STRICT) {
        RR_TRY(rr_answer_tokens_make(model->tokenizer, model->style, &model->answer, diag));
    }
    *out = (rr_responder){model_respond, model};
    return RR_OK;
}

static bool is_rearank(const char *model_name, bool has_readout) {
    (void)has_readout;
    return strcasestr(model_name, "rearank") != NULL;
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
