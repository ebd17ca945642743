/* The numbers of all windows stand as a matrix with a row a number, so that sums over passages run
 * along memory. Numbers are divided by the root mean square of their differences within pairs; the
 * penalty is on weights of these. */
#include "rerank/learn/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/eval/measure.h"
#include "rerank/learn/fit_minimize.h"
#include "runtime/base/hash.h"

enum { LANES = 8, STEPS = 150, CUT = 10, NO_FOLD = -1 };
static const double tolerance = 1e-5;

/* Compiled for wider vectors too. Sums have fixed lanes and nothing is contracted
 * (compile_options.cmake), so the bytes are the same. Which one is taken is found out before the
 * thread sanitizer is ready: with it a program would end at its start. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif
static const double penalties[] = {0.003, 0.01, 0.03, 0.1, 0.3},
                    state_penalties[] = {0.03, 0.1, 0.3, 1.0};
enum {
    N_PENALTIES = sizeof penalties / sizeof penalties[0],
    N_STATE_PENALTIES = sizeof state_penalties / sizeof state_penalties[0]
};

/* All windows, with one state layer or none. */
typedef struct problem {
    const rr_fit_params *params;
    rr_read_shape shape;
    /* rows = passages of all windows; stride: rounded up to LANES, the rest zeros */
    size_t n_weights, n_rows, stride;
    float *x;        /* [n_weights][stride], divided by scales */
    double *scales;  /* [n_weights] */
    size_t *first;   /* [n_windows + 1] */
    int *folds;      /* [n_windows] */
    double *weights; /* [n_windows] that add up to 1; 0 = not fitted on */
    double penalty, state_penalty;
    double *z, *slopes; /* [stride] */
    /* [RR_FIT_FOLDS][n_weights] where the last fit of each fold ended: the next begins there */
    double *starts;
} problem;

static rr_status out_of_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory for the numbers of a fit");
}

/* Pairs */

static size_t n_pairs(const int32_t *grades, uint32_t n) {
    size_t pairs = 0;
    for (uint32_t a = 0; a < n; a++) {
        for (uint32_t b = 0; b < n; b++) {
            pairs += grades[a] > grades[b];
        }
    }
    return pairs;
}

/* ln(1 + e^−d), and minus its slope. */
static double pair_loss(double d, double *slope) {
    const double e = exp(-fabs(d));
    *slope = d > 0 ? e / (1 + e) : 1 / (1 + e);
    return log1p(e) + (d > 0 ? 0 : -d);
}

/* Mean loss over the pairs of a window; adds weight × its slopes by passage. */
static double window_loss(
    const int32_t *grades, uint32_t n, const double *z, double weight, double *slopes) {
    const double each = 1.0 / (double)n_pairs(grades, n);
    double sum = 0, slope;
    for (uint32_t a = 0; a < n; a++) {
        for (uint32_t b = 0; b < n; b++) {
            if (grades[a] > grades[b]) {
                sum += each * pair_loss(z[a] - z[b], &slope);
                if (slopes != NULL) {
                    slopes[a] -= weight * each * slope;
                    slopes[b] += weight * each * slope;
                }
            }
        }
    }
    return sum;
}

/* The problem */

static size_t n_mass(const problem *p) {
    return rr_read_n_mass(&p->shape, 1);
}

/* The penalty of weight k: states have their own, what is no model's number hardly any. */
static double penalty_of(const problem *p, size_t k) {
    return k < n_mass(p)                       ? p->penalty
        : k + RR_READOUT_EXTRAS < p->n_weights ? p->state_penalty
                                               : 1e-4;
}

static bool is_left_out(const problem *p, size_t k) {
    const rr_fit_parts *parts = &p->params->parts;
    if (k < n_mass(p)) {
        return k % RR_READ_KINDS == RR_READ_QUERY ? parts->no_query_rows : parts->no_last_row;
    }
    const size_t back = p->n_weights - k; /* 1 = the length, then places */
    return back > RR_READOUT_EXTRAS ? parts->no_states
        : back == 1                 ? parts->no_length
                                    : parts->no_place;
}

WIDE static double row_dot(const float *x, const double *y, size_t n) {
    double lanes[LANES] = {0}, sum = 0;
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            lanes[j] += (double)x[i + j] * y[i + j];
        }
    }
    for (size_t j = 0; j < LANES; j++) {
        sum += lanes[j];
    }
    return sum;
}

