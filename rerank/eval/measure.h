/* Measures of a ranking: their names and their formulas.
 * Owns: what each measure means. Definitions are those of trec_eval 10 (NIST), under its names and
 * the usual short ones. Pure functions over one query; who reads files and averages is
 * rerank/eval/eval.h. */
#ifndef RR_RERANK_EVAL_MEASURE_H
#define RR_RERANK_EVAL_MEASURE_H

#include "runtime/base/status.h"

/* What a ranked passage's level is when there is no judgement. */
/* not among the judgements; among them with a level below 0 */
enum { RR_UNPOOLED = -1, RR_UNJUDGED = -2 };

/* One query's ranking, judged. Borrowed arrays. */
typedef struct rr_judged {
    const int32_t *levels; /* [n] in rank order: >= 0, RR_UNPOOLED or RR_UNJUDGED */
    size_t n;
    const int32_t *ideal; /* [n_ideal] all judged levels >= 0 of the query, falling */
    size_t n_ideal;
    int32_t relevant_from;    /* levels from here on count as relevant */
    size_t n_relevant;        /* of `ideal` */
    size_t n_relevant_ranked; /* of `levels` */
} rr_judged;

typedef enum rr_measure_mean {
    RR_MEAN,
    RR_MEAN_SUM /* counts */,
    RR_MEAN_GEOMETRIC
} rr_measure_mean;

typedef struct rr_measure {
    char name[32]; /* as it was asked for */
    double (*compute)(const rr_judged *judged, const struct rr_measure *measure);
    size_t cut;      /* ranks that count; SIZE_MAX = all */
    double fraction; /* of recall or of R, for the measures that take one */
    rr_measure_mean mean;
} rr_measure;

/* Counts are printed without decimals and not tested for significance. */
static inline bool rr_measure_is_count(const rr_measure *measure) {
    return measure->mean == RR_MEAN_SUM;
}

enum { RR_MEASURES_MAX = 256 };
typedef struct rr_measures {
    rr_measure items[RR_MEASURES_MAX];
    size_t n;
} rr_measures;

/* Reads a list of names with commas between: ndcg@10, map, mrr, recall@100, p@5, success@1,
 * judged@10, trec_eval's own names (ndcg_cut_10, P_5, recip_rank, iprec_at_recall_0.10, …) and the
 * sets "official" (what trec_eval prints) and "all_trec". Errors: RR_E_USAGE with the measures
 * there are; too many. */
rr_status rr_measures_parse(const char *list, rr_measures *out, rr_diag *diag);
/* For a usage text: the names in one line each with their meaning. */
const char *rr_measures_help(void);

/* Sum over ranks 1 to `cut` of level / log2(rank + 1); levels below 0 count as 0. */
double rr_dcg(const int32_t *levels, size_t n, size_t cut);

/* Formulas (eval_formulas.c). All give 0 when nothing is ranked or nothing is relevant. Cost:
 * linear in n. */
#define RR_FORMULA(name) \
    double rr_formula_##name(const rr_judged *judged, const rr_measure *measure)
RR_FORMULA(num_q);
RR_FORMULA(num_ret);
RR_FORMULA(num_rel);
RR_FORMULA(num_rel_ret);
RR_FORMULA(num_nonrel_judged_ret);
RR_FORMULA(ap);    /* map, map@k, gm_map */
RR_FORMULA(rprec); /* precision at fraction * R, rounded as trec_eval does */
RR_FORMULA(bpref);
RR_FORMULA(rr);         /* recip_rank */
RR_FORMULA(iprec);      /* the best precision at or after a recall of `fraction` */
RR_FORMULA(iprec_mean); /* 11pt_avg */
RR_FORMULA(p);
RR_FORMULA(recall);
RR_FORMULA(relative_p);
RR_FORMULA(success);
RR_FORMULA(unjudged);
RR_FORMULA(judged);
RR_FORMULA(ndcg);
RR_FORMULA(ndcg_rel);   /* nDCG averaged over the relevant passages */
RR_FORMULA(ndcg_steps); /* Rndcg: nDCG averaged where the ideal's gain changes */
RR_FORMULA(inf_ap);
RR_FORMULA(gain);        /* G */
RR_FORMULA(gain_binary); /* binG */
RR_FORMULA(rbp);         /* persistence 0.9 */
RR_FORMULA(rbp_residual);
RR_FORMULA(utility);
RR_FORMULA(set_p);
RR_FORMULA(set_recall);
RR_FORMULA(set_relative_p);
RR_FORMULA(set_map);
RR_FORMULA(set_f);

#endif
