/* The reference of attention's backward pass over a prefix with branches. */
#include <math.h>
#include <stdlib.h>

#include "runtime/ref/grad.h"

bool rr_ref_sees(const rr_ref_branches *branches, uint32_t row, uint32_t key) {
    return key <= row && (key < branches->n_prefix || key >= branches->segments[row][0]);
}

/* One query head at work. */
typedef struct grad_head {
    const rr_ref_attention_grad_params *p;
    uint32_t head, kv_head;
    double *scores;    /* [n_rows], of one row */
    double *d_k, *d_v; /* [n_rows][n_kv_heads * head_size], sums over rows and heads */
    double *d_q;       /* [head_size], of one row */
} grad_head;

static double dot(const float *a, const float *b, uint32_t n, double *absolute) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += (double)a[i] * b[i];
        *absolute += fabs((double)a[i] * b[i]);
    }
    return sum;
}

static size_t query_at(const grad_head *g, uint32_t row) {
    return ((size_t)row * g->p->n_heads + g->head) * g->p->head_size;
}

static size_t key_at(const grad_head *g, uint32_t row) {
    return ((size_t)row * g->p->n_kv_heads + g->kv_head) * g->p->head_size;
}

/* scores[j] of the row; returns log sum e^scores. */
static double score_row(const grad_head *g, uint32_t row, double *magnitude) {
    const rr_ref_attention_grad_params *p = g->p;
    const float *q = p->q + (size_t)row * p->q_stride + (size_t)g->head * p->head_size;
    double largest = -INFINITY, total = 0;
    *magnitude = 0;
    for (uint32_t j = 0; j <= row; j++) {
        double absolute = 0;
        if (rr_ref_sees(&p->branches, row, j)) {
            g->scores[j] = (double)p->scale * dot(q, p->k + key_at(g, j), p->head_size, &absolute);
            largest = fmax(largest, g->scores[j]);
            *magnitude = fmax(*magnitude, fabs((double)p->scale) * absolute);
        }
    }
    for (uint32_t j = 0; j <= row; j++) {
        total += rr_ref_sees(&p->branches, row, j) ? exp(g->scores[j] - largest) : 0;
    }
    return largest + log(total);
}

/* What key j adds: to d_q of the row, to d_k and d_v of the key, and to the magnitudes. */
static void add_key(const grad_head *g, uint32_t row, uint32_t j, double weight, double delta,
    double delta_magnitude) {
    const rr_ref_attention_grad_params *p = g->p;
    const float *q = p->q + (size_t)row * p->q_stride + (size_t)g->head * p->head_size;
    const float *d_o = p->d_o + query_at(g, row), *k = p->k + key_at(g, j);
    double magnitude = delta_magnitude;
    const double d_weight = dot(d_o, p->v + key_at(g, j), p->head_size, &magnitude);
    const double d_score = (double)p->scale * weight * (d_weight - delta);
    magnitude *= fabs((double)p->scale) * weight;
    for (uint32_t i = 0; i < p->head_size; i++) {
        g->d_q[i] += d_score * k[i];
        g->d_k[key_at(g, j) + i] += d_score * q[i];
        g->d_v[key_at(g, j) + i] += weight * d_o[i];
        if (p->q_magnitude != NULL) {
            p->q_magnitude[query_at(g, row) + i] += magnitude * fabs((double)k[i]);
            p->k_magnitude[key_at(g, j) + i] += magnitude * fabs((double)q[i]);
            p->v_magnitude[key_at(g, j) + i] += weight * fabs((double)d_o[i]);
        }
    }
}

static void grad_row(const grad_head *g, uint32_t row) {
    const rr_ref_attention_grad_params *p = g->p;
    const size_t at = (size_t)row * p->n_heads + g->head;
    double score_magnitude, delta_magnitude = 0;
    const double lse = score_row(g, row, &score_magnitude);
    const double delta =
        dot(p->d_o + query_at(g, row), p->o + query_at(g, row), p->head_size, &delta_magnitude);
    for (uint32_t i = 0; i < p->head_size; i++) {
        g->d_q[i] = 0;
    }
    for (uint32_t j = 0; j <= row; j++) {
        if (rr_ref_sees(&p->branches, row, j)) {
            add_key(g, row, j, exp(g->scores[j] - lse), delta, delta_magnitude);
        }
    }
    p->lse[at] = (float)lse;
    p->delta[at] = (float)delta;
    for (uint32_t i = 0; i < p->head_size; i++) {
        p->d_q[query_at(g, row) + i] = (float)g->d_q[i];
    }
    if (p->score_magnitude != NULL) {
        p->score_magnitude[at] = score_magnitude;
    }
}

bool rr_ref_attention_grad(const rr_ref_attention_grad_params *params) {
    const uint32_t n_rows = params->branches.n_rows;
    const size_t n_kv = (size_t)n_rows * params->n_kv_heads * params->head_size;
    const size_t n_q = (size_t)n_rows * params->n_heads * params->head_size;
    double *sums = calloc(2 * n_kv + n_rows + params->head_size, sizeof *sums);
    if (sums == NULL) {
        return false;
    }
    grad_head g = {.p = params,
        .d_k = sums,
        .d_v = sums + n_kv,
        .scores = sums + 2 * n_kv,
        .d_q = sums + 2 * n_kv + n_rows};
    for (size_t i = 0; params->q_magnitude != NULL && i < n_q; i++) {
        params->q_magnitude[i] = 0;
    }
    for (size_t i = 0; params->q_magnitude != NULL && i < n_kv; i++) {
        params->k_magnitude[i] = params->v_magnitude[i] = 0;
    }
    for (g.head = 0; g.head < params->n_heads; g.head++) {
        g.kv_head = g.head / (params->n_heads / params->n_kv_heads);
        for (uint32_t row = 0; row < n_rows; row++) {
            grad_row(&g, row);
        }
    }
    for (size_t i = 0; i < n_kv; i++) {
        params->d_k[i] = (float)g.d_k[i];
        params->d_v[i] = (float)g.d_v[i];
    }
    free(sums);
    return true;
}