WIDE static void add_row(const float *x, double weight, size_t n, double *z) {
    for (size_t i = 0; i < n; i++) {
        z[i] += weight * (double)x[i];
    }
}

static void score_rows(problem *p, const double *w) {
    memset(p->z, 0, p->stride * sizeof *p->z);
    for (size_t k = 0; k < p->n_weights; k++) {
        if (w[k] != 0) {
            add_row(p->x + k * p->stride, w[k], p->stride, p->z);
        }
    }
}

static double objective(void *user, const double *w, double *g) {
    problem *p = user;
    double sum = 0;
    score_rows(p, w);
    memset(p->slopes, 0, p->stride * sizeof *p->slopes);
    for (size_t i = 0; i < p->params->n; i++) {
        const rr_fit_sample *s = &p->params->samples[i];
        if (p->weights[i] > 0) {
            sum += p->weights[i] *
                window_loss(s->grades, s->features->n, p->z + p->first[i], p->weights[i],
                    p->slopes + p->first[i]);
        }
    }
    for (size_t k = 0; k < p->n_weights; k++) {
        const double penalty = penalty_of(p, k);
        g[k] = row_dot(p->x + k * p->stride, p->slopes, p->stride) + 2 * penalty * w[k];
        sum += penalty * w[k] * w[k];
    }
    return sum;
}

/* Which windows are fitted on: all but those of a fold. */
static void weigh(problem *p, int left_out) {
    size_t n = 0;
    for (size_t i = 0; i < p->params->n; i++) {
        n += p->folds[i] != left_out;
    }
    for (size_t i = 0; i < p->params->n; i++) {
        p->weights[i] = p->folds[i] != left_out ? 1.0 / (double)n : 0.0;
    }
}

static void problem_destroy(problem *p) {
    free(p->x);
    free(p->scales);
    free(p->first);
    free(p->folds);
    free(p->weights);
    free(p->z);
    free(p->slopes);
    free(p->starts);
    *p = (problem){0};
}

/* Root mean square of the differences within pairs of row k; every window counts the same. */
static double difference(const problem *p, const float *x) {
    double sum = 0;
    for (size_t i = 0; i < p->params->n; i++) {
        const rr_fit_sample *s = &p->params->samples[i];
        const double each =
            1.0 / ((double)n_pairs(s->grades, s->features->n) * (double)p->params->n);
        for (uint32_t a = 0; a < s->features->n; a++) {
            for (uint32_t b = 0; b < s->features->n; b++) {
                const double d = (double)x[p->first[i] + a] - (double)x[p->first[i] + b];
                sum += s->grades[a] > s->grades[b] ? each * d * d : 0;
            }
        }
    }
    return sqrt(sum);
}

/* Less the window's mean, so that floats hold what counts; then divided by the scales. */
static void scale_rows(problem *p) {
    for (size_t k = 0; k < p->n_weights; k++) {
        float *x = p->x + k * p->stride;
        for (size_t i = 0; i < p->params->n; i++) {
            double mean = 0;
            const size_t n = p->first[i + 1] - p->first[i];
            for (size_t j = p->first[i]; j < p->first[i + 1]; j++) {
                mean += (double)x[j] / (double)n;
            }
            for (size_t j = p->first[i]; j < p->first[i + 1]; j++) {
                x[j] = is_left_out(p, k) ? 0 : (float)((double)x[j] - mean);
            }
        }
        const double scale = difference(p, x);
        p->scales[k] = scale > 1e-9 ? scale : INFINITY; /* says nothing: weight 0 */
        for (size_t i = 0; i < p->stride; i++) {
            x[i] = (float)((double)x[i] / p->scales[k]);
        }
    }
}

/* The samples' features with state layer number `layer` (−1 = none) alone. */
static void features_with(
    const rr_fit_params *params, const rr_read_features *all, int layer, rr_read_features *out) {
    *out = *all;
    out->states = layer < 0 ? NULL : all->states + (size_t)layer * all->n * params->shape.d_model;
}

