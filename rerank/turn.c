#include "rerank/turn.h"

#include <string.h>

#include "rerank/answer_text.h"
#include "runtime/base/thread.h"

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

/* An <answer> that the thinking only mentions does not end it. The whole text is looked at when a
 * tag has just been written. */
bool rr_turn_is_thought(const rr_turn *turn, size_t from) {
    return rr_turn_wrote(turn, from, RR_THINK_CLOSE) ||
        (rr_turn_wrote(turn, from, RR_ANSWER_OPEN) &&
            !rr_answer_is_thinking(turn->text->data, turn->text->bytes));
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
        .temperature = model->how.temperature,
        .top_p = model->how.top_p,
        .seed = rr_turn_seed(turn),
        .on_token = on_token,
        .user = turn,
        .draft = model->how.no_drafts ? NULL : rr_draft_by_model,
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

/* What tags may take beyond what they are reckoned at, so that a hold ends no answer that the
 * context does not end. */
enum { TOKENS_TO_SPARE = 64 };

rr_status rr_turn_room(
    const rr_turn *turn, size_t wanted, size_t n_answer, size_t *out, rr_diag *diag) {
    size_t n_context = rr_engine_plan(turn->model->engine)->compute.limits.n_context;
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
