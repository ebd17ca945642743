/* Which rows the next pass takes. Calls of many threads hand their rows in as requests and wait;
 * one of the waiting threads at a time, the leader, collects what fits into a pass, runs it for all
 * and hands the lead on. No thread of its own, nothing is allocated for a pass.
 * - Decode rows of all who wait share a pass (up to RR_DECODE_ROWS). Sessions that were just given
 *   a token or a chunk, and will come back for the next, are waited for a moment, once, so that
 *   sessions in step stay so; one that is alone waits for nobody.
 * - A prompt goes chunk by chunk. Of several, the one goes on that would end first if, from when
 *   each came, all sessions of the engine took turns with it. So equal ones end one after another,
 *   answers begin early and ride along with the prompts that follow; short ones overtake a long
 *   one, but only those that come while it could not have ended in turns. Where decode rows wait
 *   too, they and a chunk share a pass.
 * - A prompt's tokens that another session of the engine holds already are shared instead of
 *   computed (share.h).
 * Which rows meet in a pass changes no bit of any of them. Shared by the files of this folder
 * only. */
#ifndef RR_ENGINE_SCHEDULER_H
#define RR_ENGINE_SCHEDULER_H

#include "runtime/engine/request.h"

rr_status rr_scheduler_create(rr_scheduler **out, rr_diag *diag);
void rr_scheduler_destroy(rr_scheduler **scheduler);

/* Runs `n` requests (at least 1) of different sessions; returns when all are done. On success the
 * timelines hold the tokens: of a decode request the first alone, whose results the session has,
 * while rows behind it have KV and `best`; given rows all. Returns the first request's status that
 * is not RR_OK, with its text. Errors: RR_E_DEVICE, RR_E_CANCELLED (prompts), RR_E_DEADLINE (before
 * each pass; a prompt's also between submits), those of `each`. After an error a session holds what
 * it held before, of a prompt also what it shared. */
rr_status rr_scheduler_run(rr_engine *engine, rr_request *requests, size_t n, rr_diag *diag);

/* From here to `leave` the session's thread comes back soon after each token. `drafted` and
 * `accepted` are counted. */
void rr_scheduler_enter(rr_session *session);
void rr_scheduler_leave(rr_session *session, uint64_t n_drafted, uint64_t n_accepted);

/* Measured times of passes by decode rows [RR_DECODE_ROWS + 1], 0 = not yet, and how many the last
 * one had. */
typedef struct rr_decode_costs {
    double pass_ns[RR_DECODE_ROWS + 1];
    uint32_t last_rows;
} rr_decode_costs;
/* Those of passes like the one that comes next: with a whole chunk of a prompt beside the rows, or
 * without. */
void rr_scheduler_costs(rr_engine *engine, rr_decode_costs *out);

/* For tests: a pass waits up to `ns` for sessions that will come back, whatever it takes itself; 0
 * = as it takes. */
void rr_scheduler_set_patience(rr_engine *engine, uint64_t ns);

#endif
