/* A model as the responder of the window loop.
 * Owns: how an answer is got out of a session: rendering, generating, stopping at the answer's end, finishing by force an
 * answer that was cut. Does not own the engine or the session. */
#ifndef RR_RERANK_RESPONDER_H
#define RR_RERANK_RESPONDER_H

#include "rerank/rerank.h"
#include "runtime/engine/draft.h"
#include "runtime/engine/engine.h"

enum { RR_RESPONDER_MAX_TOKENS = 2048 };

/* What a model does while it answers. Any member may be NULL. Called on the thread that asks the responder. */
typedef struct rr_responder_events {
    /* The prompt: tokens computed so far and in all (reused ones are in neither). */
    void (*prompt)(void *user, const rr_call *call, size_t done, size_t total);
    /* Text as it is written, whole characters of valid UTF-8; `n_tokens` were generated so far for this call. `bytes` may
     * be 0. Returning false cancels the ranking. */
    bool (*text)(void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens);
    void *user;
} rr_responder_events;

typedef struct rr_model_responder {
    rr_engine *engine;   /* borrowed */
    rr_session *session; /* borrowed */
    const rr_tokenizer *tokenizer; /* set by rr_model_responder_make */
    rr_prompt_style style;
    uint32_t max_tokens; /* a window; 0 = RR_RESPONDER_MAX_TOKENS */
    float temperature;   /* 0 = greedy */
    float top_p;         /* 0 or 1 = off */
    uint64_t seed;       /* call i of a query draws with a seed made of this and i */
    /* At temperature 0 what the model writes is guessed from the window's passages, from what it wrote before, and from these
     * texts (draft.h); guesses change no byte of the answer. */
    rr_draft_sources drafts;
    bool no_drafts;
    rr_responder_events events;
} rr_model_responder;

/* The responder borrows `model`. Errors: as rr_engine_tokenizer. Errors while it answers: RR_E_INPUT when a window does not fit the context (says what to change),
 * RR_E_CANCELLED (rr_session_cancel, or an event returned false), and those of rr_chat_encode and the session.
 *
 * Generation stops once the answer is closed. With RR_PROMPT_REARANK a text that ends without an answer (all tokens spent,
 * or the model stopped) is continued behind "</think> <answer> [" (what of it is missing) for at most 6 tokens a passage
 * and a few more, and closed; the reply then says `truncated`. */
rr_status rr_model_responder_make(rr_model_responder *model, rr_responder *out, rr_diag *diag);

#endif
