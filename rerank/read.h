/* RR_ANSWER_READ: a window ranked by what is read of its prompt, without a generated token. What it
 * promises: rerank/responder.h, at rr_model_responder_make. */
#ifndef RR_RERANK_READ_H
#define RR_RERANK_READ_H

#include "rerank/turn.h"

/* Of a turn without a timeline, which it makes. */
rr_status rr_turn_read(rr_turn *turn, rr_reply *reply, rr_diag *diag);

#endif
