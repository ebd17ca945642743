/* A pool (rerank/pool.h) as the ranker of a server.
 * Owns: what the wishes of a request mean for windows, prompts and answers. */
#ifndef RR_RERANK_SERVE_POOL_RANKER_H
#define RR_RERANK_SERVE_POOL_RANKER_H

#include "rerank/pool.h"
#include "rerank/serve/ranker.h"

/* Borrowed by the ranker that is made of it. */
typedef struct rr_pool_ranker {
    rr_pool *pool;
    const rr_readout *readout; /* of the pool's model; NULL = it cannot be read */
    rr_serve_mode mode;        /* where a request names none; not RR_SERVE_MODE_DEFAULT */
    /* Where it says nothing else. passage_chars and then_reason are of what is read alone. */
    rr_rank_params rank;
    rr_answer_params answer; /* mode and readout are not looked at */
} rr_pool_ranker;

rr_ranker rr_pool_ranker_make(rr_pool_ranker *ranker);

#endif
