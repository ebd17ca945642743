/* A ranking as the bodies that clients of rerank servers read.
 * Owns: the JSON of each dialect. Pure. */
#ifndef RR_RERANK_SERVE_ANSWER_H
#define RR_RERANK_SERVE_ANSWER_H

#include "rerank/serve/outcome.h"

/* Appends the answer: the top_n first in the request's dialect. Errors: RR_E_MEMORY. */
rr_status rr_serve_answer(const rr_serve_request *request, const rr_ranking *ranking,
    const rr_serve_made_by *made_by, rr_buf *out, rr_diag *diag);

#endif
