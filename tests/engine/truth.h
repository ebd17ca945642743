/* Whole-model truth: an engine's logits at every position against the float32 reference of the same
 * weights. */
#ifndef RR_TESTS_ENGINE_TRUTH_H
#define RR_TESTS_ENGINE_TRUTH_H

#include <math.h>

#include "runtime/engine/engine.h"
#include "runtime/ref/ref.h"
#include "tests/check.h"

/* What is kept of one model's logits over a prompt, and how the other's compare. */
typedef struct truth_comparison {
    size_t n, n_vocab;
    float *truth; /* [n][n_vocab] */
    size_t n_seen, n_agree;
    double kl; /* sum over positions of KL(truth, engine), in nats */
    double worst_kl;
    double squares, error; /* of the truth, of the difference, each row less its mean */
} truth_comparison;

static inline rr_status truth_keep(
    void *user, size_t position, const float *logits, rr_diag *diag) {
    (void)diag;
    truth_comparison *c = user;
    memcpy(c->truth + position * c->n_vocab, logits, c->n_vocab * sizeof *logits);
    return RR_OK;
}

static inline double truth_log_sum_exp(const float *logits, size_t n) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, (double)logits[i]);
    }
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)logits[i] - most);
    }
    return most + log(sum);
}

static inline rr_status truth_compare(
    void *user, size_t position, const float *logits, rr_diag *diag) {
    (void)diag;
    truth_comparison *c = user;
    const float *truth = c->truth + position * c->n_vocab;
    double truth_sum = truth_log_sum_exp(truth, c->n_vocab),
           sum = truth_log_sum_exp(logits, c->n_vocab), kl = 0;
    double truth_mean = 0, mean = 0;
    for (size_t i = 0; i < c->n_vocab; i++) {
        double log_p = (double)truth[i] - truth_sum, log_q = (double)logits[i] - sum;
        kl += exp(log_p) * (log_p - log_q);
        truth_mean += (double)truth[i] / (double)c->n_vocab;
        mean += (double)logits[i] / (double)c->n_vocab;
    }
    for (size_t i = 0; i < c->n_vocab; i++) {
        double a = (double)truth[i] - truth_mean, b = (double)logits[i] - mean;
        c->squares += a * a;
        c->error += (a - b) * (a - b);
    }
    uint32_t best[2];
    rr_ref_argmax(truth, 1, (uint32_t)c->n_vocab, &best[0]);
    rr_ref_argmax(logits, 1, (uint32_t)c->n_vocab, &best[1]);
    CHECK_MSG(position == c->n_seen, "position %zu came after %zu", position, c->n_seen);
    c->n_seen++;
    c->n_agree += best[0] == best[1];
    c->kl += kl;
    c->worst_kl = isfinite(kl) ? fmax(c->worst_kl, kl) : kl;
    return RR_OK;
}

typedef struct truth_limits {
    double agree, mean_kl, nmse;
} truth_limits;

/* The reference's logits at every position of tokens[n]; to be ended by truth_forget. */
static inline truth_comparison truth_reference(
    rr_ref_model *ref, const int32_t *tokens, size_t n, size_t n_vocab) {
    truth_comparison c = {.n = n, .n_vocab = n_vocab};
    rr_diag diag = {0};
    c.truth = malloc(n * c.n_vocab * sizeof *c.truth);
    const rr_ref_observer observer = {.logits = truth_keep, .user = &c};
    CHECK_OK(rr_ref_forward(ref, tokens, n, &observer, &diag), diag);
    return c;
}

static inline void truth_forget(truth_comparison *c) {
    free(c->truth);
    *c = (truth_comparison){0};
}

/* Runs an engine over the same tokens; the figures in *c are then this engine's. */
static inline void truth_check(const char *name, rr_engine *engine, const int32_t *tokens,
    truth_comparison *c, const truth_limits *limit) {
    rr_diag diag = {0};
    rr_session *session = NULL;
    *c = (truth_comparison){.n = c->n, .n_vocab = c->n_vocab, .truth = c->truth};
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    if (session != NULL) {
        CHECK_OK(rr_session_logits_all(session, tokens, c->n, truth_compare, c, &diag), diag);
    }
    double agree = (double)c->n_agree / (double)c->n, kl = c->kl / (double)c->n,
           nmse = c->error / c->squares;
    printf("%-24s %4zu positions: top-1 agreement %.2f %%, KL mean %.2e, worst %.2e, NMSE %.2e\n",
        name, c->n_seen, 100 * agree, kl, c->worst_kl, nmse);
    fflush(stdout);
    CHECK_INT(c->n_seen, c->n);
    CHECK_MSG(agree >= limit->agree, "%s: top-1 agreement %.4f, at least %.4f", name, agree,
        limit->agree);
    CHECK_MSG(kl <= limit->mean_kl, "%s: mean KL %.3e, at most %.1e", name, kl, limit->mean_kl);
    CHECK_MSG(nmse <= limit->nmse, "%s: NMSE %.3e, at most %.1e", name, nmse, limit->nmse);
    rr_session_destroy(&session);
}

/* Runs both models over the tokens; `ref` outlives many prompts. */
static inline void truth_check_prompt(const char *name, rr_engine *engine, rr_ref_model *ref,
    const int32_t *tokens, size_t n, const truth_limits *limit) {
    truth_comparison c = truth_reference(ref, tokens, n, rr_engine_model(engine)->config.n_vocab);
    truth_check(name, engine, tokens, &c, limit);
    truth_forget(&c);
}

/* `exact` and `graph` as in rr_engine_params. */
static inline rr_engine *truth_open_graph(
    const char *path, uint32_t n_context, uint32_t chunk, bool exact, const char *graph) {
    rr_engine *engine = NULL;
    rr_diag diag = {0};
    const rr_engine_params params = {.compute.model_path = path,
        .compute.n_context = n_context,
        .compute.prompt_chunk = chunk,
        .compute.exact = exact,
        .compute.graph = graph,
        .compute.lift = true,
        .compute.validation = getenv("REARANK_TEST_VALIDATION") != NULL};
    CHECK_OK(rr_engine_open(&params, &engine, &diag), diag);
    return engine;
}

static inline rr_engine *truth_open_engine(
    const char *path, uint32_t n_context, uint32_t chunk, bool exact) {
    return truth_open_graph(path, n_context, chunk, exact, getenv("REARANK_TEST_GRAPH"));
}

/* Ends the program as skipped where there is no Vulkan driver at all; any later device error
 * fails. */
static inline void truth_need_device(void) {
    rr_vk_instance *instance = NULL;
    rr_diag diag = {0};
    if (rr_vk_instance_create(&(rr_vk_instance_params){0}, &instance, &diag) != RR_OK) {
        CHECK_SKIP("%s", diag.text);
    }
    rr_vk_instance_destroy(&instance);
}

#endif
