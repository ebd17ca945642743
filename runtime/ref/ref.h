/* The plain C reference: every op of shaders/<op>.h over host pointers, and the whole Qwen2 model.
 * Owns: what a kernel's result means. Sums run in double precision over the exact values of the
 * weights; results are rounded to float once. Written to be read and trusted; only the model's
 * matmul is arranged for speed. All ops are pure and thread safe. Arrays are dense and row-major
 * unless a stride is given; sizes are in floats. */
#ifndef RR_REF_REF_H
#define RR_REF_REF_H

#include "quant/quant.h"
#include "runtime/model/model.h"

/* A weight matrix [rows][cols], as the file's blocks or as device planes. Borrows all it points
 * at. */
typedef struct rr_ref_matrix {
    uint32_t rows, cols;
    rr_qtype type;      /* of `blocks` */
    const void *blocks; /* the file's blocks; NULL = use the planes */
    const rr_planes *planes;
    const void *device; /* bytes laid out as `planes` says */
} rr_ref_matrix;

/* The exact weights of one row. */
void rr_ref_matrix_row(const rr_ref_matrix *matrix, uint32_t row, float *out);

/* y[r] = W[tokens[r]]. Exact. */
void rr_ref_embed(const rr_ref_matrix *matrix, const uint32_t *tokens, uint32_t n_rows, float *y);

/* y[r][c] = x[r][c] / sqrt(mean_c(x[r][c]^2) + epsilon) * weight[c]; y may be x. */
void rr_ref_rmsnorm(
    const float *x, const float *weight, uint32_t n_rows, uint32_t cols, float epsilon, float *y);

/* y[t][r] = sum_c W[r][c] x[t][c] (+ bias[r]) (+ residual[t][r]). residual has y's stride and may
 * be y. */
typedef struct rr_ref_matmul_params {
    rr_ref_matrix matrix;
    const float *x;
    uint32_t x_stride, y_stride, n_tokens;
    const float *bias;     /* [rows] or NULL */
    const float *residual; /* or NULL */
    float *y;
    float *scratch; /* [cols] */
} rr_ref_matmul_params;
void rr_ref_matmul(const rr_ref_matmul_params *params);

/* table[p][i] = cos, sin of p * theta^(-2 i / head_size), i < head_size / 2: f32
 * [n_context][head_size / 2][2]. */
void rr_ref_rope_table(float theta, uint32_t head_size, uint32_t n_context, float *table);

/* Rotates the first n_rotated heads of each row in place: pairs (i, i + head_size / 2) of each
 * head. */
void rr_ref_rope(float *qkv, uint32_t row_stride, const uint32_t *positions, uint32_t n_rows,
    const float *table, uint32_t n_rotated, uint32_t head_size);

/* One layer's KV cache: K [n_kv_heads][n_context][head_size], then V alike, in one of two
 * precisions. */
typedef struct rr_ref_kv {
    uint32_t n_kv_heads, n_context, head_size;
    float *f32; /* one of the two is set */
    uint16_t *f16;
} rr_ref_kv;

/* Stores k and v (both [n_kv_heads * head_size]) of one position; to f16 by round to nearest
 * even. */
void rr_ref_kv_write(const rr_ref_kv *kv, uint32_t position, const float *k, const float *v);

/* y = softmax(scale q K^T) V per query head over the positions 0 … positions[r].
 * Query head h reads KV head h / (n_heads / n_kv_heads). */
typedef struct rr_ref_attention_params {
    const float *q;            /* [n_rows][q_stride], head h at h * head_size, already rotated */
    const uint32_t *positions; /* [n_rows], each below kv.n_context */
    uint32_t n_rows, n_heads, q_stride;
    float scale;
    rr_ref_kv kv;
    float *y; /* [n_rows][n_heads * head_size] */
    /* What an error bound needs; either may be NULL. */
    double *value_magnitude; /* [n_rows][n_heads * head_size]: sum_j p_j |v_j| */
    double *score_magnitude; /* [n_rows][n_heads]: max_j scale sum_i |q_i k_ji| */
} rr_ref_attention_params;
/* Doubles of scratch that a head needs. */
size_t rr_ref_attention_scratch(const rr_ref_kv *kv);
/* One query head of all rows; heads are independent and may run on several threads, each with its
 * own scratch. */
void rr_ref_attention_head(const rr_ref_attention_params *params, uint32_t head, double *scratch);

/* What the attention of chosen rows rests on (shaders/attention_mass.h), for row list[i] of
 * params->attention and query head h: weights[i][h][j] = e^(score_j - the largest score) up to the
 * row's position and 0 behind it, their sum, and the share of it that lies in each span. Of
 * `attention`, y and value_magnitude are not used, and score_magnitude is [n_listed][n_heads]. */
