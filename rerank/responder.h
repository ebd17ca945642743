/* A model as the responder of the window loop.
 * Owns: how an answer is got out of a session: freely (stopping at the answer's end, finishing by
 * force an answer that was cut), strictly (under a grammar) or from logits alone. Does not own the
 * engine or the session. */
#ifndef RR_RERANK_RESPONDER_H
#define RR_RERANK_RESPONDER_H

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

/* What a model does while it answers. Any member may be NULL. Called on the thread that asks the
 * responder. */
typedef struct rr_responder_events {
    /* The prompt: tokens that are there so far and in all (reused ones are in neither). */
    void (*prompt)(void *user, const rr_call *call, size_t done, size_t total);
    /* Text as it is written, whole characters of valid UTF-8; `n_tokens` were generated so far for
     * this call. `bytes` may be 0. Returning false cancels the ranking. */
    bool (*text)(void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens);
    void *user;
} rr_responder_events;

typedef struct rr_model_responder {
    rr_engine *engine;             /* borrowed */
    rr_session *session;           /* borrowed */
    const rr_tokenizer *tokenizer; /* set by rr_model_responder_make */
    rr_prompt_style style;
    rr_answer_mode mode;
    /* of calls that reason (rr_call.reasons): RR_ANSWER_FREE or RR_ANSWER_STRICT */
    rr_answer_mode then_mode;
    const rr_readout *readout; /* RR_ANSWER_READ: borrowed; of this engine's model */
    uint32_t passage_chars; /* … of a passage that the prompt shows, as rr_rank_params has it */
    /* … the mean over so many orders of the window: as shown, turned round, random ones; 0 = 1 */
    uint32_t n_orders;
    rr_answer_tokens answer; /* set by rr_model_responder_make, but for RR_ANSWER_FREE */
    uint32_t max_tokens;     /* a window; 0 = RR_RESPONDER_MAX_TOKENS */
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

/* The responder borrows `model`. Errors: as rr_engine_tokenizer and rr_answer_tokens_make. Errors
 * while it answers: RR_E_INPUT when a window does not fit the context (says what to change),
 * RR_E_CANCELLED (rr_session_cancel, or an event returned false), RR_E_DEADLINE (the call's; the
 * session's own is overwritten), and those of rr_chat_encode and the session.
 *
 * Generation stops once the answer is closed. With RR_PROMPT_REARANK a text that ends without an
 * answer (all tokens spent, or the model stopped) is continued behind "</think> <answer> [" (what
 * of it is missing) for at most 6 tokens a passage and a few more, and closed; the reply then says
 * `truncated`.
 *
 * RR_ANSWER_STRICT: the model thinks freely until it closes <think>, opens its answer outside of
 * one, ends, or has spent the budget (the reply then says `truncated`; none at all is a spent
 * budget too). Missing tags are put behind it (rr_answer_opening), and from the first "[" on a
 * grammar lets the model choose nothing but ids that are not listed yet; what is not to be chosen
 * is not asked. Tags and answer go through the decode family, several tokens a pass
 * (rr_session_logits_of). With RR_PROMPT_RANKGPT the grammar begins at once. generated_tokens
 * counts what the model thought and chose.
 *
 * RR_ANSWER_LOGITS: the prompt, then "<answer> [" (RR_PROMPT_RANKGPT: "[") as prompt tokens; an
 * id's score is the probability of its digits and of what ends it, among what the grammar admits
 * there. For ids of one digit in windows below 10 that takes nothing but the prompt's own logits;
 * else one token more for each beginning that several ids share (1 and 2 among 1…20). The ranking,
 * equals in the window's order, is written as an answer that the model did not write. temperature
 * is not looked at.
 *
 * RR_ANSWER_READ: the prompt of the readout, as far as it is looked at (rr_session_read); the
 * engine must have been opened with `readings`. A passage's first-stage score counts where passages
 * have different ones. The reply has `reads`; the ranking, equals in the window's order, is written
 * as an answer that the model did not write. Nothing is computed ahead: what is looked at must be
 * computed when it is. */
rr_status rr_model_responder_make(rr_model_responder *model, rr_responder *out, rr_diag *diag);

/* How a model ranks where nobody says how, and why in a few words (static): one named Rearank,
 * which was trained to, reasons freely; one that a readout is at hand for is read; any other
 * answers strictly. Pure. */
typedef struct rr_way {
    rr_answer_mode mode;
    const char *why;
} rr_way;
rr_way rr_way_default(const char *model_name, bool has_readout);
/* The same among the ways that write an answer. */
rr_way rr_way_written(const char *model_name);

#endif
