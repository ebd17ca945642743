/* The reference of the ops with int8 activations. */
#include <math.h>

#include "runtime/ref/ref.h"

static void quantize_group(const float *x, int8_t *values, rr_q8_group *group) {
    float most = 0;
    for (int i = 0; i < RR_Q8_GROUP; i++) {
        most = fmaxf(most, fabsf(x[i]));
    }
    bool zero = !(most > 1e-30f);
    *group = (rr_q8_group){.d = zero ? 0 : most * (1.0f / 127.0f)};
    for (int i = 0; i < RR_Q8_GROUP; i++) {
        float code = zero ? 0 : rintf(x[i] * (127.0f / most));
        int q = isnan(code) ? 0 : (int)code; /* of what is no number, or beside an infinite one */
        values[i] = (int8_t)q;
        group->sums[i / 16] = (int16_t)(group->sums[i / 16] + q);
    }
}

void rr_ref_quantize_q8(
    const float *x, uint32_t n_rows, uint32_t cols, int8_t *values, rr_q8_group *groups) {
    for (size_t i = 0; i < (size_t)n_rows * cols; i += RR_Q8_GROUP) {
        quantize_group(x + i, values + i, groups + i / RR_Q8_GROUP);
    }
}

/* Sum of one row's group; adds to the magnitude. */
static double group_sum(const float *weights, const int8_t *values, double d, double *magnitude) {
    double sum = 0, most = 0, absolute = 0;
    for (int i = 0; i < RR_Q8_GROUP; i++) {
        double x = d * values[i];
        sum += (double)weights[i] * x;
        most = fmax(most, fabs((double)weights[i]));
        absolute += fabs(x);
    }
    *magnitude += most * absolute;
    return sum;
}

void rr_ref_matmul_q8(const rr_ref_matmul_q8_params *params) {
    uint32_t cols = params->matrix.cols;
    for (uint32_t r = 0; r < params->matrix.rows; r++) {
        rr_ref_matrix_row(&params->matrix, r, params->scratch);
        for (uint32_t t = 0; t < params->n_tokens; t++) {
            const int8_t *values = params->x + (size_t)t * cols;
            const rr_q8_group *groups = params->x_groups + (size_t)t * (cols / RR_Q8_GROUP);
            size_t at = (size_t)t * params->y_stride + r;
            double sum = 0, magnitude = 0;
            for (uint32_t c = 0; c < cols; c += RR_Q8_GROUP) {
                sum += group_sum(
                    params->scratch + c, values + c, (double)groups[c / RR_Q8_GROUP].d, &magnitude);
            }
            sum += params->bias != NULL ? (double)params->bias[r] : 0;
            sum += params->residual != NULL ? (double)params->residual[at] : 0;
            params->y[at] = (float)sum;
            if (params->magnitude != NULL) {
                params->magnitude[at] = magnitude;
            }
        }
    }
}
