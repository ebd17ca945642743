/* The scheduler: which rows the next pass computes. Calls of many threads queue their rows as
 * requests and wait. One of the waiting threads at a time, the leader, collects what fits into a
 * pass, runs it for all, and hands the lead on. The scheduler has no thread of its own and allocates
 * nothing for a pass.
 * - Decode: the rows of all waiting requests share a pass, up to RR_DECODE_ROWS. The leader waits
 *   once, for a moment, for sessions that were just given a token or a chunk and will ask for the
 *   next. So sessions that run in step stay in step. A single session waits for nothing.
 * - Prefill: a prompt is computed chunk by chunk. Of several prompts, the one with the earliest
 *   virtual finish time goes first: the time at which it would end if all sessions of the engine
 *   shared the device evenly from its arrival on (fair queueing). So equal prompts end one after
 *   another and their answers start early, and a short prompt overtakes a long one, but cannot delay
 *   it beyond its virtual finish time.
 * - Where decode rows wait too, they share the pass with a chunk.
 * - Prompt tokens that another session of the engine holds are shared, not computed
 *   (shared_prefix.h).
 * Which rows share a pass changes no bit of any of them. Shared by the files of this folder only. */
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
