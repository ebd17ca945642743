/* What a prompt tells without an answer: where the attention of chosen tokens rests, and hidden
 * states of chosen tokens (reading.h). Owns: the call that computes a prompt as far as that needs
 * and brings both back, with the same bits whatever was reused or shared of the prompt before the
 * first token that is looked at. What they mean is the caller's business. */
#ifndef RR_ENGINE_READ_H
#define RR_ENGINE_READ_H

#include "runtime/compute/reading.h"
#include "runtime/engine/engine.h"

/* Computes the prompt `tokens` [n] up to the last token that is looked at, and no layer that is not
 * needed; the head is not run. The engine must have been opened with `readings`. Tokens before the
 * first one that is looked at are reused and shared as by rr_session_sync. Afterwards the timeline
 * is what was computed; where not all layers were, only another reading can go on from it, and
 * other calls begin anew. Errors: RR_E_USAGE (what rr_session_sync refuses; positions that are not
 * ascending or not in the prompt, too many of them, layers that the model does not have, an engine
 * without `readings`, nothing to look at), RR_E_CANCELLED, RR_E_DEADLINE, RR_E_DEVICE; then the
 * outputs mean nothing. Cost: a prompt's, less what is not run; the attention of a row costs about
 * what the row's own attention costs. */
rr_status rr_session_read(
    rr_session *session, const int32_t *tokens, size_t n, const rr_reading *reading, rr_diag *diag);

#endif
