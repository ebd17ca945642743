/* What the calls of a session have in common. Shared by the files of this folder only. */
#ifndef RR_ENGINE_SESSION_CALL_H
#define RR_ENGINE_SESSION_CALL_H

#include "runtime/engine/request.h"

/* Errors: RR_E_USAGE for what no call takes: no tokens, too many, ids out of range, a session
 * without room. */
rr_status rr_session_check_tokens(
    const rr_session *session, const int32_t *tokens, size_t n, rr_diag *diag);
/* Tokens of `tokens` [n] that the timeline begins with, for a call that runs the first `n_layers`
 * layers: 0 where it has fewer. */
size_t rr_session_common(
    const rr_session *session, const int32_t *tokens, size_t n, uint32_t n_layers);
/* Cuts the timeline to its first `n` tokens, those that a call reuses; nothing is shared yet. */
void rr_session_reuse(rr_session *session, size_t n);
/* Computes what the session lacks of `tokens` [n], chunk by chunk, in one turn; `like` says all
 * else of the requests. */
rr_status rr_session_run_prompt(
    rr_session *session, const int32_t *tokens, size_t n, const rr_request *like, rr_diag *diag);
/* Whether there is a timeline to go on from: RR_E_USAGE, saying what must come first. */
rr_status rr_session_is_ready(const rr_session *session, rr_diag *diag);
/* True once for each cancel. */
bool rr_session_take_cancel(rr_session *session);
/* Whether a call may go on: RR_E_CANCELLED once for each cancel, RR_E_DEADLINE from the deadline
 * on. */
rr_status rr_session_check(rr_session *session, rr_diag *diag);

#endif
