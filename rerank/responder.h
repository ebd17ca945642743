/* A model as the responder of the window loop.
 * Owns: how an answer is got out of a session: freely (stopping at the answer's end, finishing by
 * force an answer that was cut), strictly (under a grammar) or from logits alone. Does not own the
 * engine or the session. */
#ifndef RR_RERANK_RESPONDER_H
#define RR_RERANK_RESPONDER_H

#include "rerank/answer_params.h"

/* Whether windows can be asked about in this way, with prompts of this style. Errors: RR_E_USAGE
 * for reading without a readout, or with another prompt than the one that is read. Pure. */
rr_status rr_answer_params_check(const rr_answer_params *how, rr_prompt_style style, rr_diag *diag);

/* The responder borrows `model`. Errors: as rr_answer_params_check, rr_engine_tokenizer and
 * rr_answer_tokens_make. Errors
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
