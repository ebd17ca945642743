/* One answer in progress, shared by the files that get answers out of a session: responder.c (free
 * text), strict.c, read.c. Owns: the answer's text and tokens, and that events get them. */
#ifndef RR_RERANK_TURN_H
#define RR_RERANK_TURN_H

#include "rerank/answer_params.h"

typedef struct rr_turn {
    const rr_model_responder *model;
    const rr_call *call;
    rr_tokens timeline; /* prompt and all that was generated or forced */
    size_t n_prompt;    /* tokens of the prompt */
    rr_buf *text;       /* whole characters */
    rr_utf8_stream utf8;
    size_t n_generated;
    bool refused; /* an event asked to stop */
    /* whether text that was written at or after `from` ends it */
    bool (*is_over)(const struct rr_turn *turn, size_t from);
} rr_turn;

/* Appends bytes as whole characters and tells the listener; false when generation must end. */
bool rr_turn_take(rr_turn *turn, const char *bytes, size_t n_bytes, bool flush);

/* Whether `needle` was completed at or after byte `from` of the text. */
bool rr_turn_wrote(const rr_turn *turn, size_t from, const char *needle);

/* Whether what was written at or after byte `from` ended a free answer, or the thinking before a
 * strict one: what stands inside a <think> ends neither, but for its </think>. */
bool rr_turn_is_answered(const rr_turn *turn, size_t from);
bool rr_turn_is_thought(const rr_turn *turn, size_t from);

/* Appends a text that the model did not write. */
rr_status rr_turn_force(rr_turn *turn, const char *text, rr_diag *diag);

/* Computes what is new in the timeline as prompt tokens. */
rr_status rr_turn_sync(rr_turn *turn, rr_reply *reply, rr_diag *diag);

/* Generates up to `max_tokens` (not 0) behind the timeline, until the turn is over. */
rr_status rr_turn_generate(
    rr_turn *turn, size_t max_tokens, rr_reply *reply, rr_stop *stop, rr_diag *diag);

/* How many of `wanted` tokens may be generated when `n_answer` must stay free in the context. Comes
 * before the first sync: waits until the session has room for all of them (rr_session_hold), which
 * it keeps to the turn's end. Errors: RR_E_INPUT when the prompt leaves no room for that,
 * RR_E_CANCELLED, RR_E_DEADLINE. */
rr_status rr_turn_room(
    const rr_turn *turn, size_t wanted, size_t n_answer, size_t *out, rr_diag *diag);

/* A window's draws differ from other windows'. */
static inline uint64_t rr_turn_seed(const rr_turn *turn) {
    return turn->model->how.seed + turn->call->index * UINT64_C(0x9E3779B97F4A7C15);
}

#endif
