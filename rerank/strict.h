/* Answers under a grammar, and rankings from logits alone: of a turn whose timeline holds the
 * prompt. What they promise: rerank/responder.h, at rr_model_responder_make. */
#ifndef RR_RERANK_STRICT_H
#define RR_RERANK_STRICT_H

#include "rerank/turn.h"

rr_status rr_turn_strict(rr_turn *turn, rr_reply *reply, rr_diag *diag); /* RR_ANSWER_STRICT */
rr_status rr_turn_scores(rr_turn *turn, rr_reply *reply, rr_diag *diag); /* RR_ANSWER_LOGITS */

#endif
