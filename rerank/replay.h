/* Recorded answers as a responder: `rearank replay` and tests rank without a model.
 * Owns: whether a recording holds the answers that a ranking asks for. */
#ifndef RR_RERANK_REPLAY_H
#define RR_RERANK_REPLAY_H

#include "rerank/rerank.h"

/* Answers from a recording. Errors of its responder: RR_E_INPUT when an answer is missing. */
typedef struct rr_replay {
    const rr_recording *recording; /* borrowed */
    const char *label;             /* the recording in messages */
} rr_replay;
rr_responder rr_replay_responder(rr_replay *replay);
/* Fails with RR_E_INPUT when the recording holds more answers than the schedule of a query asks
 * for, as far as that is known before, or answers for a query that is not among the candidates. */
rr_status rr_replay_check(const rr_replay *replay, const rr_candidates *candidates,
    const rr_rank_params *params, rr_diag *diag);
/* Fails with RR_E_INPUT when the recording holds more answers for a query than its ranking asked
 * for. */
rr_status rr_replay_check_used(
    const rr_replay *replay, const rr_query *query, const rr_ranking *ranking, rr_diag *diag);

#endif
