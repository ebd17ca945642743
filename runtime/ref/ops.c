/* The reference of every op, in double precision. */
#include "runtime/ref/ref.h"

#include <math.h>

void rr_ref_matrix_row(const rr_ref_matrix *matrix, uint32_t row, float *out) {
    if (matrix->blocks == NULL) {
        rr_planes_unpack_row(matrix->planes, matrix->device, row, out);
        return;
    }
    const rr_qtype_info *info = rr_qtype_get((uint32_t)matrix->type);
    size_t row_bytes = (size_t)(matrix->cols / info->block_weights) * info->block_bytes;
    rr_blocks_unpack(
        matrix->type, (const uint8_t *)matrix->blocks + row * row_bytes, matrix->cols, out);
}

void rr_ref_embed(const rr_ref_matrix *matrix, const uint32_t *tokens, uint32_t n_rows, float *y) {
    for (uint32_t r = 0; r < n_rows; r++) {
        rr_ref_matrix_row(matrix, tokens[r], y + (size_t)r * matrix->cols);
    }
}

void rr_ref_rmsnorm(
    const float *x, const float *weight, uint32_t n_rows, uint32_t cols, float epsilon, float *y) {
    for (uint32_t r = 0; r < n_rows; r++) {
        const float *row = x + (size_t)r * cols;
        float *out = y + (size_t)r * cols;
        double squares = 0;
        for (uint32_t c = 0; c < cols; c++) {
            squares += (double)row[c] * row[c];
        }
        double inverse = 1 / sqrt(squares / cols + (double)epsilon);
        for (uint32_t c = 0; c < cols; c++) {
            out[c] = (float)(row[c] * inverse * weight[c]);
        }
    }
}

void rr_ref_matmul(const rr_ref_matmul_params *params) {
    uint32_t cols = params->matrix.cols;
    for (uint32_t r = 0; r < params->matrix.rows; r++) {
        rr_ref_matrix_row(&params->matrix, r, params->scratch);
        for (uint32_t t = 0; t < params->n_tokens; t++) {
            const float *x = params->x + (size_t)t * params->x_stride;
            size_t at = (size_t)t * params->y_stride + r;
            double sum = 0;
            for (uint32_t c = 0; c < cols; c++) {
                sum += (double)params->scratch[c] * x[c];
            }
            sum += params->bias != NULL ? (double)params->bias[r] : 0;
            sum += params->residual != NULL ? (double)params->residual[at] : 0;
            params->y[at] = (float)sum;
        }
    }
}

void rr_ref_rope_table(float theta, uint32_t head_size, uint32_t n_context, float *table) {
    for (uint32_t p = 0; p < n_context; p++) {
        for (uint32_t i = 0; i < head_size / 2; i++) {
            double angle = p * pow((double)theta, -2.0 * i / head_size);
            *table++ = (float)cos(angle);
            *table++ = (float)sin(angle);
        }
    }
}

void rr_ref_rope(float *qkv, uint32_t row_stride, const uint32_t *positions, uint32_t n_rows,
    const float *table, uint32_t n_rotated, uint32_t head_size) {
    uint32_t half = head_size / 2;
    for (uint32_t r = 0; r < n_rows; r++) {
        const float *angles = table + (size_t)positions[r] * head_size;
        for (uint32_t h = 0; h < n_rotated; h++) {
            float *head = qkv + (size_t)r * row_stride + (size_t)h * head_size;
            for (uint32_t i = 0; i < half; i++) {
                double cosine = (double)angles[2 * i], sine = (double)angles[2 * i + 1];
                double a = (double)head[i], b = (double)head[i + half];
                head[i] = (float)(a * cosine - b * sine);
                head[i + half] = (float)(b * cosine + a * sine);
            }
        }
    }
}

/* First element of a head's vector at a position; V follows K. */
static size_t kv_index(const rr_ref_kv *kv, bool is_v, uint32_t head, uint32_t position) {
    size_t row = ((size_t)is_v * kv->n_kv_heads + head) * kv->n_context + position;
    return row * kv->head_size;
}

void rr_ref_kv_write(const rr_ref_kv *kv, uint32_t position, const float *k, const float *v) {
    for (uint32_t h = 0; h < kv->n_kv_heads; h++) {
        for (int is_v = 0; is_v < 2; is_v++) {
            const float *from = (is_v ? v : k) + (size_t)h * kv->head_size;
            size_t to = kv_index(kv, is_v, h, position);
            for (uint32_t i = 0; i < kv->head_size; i++) {
                if (kv->f32 != NULL) {
                    kv->f32[to + i] = from[i];
                } else {
                    kv->f16[to + i] = rr_f32_to_f16(from[i]);
                }
            }
        }
    }
}

/* A head's vector at a position as doubles. */
static void kv_read(const rr_ref_kv *kv, bool is_v, uint32_t head, uint32_t position, double *out) {
    size_t from = kv_index(kv, is_v, head, position);
    for (uint32_t i = 0; i < kv->head_size; i++) {
        out[i] =
            kv->f32 != NULL ? (double)kv->f32[from + i] : (double)rr_f16_to_f32(kv->f16[from + i]);
    }
}

size_t rr_ref_attention_scratch(const rr_ref_kv *kv) {
    return (size_t)kv->n_context + 3 * (size_t)kv->head_size;
}

