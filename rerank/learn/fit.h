/* Fits a readout (rerank/readout.h) to windows with grades: pairwise logistic regression over what
 * was read of them. Owns: the loss, its minimum, the choice of the penalty by cross-validation, the
 * calibration. Pure: the same windows in the same order give the same bytes. */
#ifndef RR_RERANK_LEARN_FIT_H
#define RR_RERANK_LEARN_FIT_H

#include "rerank/learn/fit_windows.h"
#include "rerank/readout.h"

/* One window to learn from. Borrows all. */
typedef struct rr_fit_sample {
    uint32_t set;
    const char *qid; /* a query's windows go into one fold */
    const rr_read_features *features;
    const int32_t *grades;     /* [features->n] */
    const double *first_stage; /* [features->n] scores; NULL = none */
} rr_fit_sample;

enum { RR_FIT_FOLDS = 5, RR_FIT_SETS = 16 };

/* How good a way to score is on queries that were not fitted on, a set: means over its windows. */
typedef struct rr_fit_figures {
    size_t n_windows;
    double ndcg;  /* nDCG@10 within the window, gain = grade, by trec_eval's rules */
    double pairs; /* share of pairs of different grade that it orders rightly */
    double loss;  /* mean of ln(1 + e^−difference) over these pairs */
} rr_fit_figures;

/* Which numbers are taken. A part that is left out has weight 0. */
typedef struct rr_fit_parts {
    bool no_query_rows, no_last_row, no_states, no_place, no_length;
    uint32_t state_layer; /* the only one that is taken; 0 = chosen by cross-validation */
} rr_fit_parts;

typedef struct rr_fit_params {
    const rr_fit_sample *samples; /* [n] */
    size_t n;
    rr_read_shape shape; /* of the samples' features */
    rr_fit_parts parts;
    /* of attention's weights, on numbers of deviation 1; 0 = chosen */
    double penalty;
    double state_penalty;    /* of the states' weights; 0 = chosen */
    rr_progress_fn progress; /* may be NULL */
    void *progress_user;
} rr_fit_params;

typedef struct rr_fit_result {
    double penalty, state_penalty; /* as chosen */
    uint32_t state_layer;          /* 0 = none */
    /* the order shown; the first stage's scores */
    rr_fit_figures shown[RR_FIT_SETS], first_stage[RR_FIT_SETS];
    /* on held-out folds: without and with the first stage's score */
    rr_fit_figures read[RR_FIT_SETS], both[RR_FIT_SETS];
} rr_fit_result;

/* Fits shape, weights, first_stage, draw, slope and intercept of `out`, whose other members are the
 * caller's; its shape has the chosen state layer alone. Every window counts the same. Errors:
 * RR_E_INPUT when there is nothing to tell apart or what was read is not finite, RR_E_MEMORY. Cost:
 * some minutes for some hundred windows. */
rr_status rr_readout_fit(
    const rr_fit_params *params, rr_readout *out, rr_fit_result *result, rr_diag *diag);

#endif