typedef struct rr_ref_mass_params {
    rr_ref_attention_params attention;
    const uint32_t *list;  /* [n_listed], each below attention.n_rows */
    const uint32_t *spans; /* [n_spans][2]: positions [begin, end) */
    uint32_t n_listed, n_spans;
    uint32_t n_keys; /* above every listed row's position, at most w_stride */
    uint32_t w_stride;
    /* [n_listed][n_heads][w_stride], of which the first n_keys are written */
    float *weights;
    float *totals; /* [n_listed][n_heads] */
    float *mass;   /* [n_listed][n_heads][n_spans] */
} rr_ref_mass_params;
/* One query head of all listed rows, with rr_ref_attention_scratch() doubles of scratch. */
void rr_ref_attention_mass_head(const rr_ref_mass_params *params, uint32_t head, double *scratch);

/* y[i][j] (+)= sum_h factors[i][h] weights[i][h][j] / totals[i][h] (shaders/token_mass.h). */
typedef struct rr_ref_token_mass_params {
    const float *weights;          /* [n_listed][n_heads][w_stride] */
    const float *totals, *factors; /* [n_listed][n_heads] */
    uint32_t n_listed, n_heads, n_keys, w_stride, y_stride;
    bool adds;         /* to what y holds */
    float *y;          /* [n_listed][y_stride], of which the first n_keys are written */
    double *magnitude; /* [n_listed][n_keys] or NULL: the sum of |terms| */
} rr_ref_token_mass_params;
void rr_ref_token_mass(const rr_ref_token_mass_params *params);

/* y[r][c] = g / (1 + exp(-g)) * u with g = gate_up[r][c], u = gate_up[r][cols + c]. */
void rr_ref_swiglu(const float *gate_up, uint32_t n_rows, uint32_t cols, float *y);

/* y[r] = the smallest c with x[r][c] maximal. NaN never wins; a row of nothing but NaN gives 0. */
void rr_ref_argmax(const float *x, uint32_t n_rows, uint32_t cols, uint32_t *y);

/* Int8 activations (shaders/q8.glsl): q = round half to even(x (127 / m)), d = m / 127, m = max |x|
 * of a group of 32; m below 1e-30 gives zeros. The sums are those of the integers of a group's
 * halves. */
typedef struct rr_q8_group {
    float d;
    int16_t sums[2];
} rr_q8_group;
enum { RR_Q8_GROUP = 32 };

/* cols is a multiple of 32. In float, the product x (127 / m) as written: what a device should find
 * but for its division. */
void rr_ref_quantize_q8(
    const float *x, uint32_t n_rows, uint32_t cols, int8_t *values, rr_q8_group *groups);

/* y[t][r] = sum_c W[r][c] d q[t][c] (+ bias[r]) (+ residual[t][r]), exact weights. Also the
 * magnitude that errors scale with, where wanted: the sum over groups of max |W| × sum |d q|. */
typedef struct rr_ref_matmul_q8_params {
    rr_ref_matrix matrix;
    const int8_t *x;             /* [n_tokens][cols] */
    const rr_q8_group *x_groups; /* [n_tokens][cols / 32] */
    uint32_t y_stride, n_tokens;
    const float *bias;     /* [rows] or NULL */
    const float *residual; /* or NULL */
    float *y;
    double *magnitude; /* [n_tokens][y_stride] or NULL */
    float *scratch;    /* [cols] */
} rr_ref_matmul_q8_params;
void rr_ref_matmul_q8(const rr_ref_matmul_q8_params *params);

/* The whole model in float32, from the exact values of the file's weights. */
typedef struct rr_ref_model rr_ref_model;
typedef struct rr_ref_model_params {
    uint32_t n_context; /* tokens that a forward may hold; 0 = 512 */
    bool kv_f16;        /* round K and V to f16, as the device's cache does */
    unsigned n_threads; /* 0 = all processors */
} rr_ref_model_params;

/* Borrows `model`, which must outlive the result. Errors: RR_E_MEMORY. */
rr_status rr_ref_model_create(
    const rr_model *model, const rr_ref_model_params *params, rr_ref_model **out, rr_diag *diag);
void rr_ref_model_destroy(rr_ref_model **ref);

/* What a forward shows; any function may be NULL. A failing `logits` ends the forward with its
 * status. */
typedef struct rr_ref_observer {
    /* The residual stream [d_model] of a position: layer 0 = after the embedding, l + 1 = after
     * layer l. */
    void (*hidden)(void *user, uint32_t layer, size_t position, const float *hidden);
    /* The logits [n_vocab] of a position, positions in order. NULL = logits are not computed. */
    rr_status (*logits)(void *user, size_t position, const float *logits, rr_diag *diag);
    void *user;
} rr_ref_observer;

/* Runs tokens[0 … n) from position 0. Errors: RR_E_USAGE (n is 0 or above n_context, an id out of
 * range), RR_E_MEMORY. Not thread safe on one rr_ref_model. Cost: about 1 s a 30 tokens of a 0.5B
 * model with all logits, two processors. */
rr_status rr_ref_forward(rr_ref_model *ref, const int32_t *tokens, size_t n,
    const rr_ref_observer *observer, rr_diag *diag);

#endif
