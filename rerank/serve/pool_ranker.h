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
    /* How a request is ranked that says nothing else. passage_chars and then_reason count only
     * where the model is read; answer.readout is ignored. */
    rr_rank_params rank;
    rr_answer_params answer;
} rr_pool_ranker;

rr_ranker rr_pool_ranker_make(rr_pool_ranker *ranker);

#endif