static rr_status problem_make(const rr_fit_params *params, int layer, problem *p, rr_diag *diag) {
    size_t n_rows = 0, most = 0;
    for (size_t i = 0; i < params->n; i++) {
        n_rows += params->samples[i].features->n;
        most = params->samples[i].features->n > most ? params->samples[i].features->n : most;
    }
    *p = (problem){.params = params,
        .shape = params->shape,
        .n_rows = n_rows,
        .stride = (n_rows + LANES - 1) / LANES * LANES};
    p->shape.n_state_layers = layer >= 0;
    p->shape.state_layers[0] = layer >= 0 ? params->shape.state_layers[layer] : 0;
    p->n_weights = rr_readout_n_weights(&p->shape);
    p->x = calloc(p->n_weights * p->stride, sizeof *p->x);
    p->scales = calloc(p->n_weights, sizeof *p->scales);
    p->first = calloc(params->n + 1, sizeof *p->first);
    p->folds = calloc(params->n, sizeof *p->folds);
    p->weights = calloc(params->n, sizeof *p->weights);
    p->z = calloc(p->stride, sizeof *p->z);
    p->slopes = calloc(p->stride, sizeof *p->slopes);
    p->starts = calloc(RR_FIT_FOLDS * p->n_weights, sizeof *p->starts);
    double *numbers = malloc(most * p->n_weights * sizeof *numbers);
    if (p->x == NULL || p->scales == NULL || p->first == NULL || p->folds == NULL ||
        p->weights == NULL || p->z == NULL || p->slopes == NULL || p->starts == NULL ||
        numbers == NULL) {
        free(numbers);
        problem_destroy(p);
        return out_of_memory(diag);
    }
    for (size_t i = 0; i < params->n; i++) {
        const rr_fit_sample *s = &params->samples[i];
        rr_read_features features;
        features_with(params, s->features, layer, &features);
        rr_readout_numbers(&p->shape, &features, numbers);
        p->first[i + 1] = p->first[i] + features.n;
        p->folds[i] = (int)(rr_hash(1, s->qid, strlen(s->qid)) % RR_FIT_FOLDS);
        for (uint32_t a = 0; a < features.n; a++) {
            for (size_t k = 0; k < p->n_weights; k++) {
                p->x[k * p->stride + p->first[i] + a] = (float)numbers[a * p->n_weights + k];
            }
        }
    }
    free(numbers);
    scale_rows(p);
    return RR_OK;
}

/* Fits on all but a fold (NO_FOLD = on all): w [n_weights], of the divided numbers. */
static rr_status fit(problem *p, int left_out, double *w, rr_diag *diag) {
    weigh(p, left_out);
    return rr_minimize(objective, p, p->n_weights, w, tolerance, STEPS, diag);
}

/* Figures */

