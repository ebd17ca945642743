/* The plain C reference of the backward pass: what each gradient of shaders/<op>_grad.h means.
 * Names: x is an input of the forward op, y its result, d_x and d_y are the loss's derivatives by
 * them. Sums run in double precision over the given floats; results are rounded to float once.
 * `adds`: the result is added to what is there. `magnitude`, where there is one, gets the sum of the
 * absolute terms, which rounding errors scale with; NULL = not wanted. All functions are pure and
 * thread safe. Arrays are dense and row-major unless a stride is given; sizes are in floats. */
#ifndef RR_REF_GRAD_H
#define RR_REF_GRAD_H

#include "runtime/ref/ref.h"

/* y = x W^T: d_x[t][c] (+)= factor sum_r W[r][c] d_y[t][r]. */
typedef struct rr_ref_matmul_grad_params {
    rr_ref_matrix matrix; /* W [rows][cols] */
    const float *d_y;     /* [n_tokens][y_stride], of which the first `rows` count */
    uint32_t y_stride, x_stride, n_tokens;
    float factor;
    bool adds;
    float *d_x;     /* [n_tokens][x_stride], of which the first `cols` are written */
    double *sums;   /* scratch: [cols] */
    float *weights; /* scratch: [rows][cols] */
} rr_ref_matmul_grad_params;
void rr_ref_matmul_grad(const rr_ref_matmul_grad_params *params);

/* The gradient of a matrix of an adapter: y[i][j] (+)= factor sum_t a[t][i] b[t][j]. With the
 * forward y = x W^T + s (x A^T) B^T, u = d_y B and h = x A^T, d_A is that of u and x, d_B that of
 * d_y and h, both with the factor s, and d_x = d_y W + s u A. */
typedef struct rr_ref_outer_grad_params {
    const float *a, *b; /* [n_tokens][a_stride], [n_tokens][b_stride] */
    uint32_t n_a, n_b, a_stride, b_stride, n_tokens;
    float factor;
    bool adds;
    float *y;          /* [n_a][n_b] */
    double *magnitude; /* [n_a][n_b] */
} rr_ref_outer_grad_params;
void rr_ref_outer_grad(const rr_ref_outer_grad_params *params);

/* With rho = 1 / sqrt(mean(x^2) + epsilon), h = x rho and g the weights:
 * d_x[r] (+)= rho (g d_y − h mean(g d_y h)). */
typedef struct rr_ref_rmsnorm_grad_params {
    const float *x, *weight, *d_y;
    uint32_t n_rows, cols;
    float epsilon;
    bool adds;
    float *d_x;
    double *magnitude; /* [n_rows][cols] */
} rr_ref_rmsnorm_grad_params;
void rr_ref_rmsnorm_grad(const rr_ref_rmsnorm_grad_params *params);

/* y = silu(e) u with e = gate_up[r][c], u = gate_up[r][cols + c]; d_gate_up has the same places and
 * may be gate_up: d_e = d_y u sigma(e) (1 + e (1 − sigma(e))), d_u = d_y silu(e). */
void rr_ref_swiglu_grad(
    const float *gate_up, const float *d_y, uint32_t n_rows, uint32_t cols, float *d_gate_up);

/* Turns the first n_rotated heads of each row back, in place: rr_ref_rope by the negative angle. */
void rr_ref_rope_grad(float *d_qkv, uint32_t row_stride, const uint32_t *positions, uint32_t n_rows,
    const float *table, uint32_t n_rotated, uint32_t head_size);

/* Rows of a prefix with branches: rows [0, n_prefix) are the prefix, the others stand in branches,
 * each a run of neighbouring rows. Row r sees row j when j <= r and j is of the prefix or of r's own
 * branch. segments[r] = the rows [begin, end) of r's branch; of the prefix, [0, n_prefix). Without
 * a prefix the branches are sequences of their own. */
typedef struct rr_ref_branches {
    const uint32_t (*segments)[2]; /* [n_rows] */
    uint32_t n_rows, n_prefix;
} rr_ref_branches;
bool rr_ref_sees(const rr_ref_branches *branches, uint32_t row, uint32_t key);

/* The backward pass of attention over such rows, with S = scale q k, L = log sum_j e^S,
 * P = e^(S − L), D = sum(d_o o):
 *   d_v = P^T d_o;  d_S = P (d_o v − D);  d_q = scale d_S k;  d_k = scale d_S^T q.
 * Query head h reads KV head h / (n_heads / n_kv_heads), whose gradients are sums over its query
 * heads and over all rows that see the key. */
typedef struct rr_ref_attention_grad_params {
    rr_ref_branches branches;
    const float *q;     /* [n_rows][q_stride], rotated */
    const float *k, *v; /* [n_rows][n_kv_heads * head_size] */
    const float *o;     /* [n_rows][n_heads * head_size], the forward's result */
    const float *d_o;   /* … and its gradient */
    uint32_t n_heads, n_kv_heads, head_size, q_stride;
    float scale;
    float *lse, *delta; /* [n_rows][n_heads]: L and D */
    float *d_q;         /* [n_rows][n_heads * head_size] */
    float *d_k, *d_v;   /* [n_rows][n_kv_heads * head_size] */
    /* What error bounds need; all or none. Of q and k: the sums of |terms|, where a term's
     * |d_o v − D| counts as sum |d_o v| + sum |d_o o|. */
    double *score_magnitude; /* [n_rows][n_heads]: max_j scale sum_i |q_i k_ji| */
    double *q_magnitude, *k_magnitude, *v_magnitude;
} rr_ref_attention_grad_params;
/* False when there is no memory for the sums. */
bool rr_ref_attention_grad(const rr_ref_attention_grad_params *params);

/* The loss of scored rows, −weight log p[target] with p the softmax over the admitted columns:
 * log_p[r] = log p[r][target], d_z[r][c] = weight (p[c] − [c = target]), 0 where c is not admitted.
 * Bit c % 32 of word c / 32 of a row of `admitted` tells; NULL = all are. A target must be
 * admitted. d_z may be z. */
typedef struct rr_ref_cross_entropy_params {
    const float *z;           /* [n_rows][cols] */
    const uint32_t *targets;  /* [n_rows], below cols */
    const float *weights;     /* [n_rows] */
    const uint32_t *admitted; /* [n_rows][(cols + 31) / 32] or NULL */
    uint32_t n_rows, cols;
    float *log_p; /* [n_rows] */
    float *d_z;   /* [n_rows][cols] */
} rr_ref_cross_entropy_params;
void rr_ref_cross_entropy(const rr_ref_cross_entropy_params *params);

/* One step of AdamW (Loshchilov and Hutter, 2019) in PyTorch's order, g = grad_scale * gradient:
 *   m = beta1 m + (1 − beta1) g;  v = beta2 v + (1 − beta2) g^2;
 *   w = w (1 − rate decay) − rate correction1 m / (sqrt(correction2 v) + epsilon)
 * with correction = 1 / (1 − beta^step), step counted from 1. */
typedef struct rr_ref_adamw_params {
    float *w, *m, *v; /* [n] */
    const float *g;   /* [n] */
    uint32_t n;
    float grad_scale, rate, beta1, beta2, epsilon, decay, correction1, correction2;
} rr_ref_adamw_params;
void rr_ref_adamw(const rr_ref_adamw_params *params);

#endif
