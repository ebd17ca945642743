/* A ranking in the client's terms: all documents that were sent, each once.
 * Owns: their order and scores (blank ones last), the tokens and the time that it took. Pure. */
#ifndef RR_RERANK_SERVE_OUTCOME_H
#define RR_RERANK_SERVE_OUTCOME_H

#include "rerank/rerank.h"
#include "rerank/serve/request.h"

/* What a server ranked a request with. */
typedef struct rr_serve_made_by {
    const char *id; /* of the request */
    const char *model, *device;
    const char *mode;    /* a name of rr_serve_mode_names */
    rr_prompt_form form; /* of the prompts, in which explanations have their places */
} rr_serve_made_by;

/* One place of the outcome. */
typedef struct rr_serve_result {
    uint32_t index; /* of the document as it was sent */
    double score;   /* falls strictly, in (0, 1]; a float's value */
} rr_serve_result;

/* out[request->n]: every document once, best first. `ranking` is of request->query. Scores are the
 * ranking's where its windows were read, else made of the ranks; blank documents have less than all
 * others. */
void rr_serve_results(
    const rr_serve_request *request, const rr_ranking *ranking, rr_serve_result *out);

/* Tokens of a ranking: of its prompts, and generated. */
typedef struct rr_serve_usage {
    uint64_t prompt_tokens, computed_tokens, generated_tokens;
    uint64_t window_ns; /* of prompts and generation, waits for the device included */
    size_t n_late;      /* windows */
} rr_serve_usage;
rr_serve_usage rr_serve_usage_of(const rr_ranking *ranking);

#endif