static double ndcg(const int32_t *grades, uint32_t n, const double *z) {
    int32_t ranked[RR_READ_PASSAGES], ideal[RR_READ_PASSAGES];
    uint32_t order[RR_READ_PASSAGES];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i, best = i;
        for (; at > 0 && z[order[at - 1]] < z[i]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
        for (; best > 0 && ideal[best - 1] < grades[i]; best--) {
            ideal[best] = ideal[best - 1];
        }
        ideal[best] = grades[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        ranked[i] = grades[order[i]];
    }
    return rr_dcg(ranked, n, CUT) / rr_dcg(ideal, n, CUT);
}

/* Figures of scores z of all passages, by set. */
static void judge(const problem *p, const double *z, rr_fit_figures *out) {
    memset(out, 0, RR_FIT_SETS * sizeof *out);
    for (size_t i = 0; i < p->params->n; i++) {
        const rr_fit_sample *s = &p->params->samples[i];
        const uint32_t n = s->features->n;
        const double *of = z + p->first[i];
        rr_fit_figures *f = &out[s->set];
        double right = 0;
        for (uint32_t a = 0; a < n; a++) {
            for (uint32_t b = 0; b < n; b++) {
                right += s->grades[a] > s->grades[b] ? (of[a] > of[b]           ? 1.0
                                                               : of[a] == of[b] ? 0.5
                                                                                : 0.0)
                                                     : 0.0;
            }
        }
        f->n_windows++;
        f->pairs += right / (double)n_pairs(s->grades, n);
        f->ndcg += ndcg(s->grades, n, of);
        f->loss += window_loss(s->grades, n, of, 0, NULL);
    }
    for (size_t s = 0; s < RR_FIT_SETS; s++) {
        const double n = out[s].n_windows > 0 ? (double)out[s].n_windows : 1;
        out[s].pairs /= n;
        out[s].ndcg /= n;
        out[s].loss /= n;
    }
}

static double mean_loss(const rr_fit_figures *figures) {
    double sum = 0, n = 0;
    for (size_t s = 0; s < RR_FIT_SETS; s++) {
        sum += figures[s].loss * (double)figures[s].n_windows;
        n += (double)figures[s].n_windows;
    }
    return sum / n;
}

/* Scores of every window by a fit on the folds that it is not in: held_out [stride]. */
static rr_status cross_validate(problem *p, double *held_out, rr_diag *diag) {
    rr_status status = RR_OK;
    for (int fold = 0; fold < RR_FIT_FOLDS && status == RR_OK; fold++) {
        double *w = p->starts + (size_t)fold * p->n_weights;
        status = fit(p, fold, w, diag);
        score_rows(p, w);
        for (size_t i = 0; i < p->params->n; i++) {
            if (p->folds[i] == fold) {
                memcpy(held_out + p->first[i], p->z + p->first[i],
                    (p->first[i + 1] - p->first[i]) * sizeof *held_out);
            }
        }
    }
    return status;
}

/* Choosing */

typedef struct choice {
    int layer; /* number of the state layer; −1 = none */
    double penalty, state_penalty;
    double loss;
} choice;

typedef struct progress {
    const rr_fit_params *params;
    uint64_t done, total;
} progress;

static void tell(progress *at, uint64_t done) {
    at->done = done;
    if (at->params->progress != NULL) {
        at->params->progress(at->params->progress_user, "fitting", done, at->total);
    }
}

/* Tries penalties; keeps the best in `best`. */
static rr_status try_penalties(problem *p, int layer, double penalty, double state_penalty,
    progress *at, choice *best, rr_diag *diag) {
    rr_fit_figures figures[RR_FIT_SETS];
    double *held_out = calloc(p->stride, sizeof *held_out);
    if (held_out == NULL) {
        return out_of_memory(diag);
    }
    p->penalty = penalty;
    p->state_penalty = state_penalty;
    const rr_status status = cross_validate(p, held_out, diag);
    if (status == RR_OK) {
        judge(p, held_out, figures);
        const double loss = mean_loss(figures);
        if (loss < best->loss) {
            *best = (choice){layer, penalty, state_penalty, loss};
        }
        tell(at, at->done + 1);
    }
    free(held_out);
    return status;
}

/* The best penalty of attention with the states' as it is. */
static rr_status choose_penalty(
    problem *p, int layer, double state_penalty, progress *at, choice *best, rr_diag *diag) {
    const rr_fit_params *params = p->params;
    for (size_t i = 0; i < N_PENALTIES; i++) {
        if (params->penalty == 0 || i == 0) {
            RR_TRY(try_penalties(p, layer, params->penalty != 0 ? params->penalty : penalties[i],
                state_penalty, at, best, diag));
        }
    }
    return RR_OK;
}

static rr_status choose_state_penalty(
    problem *p, int layer, double penalty, progress *at, choice *best, rr_diag *diag) {
    const rr_fit_params *params = p->params;
    for (size_t i = 0; i < N_STATE_PENALTIES; i++) {
        if (params->state_penalty == 0 || i == 0) {
            RR_TRY(try_penalties(p, layer, penalty,
                params->state_penalty != 0 ? params->state_penalty : state_penalties[i], at, best,
                diag));
        }
    }
    return RR_OK;
}

static bool layer_is_wanted(const rr_fit_params *params, int layer) {
    return !params->parts.no_states &&
        (params->parts.state_layer == 0 ||
            params->parts.state_layer == params->shape.state_layers[layer]);
}

/* Without states first; then each state layer with its best penalty; then attention's penalty
 * beside the best of them. */
static rr_status choose(const rr_fit_params *params, choice *out, rr_diag *diag) {
    const uint64_t n_penalties = params->penalty != 0 ? 1 : N_PENALTIES,
                   n_state_penalties = params->state_penalty != 0 ? 1 : N_STATE_PENALTIES;
    progress at = {params, 0, n_penalties * 2};
    for (uint32_t i = 0; i < params->shape.n_state_layers; i++) {
        at.total += layer_is_wanted(params, (int)i) ? n_state_penalties : 0;
    }
    problem p = {0};
    choice best = {.layer = -1, .loss = INFINITY};
    RR_TRY(problem_make(params, -1, &p, diag));
    rr_status status = choose_penalty(&p, -1, 1.0, &at, &best, diag);
    problem_destroy(&p);
    const double penalty = best.penalty;
    for (int layer = 0; layer < (int)params->shape.n_state_layers && status == RR_OK; layer++) {
        if (layer_is_wanted(params, layer)) {
            RR_TRY(problem_make(params, layer, &p, diag));
            status = choose_state_penalty(&p, layer, penalty, &at, &best, diag);
            problem_destroy(&p);
        }
    }
    if (status == RR_OK && best.layer >= 0) {
        RR_TRY(problem_make(params, best.layer, &p, diag));
        status = choose_penalty(&p, best.layer, best.state_penalty, &at, &best, diag);
        problem_destroy(&p);
    }
    tell(&at, at.total);
    *out = best;
    return status;
}

/* What is fitted on held-out scores */

typedef struct two {
    problem *p;
    const double *read, *first_stage; /* [stride] */
    double *z, *slopes;
} two;

/* Pairwise loss of w[0] read + w[1] first stage. */
static double objective_two(void *user, const double *w, double *g) {
    two *t = user;
    const rr_fit_params *params = t->p->params;
    double sum = 0;
    g[0] = g[1] = 0;
    for (size_t i = 0; i < t->p->n_rows; i++) {
        t->z[i] = w[0] * t->read[i] + w[1] * t->first_stage[i];
        t->slopes[i] = 0;
    }
    for (size_t i = 0; i < params->n; i++) {
        const size_t first = t->p->first[i];
        sum += t->p->weights[i] *
            window_loss(params->samples[i].grades, params->samples[i].features->n, t->z + first,
                t->p->weights[i], t->slopes + first);
    }
    for (size_t i = 0; i < t->p->n_rows; i++) {
        g[0] += t->slopes[i] * t->read[i];
        g[1] += t->slopes[i] * t->first_stage[i];
    }
    return sum;
}

/* Logistic loss of whether a passage's grade is above 0. */
static double objective_calibration(void *user, const double *w, double *g) {
    two *t = user;
    const rr_fit_params *params = t->p->params;
    double sum = 0, slope;
    g[0] = g[1] = 0;
    for (size_t i = 0; i < params->n; i++) {
        const rr_fit_sample *s = &params->samples[i];
        for (uint32_t a = 0; a < s->features->n; a++) {
            const double z = t->read[t->p->first[i] + a], sign = s->grades[a] > 0 ? 1 : -1;
            const double weight = t->p->weights[i] / s->features->n;
            sum += weight * pair_loss(sign * (w[0] * z + w[1]), &slope);
            g[0] -= weight * slope * sign * z;
            g[1] -= weight * slope * sign;
        }
    }
    return sum;
}

static void take_first_stage(const problem *p, double *out) {
    for (size_t i = 0; i < p->params->n; i++) {
        const rr_fit_sample *s = &p->params->samples[i];
        if (s->first_stage != NULL) {
            rr_readout_first_stage(s->first_stage, s->features->n, out + p->first[i]);
        }
    }
}

/* Weight of the first stage's score beside the read one, calibration, figures. */
static rr_status fit_held_out(
    problem *p, const double *read, rr_readout *out, rr_fit_result *result, rr_diag *diag) {
    double *memory = calloc(4 * p->stride, sizeof *memory);
    if (memory == NULL) {
        return out_of_memory(diag);
    }
    double *first_stage = memory, *both = memory + 3 * p->stride;
    two t = {p, read, first_stage, memory + p->stride, memory + 2 * p->stride};
    take_first_stage(p, first_stage);
    weigh(p, NO_FOLD);
    double w[2] = {1, 0}, calibration[2] = {1, 0};
    rr_status status = rr_minimize(objective_two, &t, 2, w, 1e-9, STEPS, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(rr_minimize(objective_calibration, &t, 2, calibration, 1e-9, STEPS, diag));
    out->first_stage = w[0] > 1e-6 && w[1] > 0 ? w[1] / w[0] : 0;
    out->slope = calibration[0];
    out->intercept = calibration[1];
    judge(p, read, result->read);
    judge(p, first_stage, result->first_stage);
    for (size_t i = 0; i < p->n_rows; i++) {
        both[i] = read[i] + out->first_stage * first_stage[i];
    }
    judge(p, both, result->both);
    for (size_t i = 0; i < p->params->n; i++) {
        for (size_t j = p->first[i]; j < p->first[i + 1]; j++) {
            both[j] = -(double)(j - p->first[i]); /* as shown */
        }
    }
    judge(p, both, result->shown);
fail:
    free(memory);
    return status;
}

/* The result */

/* How much a head counts for what draws attention: where more attention means more relevant, its
 * weight over its usual mass. */
static void set_draw(const problem *p, const double *w, rr_readout *out) {
    double most = 0;
    for (size_t k = 0; k < n_mass(p); k++) {
        double sum = 0;
        for (size_t i = 0; i < p->params->n; i++) {
            const rr_read_features *f = p->params->samples[i].features;
            for (uint32_t a = 0; a < f->n; a++) {
                sum += log((double)f->mass[k * f->n + a] + RR_READOUT_FLOOR) / (double)p->n_rows;
            }
        }
        out->draw[k] = w[k] > 0 ? (float)(w[k] / exp(sum)) : 0;
        most = (double)out->draw[k] > most ? (double)out->draw[k] : most;
    }
    for (size_t k = 0; k < n_mass(p) && most > 0; k++) {
        out->draw[k] = (float)((double)out->draw[k] / most);
    }
}

static bool all_finite(const float *values, size_t n) {
    size_t n_bad = 0;
    for (size_t i = 0; i < n; i++) {
        n_bad += !isfinite(values[i]);
    }
    return n_bad == 0;
}

static rr_status check(const rr_fit_params *params, rr_diag *diag) {
    for (size_t i = 0; i < params->n; i++) {
        const rr_fit_sample *s = &params->samples[i];
        const rr_read_features *f = s->features;
        if (!all_finite(f->mass, rr_read_n_mass(&params->shape, f->n)) ||
            !all_finite(f->states, rr_read_n_states(&params->shape, f->n))) {
            return rr_fail(diag, RR_E_INPUT,
                "query \"%.100s\": what was read of its passages is not finite: the model's values are out of range",
                s->qid);
        }
        if (s->set >= RR_FIT_SETS || s->features->n > RR_READ_PASSAGES ||
            n_pairs(s->grades, s->features->n) == 0) {
            return rr_fail(diag, RR_E_INPUT,
                "query \"%.100s\": a window to learn from whose passages all have the same grade, or too large",
                s->qid);
        }
    }
    return params->n > 0
        ? RR_OK
        : rr_fail(diag, RR_E_INPUT,
              "no windows to learn from: no query has passages of different grades");
}

rr_status rr_readout_fit(
    const rr_fit_params *params, rr_readout *out, rr_fit_result *result, rr_diag *diag) {
    choice best;
    problem p = {0};
    double *w = NULL, *held_out = NULL;
    *result = (rr_fit_result){0};
    RR_TRY(check(params, diag));
    RR_TRY(choose(params, &best, diag));
    RR_TRY(problem_make(params, best.layer, &p, diag));
    rr_status status = RR_OK;
    p.penalty = best.penalty;
    p.state_penalty = best.state_penalty;
    w = calloc(p.n_weights, sizeof *w);
    held_out = calloc(p.stride, sizeof *held_out);
    out->shape = p.shape;
    out->weights = rr_arena_alloc(&out->arena, p.n_weights, sizeof *out->weights);
    out->draw = rr_arena_alloc(&out->arena, n_mass(&p) + 1, sizeof *out->draw);
    if (w == NULL || held_out == NULL || out->weights == NULL || out->draw == NULL) {
        status = out_of_memory(diag);
        goto fail;
    }
    RR_TRY_GOTO(cross_validate(&p, held_out, diag));
    RR_TRY_GOTO(fit_held_out(&p, held_out, out, result, diag));
    RR_TRY_GOTO(fit(&p, NO_FOLD, w, diag));
    for (size_t k = 0; k < p.n_weights; k++) {
        out->weights[k] = w[k] / p.scales[k];
    }
    set_draw(&p, w, out);
    result->penalty = best.penalty;
    result->state_penalty = best.layer >= 0 ? best.state_penalty : 0;
    result->state_layer = best.layer >= 0 ? params->shape.state_layers[best.layer] : 0;
fail:
    free(w);
    free(held_out);
    problem_destroy(&p);
    return status;
}
