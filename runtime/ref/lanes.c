/* The reference of quantized activations and their products. */
#include "runtime/ref/lanes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { GROUP = 32 };

uint32_t rr_ref_code_sums(const int16_t codes[32]) {
    int32_t first = 0, last = 0;
    for (int i = 0; i < GROUP; i++) {
        *(i < GROUP / 2 ? &first : &last) += codes[i];
    }
    return (uint32_t)(first + 65536 * last);
}

void rr_ref_quantize(const float *x, uint32_t n_rows, uint32_t cols, const rr_ref_codes *out) {
    assert(cols % GROUP == 0);
    for (size_t g = 0; g < (size_t)n_rows * (cols / GROUP); g++) {
        const float *v = x + g * GROUP;
        int16_t *codes = out->codes + g * GROUP;
        double most = 0;
        for (int i = 0; i < GROUP; i++) {
            most = fmax(most, fabs((double)v[i]));
        }
        double d = most / RR_REF_CODE_MOST;
        for (int i = 0; i < GROUP; i++) {
            double code = most >= 1e-30 ? rint((double)v[i] / d) : 0; /* to nearest, ties to even */
            /* of what is no number, or beside an infinite one */
            codes[i] = isnan(code) ? 0 : (int16_t)code;
        }
        float stored = most >= 1e-30 ? (float)d : 0;
        memcpy(&out->groups[2 * g], &stored, sizeof stored);
        out->groups[2 * g + 1] = rr_ref_code_sums(codes);
    }
}

/* One row of the layout. */
typedef struct lanes_row {
    const rr_lanes *lanes;
    const uint8_t *codes, *scales; /* of the row's unit */
    uint32_t lane, held, u;
} lanes_row;

static lanes_row row_at(const rr_lanes *lanes, const void *device, uint32_t row) {
    uint32_t unit = row / RR_LANES_UNIT, at = row % RR_LANES_UNIT,
             held = RR_LANES_UNIT / lanes->width;
    return (lanes_row){.lanes = lanes,
        .codes = (const uint8_t *)device + unit * lanes->unit_bytes,
        .scales = (const uint8_t *)device + lanes->scale_offset + unit * lanes->unit_scale_bytes,
        .lane = at / held,
        .held = held,
        .u = at % held};
}

/* Codes less the format's zero; AFFINE ones have none. */
static void row_codes(const lanes_row *row, int32_t *out) {
    const rr_lanes_format f = row->lanes->format;
    uint32_t per_word = 64 / f.bits;
    int32_t zero = f.scale == RR_LANES_AFFINE ? 0 : 1 << (f.bits - 1);
    for (uint32_t w = 0; w < row->lanes->cols / per_word; w++) {
        uint64_t word;
        memcpy(&word,
            row->codes +
                (((size_t)w * row->held + row->u) * row->lanes->width + row->lane) * sizeof word,
            sizeof word);
        for (uint32_t i = 0; i < per_word; i++) {
            out[w * per_word + i] = (int32_t)(word >> (i * f.bits) & ((1u << f.bits) - 1)) - zero;
        }
    }
}

static void row_scale(const lanes_row *row, uint32_t group, double *scale, double *offset) {
    rr_lanes_scale kind = row->lanes->format.scale;
    size_t entry = ((size_t)group * row->lanes->width + row->lane) * row->held;
    *offset = 0;
    if (kind == RR_LANES_F16) {
        uint16_t half;
        memcpy(&half, row->scales + 2 * (entry + row->u), sizeof half);
        *scale = (double)rr_f16_to_f32(half);
        return;
    }
    float s, o;
    const uint8_t *at =
        row->scales + (kind == RR_LANES_AFFINE ? 8 : 4) * entry + 4 * (size_t)row->u;
    memcpy(&s, at, sizeof s);
    *scale = (double)s;
    if (kind == RR_LANES_AFFINE) {
        memcpy(&o, at + 4 * (size_t)row->held, sizeof o);
        *offset = (double)o;
    }
}

/* Adds the terms of one group of a scale. */
static void add_group(const int16_t *codes, const int32_t *weights, uint32_t n, double d,
    double scale, double offset, double *sum, double *magnitude) {
    int32_t product = 0, codes_sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        product += codes[i] * weights[i];
        codes_sum += codes[i];
    }
    double a = d * scale * product, b = d * offset * codes_sum;
    *sum += a + b;
    *magnitude += fabs(a) + fabs(b);
}

void rr_ref_lanes_product(const rr_ref_lanes_product_params *params) {
    const rr_lanes *lanes = params->lanes;
    const uint32_t cols = lanes->cols, group = lanes->format.group;
    for (uint32_t r = 0; r < lanes->rows; r++) {
        lanes_row row = row_at(lanes, params->device, r);
        row_codes(&row, params->scratch);
        for (uint32_t t = 0; t < params->n_tokens; t++) {
            double sum = 0, magnitude = 0;
            for (uint32_t g = 0; g < cols / group; g++) {
                uint32_t c = g * group;
                double scale, offset;
                float d;
                memcpy(
                    &d, &params->x->groups[((size_t)t * (cols / GROUP) + c / GROUP) * 2], sizeof d);
                row_scale(&row, g, &scale, &offset);
                add_group(params->x->codes + (size_t)t * cols + c, params->scratch + c, group,
                    (double)d, scale, offset, &sum, &magnitude);
            }
            params->y[(size_t)t * lanes->rows + r] = sum;
            if (params->magnitude != NULL) {
                params->magnitude[(size_t)t * lanes->rows + r] = magnitude;
            }
        }
    }
}

void rr_ref_norm_factor(
    const float *x, uint32_t n_rows, uint32_t cols, float epsilon, double *out) {
    for (uint32_t r = 0; r < n_rows; r++) {
        double squares = 0;
        for (uint32_t c = 0; c < cols; c++) {
            squares += (double)x[(size_t)r * cols + c] * (double)x[(size_t)r * cols + c];
        }
        out[r] = 1 / sqrt(squares / cols + (double)epsilon);
    }
}