/* scores[j] = scale q · k_j for j ≤ last; returns the largest, and the largest sum of |terms|. */
static double head_scores(const rr_ref_attention_params *params, const float *q, uint32_t kv_head,
    uint32_t last, double *scores, double *vector, double *magnitude) {
    double largest = -INFINITY;
    *magnitude = 0;
    for (uint32_t j = 0; j <= last; j++) {
        kv_read(&params->kv, false, kv_head, j, vector);
        double sum = 0, absolute = 0;
        for (uint32_t i = 0; i < params->kv.head_size; i++) {
            sum += q[i] * vector[i];
            absolute += fabs(q[i] * vector[i]);
        }
        scores[j] = (double)params->scale * sum;
        largest = fmax(largest, scores[j]);
        *magnitude = fmax(*magnitude, fabs((double)params->scale) * absolute);
    }
    return largest;
}

void rr_ref_attention_head(const rr_ref_attention_params *params, uint32_t head, double *scratch) {
    uint32_t size = params->kv.head_size;
    uint32_t kv_head = head / (params->n_heads / params->kv.n_kv_heads);
    double *scores = scratch, *vector = scores + params->kv.n_context;
    double *value = vector + size, *magnitude = value + size;
    for (uint32_t r = 0; r < params->n_rows; r++) {
        const float *q = params->q + (size_t)r * params->q_stride + (size_t)head * size;
        uint32_t last = params->positions[r];
        double score_magnitude, total = 0;
        double largest = head_scores(params, q, kv_head, last, scores, vector, &score_magnitude);
        for (uint32_t i = 0; i < size; i++) {
            value[i] = magnitude[i] = 0;
        }
        for (uint32_t j = 0; j <= last; j++) {
            double weight = exp(scores[j] - largest);
            total += weight;
            kv_read(&params->kv, true, kv_head, j, vector);
            for (uint32_t i = 0; i < size; i++) {
                value[i] += weight * vector[i];
                magnitude[i] += weight * fabs(vector[i]);
            }
        }
        size_t at = ((size_t)r * params->n_heads + head) * size;
        for (uint32_t i = 0; i < size; i++) {
            params->y[at + i] = (float)(value[i] / total);
            if (params->value_magnitude != NULL) {
                params->value_magnitude[at + i] = magnitude[i] / total;
            }
        }
        if (params->score_magnitude != NULL) {
            params->score_magnitude[(size_t)r * params->n_heads + head] = score_magnitude;
        }
    }
}

void rr_ref_attention_mass_head(const rr_ref_mass_params *params, uint32_t head, double *scratch) {
    const rr_ref_attention_params *a = &params->attention;
    uint32_t size = a->kv.head_size, kv_head = head / (a->n_heads / a->kv.n_kv_heads);
    double *weights = scratch, *vector = weights + a->kv.n_context;
    for (uint32_t i = 0; i < params->n_listed; i++) {
        uint32_t r = params->list[i], last = a->positions[r];
        size_t at = (size_t)i * a->n_heads + head;
        double magnitude, total = 0;
        double largest = head_scores(a, a->q + (size_t)r * a->q_stride + (size_t)head * size,
            kv_head, last, weights, vector, &magnitude);
        for (uint32_t j = 0; j <= last; j++) {
            weights[j] = exp(weights[j] - largest);
            total += weights[j];
        }
        for (uint32_t j = 0; j < params->n_keys; j++) {
            params->weights[at * params->w_stride + j] = j <= last ? (float)weights[j] : 0;
        }
        params->totals[at] = (float)total;
        for (uint32_t s = 0; s < params->n_spans; s++) {
            double sum = 0;
            for (uint32_t j = params->spans[2 * s]; j < params->spans[2 * s + 1] && j <= last;
                 j++) {
                sum += weights[j];
            }
            params->mass[at * params->n_spans + s] = (float)(sum / total);
        }
        if (a->score_magnitude != NULL) {
            a->score_magnitude[at] = magnitude;
        }
    }
}

void rr_ref_token_mass(const rr_ref_token_mass_params *params) {
    for (uint32_t i = 0; i < params->n_listed; i++) {
        for (uint32_t j = 0; j < params->n_keys; j++) {
            float *y = params->y + (size_t)i * params->y_stride + j;
            double sum = params->adds ? (double)*y : 0, magnitude = fabs(sum);
            for (uint32_t h = 0; h < params->n_heads; h++) {
                size_t at = (size_t)i * params->n_heads + h;
                double term = (double)params->factors[at] *
                    params->weights[at * params->w_stride + j] / params->totals[at];
                sum += term;
                magnitude += fabs(term);
            }
            *y = (float)sum;
            if (params->magnitude != NULL) {
                params->magnitude[(size_t)i * params->n_keys + j] = magnitude;
            }
        }
    }
}

void rr_ref_swiglu(const float *gate_up, uint32_t n_rows, uint32_t cols, float *y) {
    for (uint32_t r = 0; r < n_rows; r++) {
        const float *gate = gate_up + (size_t)r * 2 * cols, *up = gate + cols;
        for (uint32_t c = 0; c < cols; c++) {
            double g = (double)gate[c];
            y[(size_t)r * cols + c] = (float)(g / (1 + exp(-g)) * up[c]);
        }
    }
}

void rr_ref_argmax(const float *x, uint32_t n_rows, uint32_t cols, uint32_t *y) {
    for (uint32_t r = 0; r < n_rows; r++) {
        const float *row = x + (size_t)r * cols;
        uint32_t best = 0;
        bool found = false;
        for (uint32_t c = 0; c < cols; c++) {
            if (!isnan(row[c]) && (!found || row[c] > row[best])) {
                best = c;
                found = true;
            }
        }
        y[r] = best;
    }
}
