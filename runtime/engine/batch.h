/* Requests that share a pass, and the pass over them. Shared by the files of this folder only. */
#ifndef RR_ENGINE_BATCH_H
#define RR_ENGINE_BATCH_H

#include "runtime/engine/request.h"

typedef struct rr_batch {
    rr_request *rows[RR_DECODE_ROWS]; /* decode requests [n] */
    uint32_t n, n_rows;               /* … and how many rows they have */
    /* whose tokens [begin, end) are computed, a chunk; NULL = none */
    rr_request *prompt;
    size_t begin, end;
    /* set by rr_batch_run, with the text of each that is not RR_OK */
    rr_status prompt_status, rows_status;
    rr_diag prompt_diag, rows_diag;
} rr_batch;

/* Runs the pass, a chunk and rows together, and gives the sessions their results; timelines are the
 * scheduler's. The caller leads and does not hold the lock: the sessions' own threads wait. Sets
 * both outcomes: RR_OK, RR_E_DEVICE, RR_E_CANCELLED and RR_E_DEADLINE (the prompt alone: rows are
 * then computed without it), those of `each`. A chunk that ends its prompt has at most
 * RR_DECODE_ROWS − 1 rows beside it, one whose logits are all wanted, or that is read, none. */
void rr_batch_run(rr_engine *engine, rr_batch *b);

#endif
