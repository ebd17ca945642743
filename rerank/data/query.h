/* What is ranked: a query and its passages. Plain data; whoever made it keeps the memory. */
#ifndef RR_RERANK_DATA_QUERY_H
#define RR_RERANK_DATA_QUERY_H

#include "runtime/base/text.h"

typedef struct rr_passage {
    /* NUL-terminated, valid UTF-8, no control characters; unique within the query */
    const char *id;
    rr_text title; /* bytes == 0: none */
    rr_text text;  /* any bytes */
    double score;  /* of the first stage; 0 when unknown */
} rr_passage;

typedef struct rr_query {
    const char *qid; /* as rr_passage's id */
    rr_text text;
    const rr_passage *passages; /* [n] in the order of the first stage, best first */
    size_t n;
} rr_query;

#endif
