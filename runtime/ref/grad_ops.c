/* The reference of the backward ops that work row by row, and of the optimizer. */
#include <math.h>

#include "runtime/ref/grad.h"

/* One result: the sum and, where wanted, what the bound of its error needs. */
static void store(float *y, double *magnitude, bool adds, double sum, double absolute) {
    const double before = adds ? (double)*y : 0;
    *y = (float)(before + sum);
    if (magnitude != NULL) {
        *magnitude = fabs(before) + absolute;
    }
}

void rr_ref_matmul_grad(const rr_ref_matmul_grad_params *params) {
    const uint32_t rows = params->matrix.rows, cols = params->matrix.cols;
    for (uint32_t r = 0; r < rows; r++) {
        rr_ref_matrix_row(&params->matrix, r, params->weights + (size_t)r * cols);
    }
    for (uint32_t t = 0; t < params->n_tokens; t++) {
        const float *d_y = params->d_y + (size_t)t * params->y_stride;
        for (uint32_t c = 0; c < cols; c++) {
            params->sums[c] = 0;
        }
        for (uint32_t r = 0; r < rows; r++) {
            const float *w = params->weights + (size_t)r * cols;
            for (uint32_t c = 0; c < cols; c++) {
                params->sums[c] += (double)d_y[r] * w[c];
            }
        }
        for (uint32_t c = 0; c < cols; c++) {
            store(params->d_x + (size_t)t * params->x_stride + c, NULL, params->adds,
                (double)params->factor * params->sums[c], 0);
        }
    }
}

void rr_ref_outer_grad(const rr_ref_outer_grad_params *params) {
    for (uint32_t i = 0; i < params->n_a; i++) {
        for (uint32_t j = 0; j < params->n_b; j++) {
            const size_t at = (size_t)i * params->n_b + j;
            double sum = 0, absolute = 0;
            for (uint32_t t = 0; t < params->n_tokens; t++) {
                double term = (double)params->a[(size_t)t * params->a_stride + i] *
                    params->b[(size_t)t * params->b_stride + j];
                sum += term;
                absolute += fabs(term);
            }
            store(params->y + at, params->magnitude != NULL ? params->magnitude + at : NULL,
                params->adds, (double)params->factor * sum,
                fabs((double)params->factor) * absolute);
        }
    }
}

void rr_ref_rmsnorm_grad(const rr_ref_rmsnorm_grad_params *params) {
    const uint32_t cols = params->cols;
    for (uint32_t r = 0; r < params->n_rows; r++) {
        const float *x = params->x + (size_t)r * cols, *d_y = params->d_y + (size_t)r * cols;
        double squares = 0, sum = 0, absolute = 0;
        for (uint32_t c = 0; c < cols; c++) {
            squares += (double)x[c] * x[c];
        }
        const double rho = 1 / sqrt(squares / cols + (double)params->epsilon);
        for (uint32_t c = 0; c < cols; c++) {
            double term = (double)params->weight[c] * d_y[c] * (x[c] * rho);
            sum += term;
            absolute += fabs(term);
        }
        for (uint32_t c = 0; c < cols; c++) {
            const size_t at = (size_t)r * cols + c;
            const double direct = (double)params->weight[c] * d_y[c], h = x[c] * rho;
            store(params->d_x + at, params->magnitude != NULL ? params->magnitude + at : NULL,
                params->adds, rho * (direct - h * sum / cols),
                rho * (fabs(direct) + fabs(h) * absolute / cols));
        }
    }
}

void rr_ref_swiglu_grad(
    const float *gate_up, const float *d_y, uint32_t n_rows, uint32_t cols, float *d_gate_up) {
    for (uint32_t r = 0; r < n_rows; r++) {
        const size_t row = (size_t)r * 2 * cols;
        for (uint32_t c = 0; c < cols; c++) {
            const double e = (double)gate_up[row + c], u = (double)gate_up[row + cols + c];
            const double sigma = 1 / (1 + exp(-e)), d = (double)d_y[(size_t)r * cols + c];
            /* 1 − sigma(e) as sigma(−e), which loses nothing for large e */
            d_gate_up[row + c] = (float)(d * u * sigma * (1 + e / (1 + exp(e))));
            d_gate_up[row + cols + c] = (float)(d * e * sigma);
        }
    }
}

void rr_ref_rope_grad(float *d_qkv, uint32_t row_stride, const uint32_t *positions, uint32_t n_rows,
    const float *table, uint32_t n_rotated, uint32_t head_size) {
    const uint32_t half = head_size / 2;
    for (uint32_t r = 0; r < n_rows; r++) {
        const float *angles = table + (size_t)positions[r] * head_size;
        for (uint32_t h = 0; h < n_rotated; h++) {
            float *head = d_qkv + (size_t)r * row_stride + (size_t)h * head_size;
            for (uint32_t i = 0; i < half; i++) {
                double cosine = (double)angles[2 * i], sine = (double)angles[2 * i + 1];
                double a = (double)head[i], b = (double)head[i + half];
                head[i] = (float)(a * cosine + b * sine);
                head[i + half] = (float)(b * cosine - a * sine);
            }
        }
    }
}

static bool is_admitted(const rr_ref_cross_entropy_params *params, uint32_t row, uint32_t column) {
    if (params->admitted == NULL) {
        return true;
    }
    const uint32_t *bits = params->admitted + (size_t)row * ((params->cols + 31) / 32);
    return (bits[column / 32] >> (column % 32) & 1) != 0;
}

void rr_ref_cross_entropy(const rr_ref_cross_entropy_params *params) {
    for (uint32_t r = 0; r < params->n_rows; r++) {
        const float *z = params->z + (size_t)r * params->cols;
        float *d_z = params->d_z + (size_t)r * params->cols;
        const uint32_t target = params->targets[r];
        double largest = -INFINITY, total = 0;
        for (uint32_t c = 0; c < params->cols; c++) {
            if (is_admitted(params, r, c)) {
                largest = fmax(largest, (double)z[c]);
            }
        }
        for (uint32_t c = 0; c < params->cols; c++) {
            total += is_admitted(params, r, c) ? exp((double)z[c] - largest) : 0;
        }
        params->log_p[r] = (float)((double)z[target] - largest - log(total));
        for (uint32_t c = 0; c < params->cols; c++) {
            double p = is_admitted(params, r, c) ? exp((double)z[c] - largest) / total : 0;
            d_z[c] = (float)((double)params->weights[r] * (p - (c == target ? 1 : 0)));
        }
    }
}

void rr_ref_adamw(const rr_ref_adamw_params *params) {
    const double beta1 = (double)params->beta1, beta2 = (double)params->beta2;
    const double rate = (double)params->rate;
    for (uint32_t i = 0; i < params->n; i++) {
        const double g = (double)params->grad_scale * params->g[i];
        const double m = beta1 * params->m[i] + (1 - beta1) * g;
        const double v = beta2 * params->v[i] + (1 - beta2) * g * g;
        const double step = rate * (double)params->correction1 * m /
            (sqrt((double)params->correction2 * v) + (double)params->epsilon);
        params->w[i] = (float)(params->w[i] * (1 - rate * (double)params->decay) - step);
        params->m[i] = (float)m;
        params->v[i] = (float)v;
    }
}
