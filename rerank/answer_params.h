/* How a model is asked about windows, and what it does while it answers: the types that the files
 * which get answers out of a session share. What the modes mean in full: rerank/responder.h. */
#ifndef RR_RERANK_ANSWER_PARAMS_H
#define RR_RERANK_ANSWER_PARAMS_H

#include "rerank/grammar.h"
#include "rerank/readout.h"
#include "rerank/rerank.h"
#include "runtime/engine/draft_model.h"
#include "runtime/engine/engine.h"

enum { RR_RESPONDER_MAX_TOKENS = 2048, RR_THINK_BUDGET = 1024 };
enum { RR_EARLIER_TOKENS = 2048 }; /* room enough for most answers that guesses draw from */

typedef enum rr_answer_mode {
    RR_ANSWER_FREE,   /* whatever the model writes */
    RR_ANSWER_STRICT, /* free thinking, then a grammar: always a whole ranking */
    /* no thinking and no writing: ids in the order of their probability as the answer's first */
    RR_ANSWER_LOGITS,
    RR_ANSWER_READ /* no writing: passages in the order of what a readout says of the prompt */
} rr_answer_mode;

/* How it answers: all of it may differ from query to query. Zero values mean the defaults. */
typedef struct rr_answer_params {
    rr_answer_mode mode;
    /* of calls that reason (rr_call.reasons): RR_ANSWER_FREE or RR_ANSWER_STRICT */
    rr_answer_mode then_mode;
    const rr_readout *readout; /* RR_ANSWER_READ: borrowed; of the engine's model */
    /* … the mean over so many orders of the window: as shown, turned round, random ones; 0 = 1 */
    uint32_t n_orders;
    uint32_t max_tokens; /* a window; 0 = RR_RESPONDER_MAX_TOKENS */
    /* strict: tokens of thinking, at most max_tokens; 0 = RR_THINK_BUDGET, below 0 = none */
    int32_t think_budget;
    /* strict: ids that an answer lists, the others stay behind them in their order; 0 = all */
    uint32_t answer_depth;
    float temperature; /* 0 = greedy */
    float top_p;       /* 0 or 1 = off */
    uint64_t seed;     /* call i of a query draws with a seed made of this and i */
    /* At temperature 0 what the model writes is guessed from the window's passages, from what it
     * has written so far, and from what it wrote last time (draft.h); guesses change no byte of the
     * answer. */
    bool no_drafts;
    /* Strict: every token of the answer is asked of the model, brackets and tags too, one a pass
     * and over the whole vocabulary, as a plain loop would. The same answer, later: to measure
     * against. */
    bool every_token;
} rr_answer_params;

/* What a model does while it answers. Any member may be NULL. Called on the thread that asks the
 * responder. */
typedef struct rr_responder_events {
    /* A window is asked about. One that was begun on a forecast may come again. */
    void (*begin)(void *user, const rr_call *call);
    /* The prompt: tokens that are there so far and in all (reused ones are in neither). */
    void (*prompt)(void *user, const rr_call *call, size_t done, size_t total);
    /* Text as it is written, whole characters of valid UTF-8; `n_tokens` were generated so far for
     * this call. `bytes` may be 0. Returning false cancels the ranking. */
    bool (*text)(void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens);
    void *user;
} rr_responder_events;

/* A session that answers. */
typedef struct rr_model_responder {
    rr_engine *engine;             /* borrowed */
    rr_session *session;           /* borrowed */
    const rr_tokenizer *tokenizer; /* set by rr_model_responder_make */
    rr_prompt_style style;
    uint32_t passage_chars; /* of a passage that the prompt shows, as rr_rank_params has it */
    rr_answer_params how;
    rr_answer_tokens answer; /* set by rr_model_responder_make, but for RR_ANSWER_FREE */
    /* borrowed, used by nobody else: a smaller model that guesses where those texts have nothing
     * (draft_model.h); NULL = none */
    rr_session *drafting;
    /* [earlier_room] the caller's: where the last answer is kept, its beginning when it is longer.
     * NULL = it is forgotten */
    int32_t *earlier;
    size_t earlier_room;
    size_t n_earlier; /* set by the responder */
    rr_responder_events events;
} rr_model_responder;

#endif
