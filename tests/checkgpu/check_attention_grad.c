/* attention_lse, attention_grad_q, attention_grad_kv. The last two get the first one's results from
 * the reference.
 *
 * Bound. Let M = max_j scale sum_i |q_i k_ji| and N the head size, n the rows that a sum may count
 * and X = 2 M + log n, which no |S − L| exceeds. A score carries an error below (N + 6) u M; the
 * difference to L, or to a maximum, rounds once more, X u, and exp is within 3 + 2 X units of 2 u
 * (Vulkan's precision table): a weight is right to a relative e = u ((N + 6) M + 8 + 5 X). L adds
 * the error of its sum, a factor a tile and that of log, 3 units or 2^-21. What multiplies a weight
 * is a difference of two sums of N products, (N + 8) u of the absolute terms; the sums over rows add
 * 6 sqrt(n) u (check_matmul.c). Weights below 2^-126 may come out as that or as 0. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/attention_grad.h"

enum { LAYERS = 2, LAYER = 1, MOST_BRANCHES = 6 };
static const double TINY = 0x1p-100;

typedef struct grad_case {
    uint32_t n_heads, n_kv_heads, head_size;
    uint32_t lengths[MOST_BRANCHES + 1]; /* of the prefix, then of the branches, then 0 */
    float sharpness;                     /* deviation of a score */
    uint32_t q_gap;
} grad_case;

typedef struct grad_data {
    uint32_t n_rows;
    uint32_t *positions, *sessions; /* [n_rows] */
    float *k, *v;                   /* [n_rows][n_kv_heads * head_size], as the cache holds them */
    float *lse, *delta;
    double *lse_bound, *delta_bound; /* [n_rows][n_heads] */
    float *d_qkv;                    /* [n_rows][width] */
    double *bound;
    double *q_bound, *k_bound, *v_bound, *scores;
    float *d_q, *d_k, *d_v;
    rr_push_attention_grad push;
} grad_data;

static void data_free(grad_data *data) {
    void *const all[] = {data->positions, data->sessions, data->k, data->v, data->lse, data->delta,
        data->lse_bound, data->delta_bound, data->d_qkv, data->bound, data->q_bound, data->k_bound,
        data->v_bound, data->scores, data->d_q, data->d_k, data->d_v};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(all[i]);
    }
}

static uint32_t width_of(const grad_case *c) {
    return (c->n_heads + 2 * c->n_kv_heads) * c->head_size;
}

static bool data_alloc(const grad_case *c, grad_data *data) {
    for (uint32_t s = 0; s == 0 || (s <= MOST_BRANCHES && c->lengths[s] != 0); s++) {
        data->n_rows += c->lengths[s];
    }
    const size_t n = data->n_rows, n_q = n * c->n_heads * c->head_size,
                 n_kv = n * c->n_kv_heads * c->head_size;
    data->positions = malloc(n * sizeof *data->positions);
    data->sessions = malloc(n * sizeof *data->sessions);
    data->k = malloc(n_kv * sizeof *data->k);
    data->v = malloc(n_kv * sizeof *data->v);
    data->lse = malloc(n * c->n_heads * sizeof *data->lse);
    data->delta = malloc(n * c->n_heads * sizeof *data->delta);
    data->lse_bound = malloc(n * c->n_heads * sizeof *data->lse_bound);
    data->delta_bound = malloc(n * c->n_heads * sizeof *data->delta_bound);
    data->d_qkv = malloc(n * width_of(c) * sizeof *data->d_qkv);
    data->bound = malloc(n * width_of(c) * sizeof *data->bound);
    data->q_bound = malloc(n_q * sizeof *data->q_bound);
    data->k_bound = malloc(n_kv * sizeof *data->k_bound);
    data->v_bound = malloc(n_kv * sizeof *data->v_bound);
    data->scores = malloc(n * c->n_heads * sizeof *data->scores);
    data->d_q = malloc(n_q * sizeof *data->d_q);
    data->d_k = malloc(n_kv * sizeof *data->d_k);
    data->d_v = malloc(n_kv * sizeof *data->d_v);
    return data->positions != NULL && data->sessions != NULL && data->k != NULL &&
        data->v != NULL && data->lse != NULL && data->delta != NULL && data->lse_bound != NULL &&
        data->delta_bound != NULL && data->d_qkv != NULL && data->bound != NULL &&
        data->q_bound != NULL && data->k_bound != NULL && data->v_bound != NULL &&
        data->scores != NULL && data->d_q != NULL && data->d_k != NULL && data->d_v != NULL;
}

/* Each branch is a session of the cache, the prefix another; what a session has before its first
 * row is NaN. */
static void fill_rows(rr_cg *cg, const grad_case *c, grad_data *data, uint32_t (*segments)[2]) {
    uint16_t *cache = (uint16_t *)(void *)cg->slots[RR_CG_KV].host;
    uint32_t row = 0;
    for (uint32_t s = 0; s == 0 || (s <= MOST_BRANCHES && c->lengths[s] != 0); s++) {
        const uint32_t begin = row, end = row + c->lengths[s];
        for (; row < end; row++) {
            segments[row][0] = begin;
            segments[row][1] = end;
            data->sessions[row] = s;
            data->positions[row] = row - begin + (s > 0 ? c->lengths[0] : 0);
            for (uint32_t i = 0; i < 2 * c->n_kv_heads * c->head_size; i++) {
                const uint32_t plane = i / c->head_size, head = plane % c->n_kv_heads;
                const uint16_t half = rr_f32_to_f16(rr_cg_normal(cg));
                cache[rr_cg_cache_at(cg, s, LAYER, plane, data->positions[row]) +
                    i % c->head_size] = half;
                float *to = plane < c->n_kv_heads ? data->k : data->v;
                to[((size_t)row * c->n_kv_heads + head) * c->head_size + i % c->head_size] =
                    rr_f16_to_f32(half);
            }
        }
    }
}

static rr_status data_make(rr_cg *cg, const grad_case *c, grad_data *data, rr_diag *diag) {
    const bool first = cg->variant->op == RR_OP_attention_lse;
    bool made = data_alloc(c, data);
    const size_t n = data->n_rows, wide = (size_t)c->n_heads * c->head_size;
    uint32_t n_context = 0, n_sessions = 1;
    for (uint32_t s = 1; s <= MOST_BRANCHES && c->lengths[s] != 0; s++, n_sessions++) {
        n_context = c->lengths[s] > n_context ? c->lengths[s] : n_context;
    }
    const rr_cg_cache shape = {.n_sessions = n_sessions,
        .n_layers = LAYERS,
        .n_kv_heads = c->n_kv_heads,
        .head_size = c->head_size,
        .n_context = n_context + c->lengths[0]};
    float *q = rr_cg_buffer(cg, RR_CG_X, RR_CG_IN, (n * (wide + c->q_gap) - c->q_gap) * sizeof *q);
    float *o = rr_cg_buffer(cg, RR_CG_O, RR_CG_IN, n * wide * sizeof *o);
    float *d_o = rr_cg_buffer(cg, RR_CG_D_O, RR_CG_IN, n * wide * sizeof *d_o);
    uint32_t(*segments)[2] = rr_cg_buffer(cg, RR_CG_SEGMENTS, RR_CG_IN, n * sizeof *segments);
    const rr_cg_role role = first ? RR_CG_OUT : RR_CG_IN;
    const size_t heads = n * c->n_heads * sizeof(float);
    made = made && q != NULL && o != NULL && d_o != NULL && segments != NULL &&
        rr_cg_buffer(cg, RR_CG_LSE, role, heads) != NULL &&
        rr_cg_buffer(cg, RR_CG_DELTA, role, heads) != NULL &&
        rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * width_of(c) * sizeof(float)) != NULL &&
        rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, n * sizeof(rr_row)) != NULL &&
        rr_cg_cache_make(cg, &shape);
    if (!made) {
        return rr_cg_no_memory(cg, diag);
    }
    for (size_t r = 0; r < n; r++) {
        rr_cg_normals(cg, c->sharpness, q + r * (wide + c->q_gap), wide);
        for (size_t i = 0; r + 1 < n && i < c->q_gap; i++) {
            q[r * (wide + c->q_gap) + wide + i] = NAN; /* must not be read */
        }
    }
    rr_cg_normals(cg, 0.5f, o, n * wide);
    rr_cg_normals(cg, 0.1f, d_o, n * wide);
    fill_rows(cg, c, data, segments);
    return RR_OK;
}

/* Sends the case; rows hold addresses, so they are known only after the buffers exist. */
static rr_status send(rr_cg *cg, const grad_case *c, grad_data *data, rr_diag *diag) {
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    rr_row *rows = (rr_row *)(void *)cg->slots[RR_CG_ROWS].host;
    rr_cg_cache_link(cg);
    for (uint32_t r = 0; r < data->n_rows; r++) {
        rows[r] = rr_cg_cache_row(cg, data->sessions[r], data->positions[r]);
        rows[r].pages = 0; /* not followed */
    }
    data->push = (rr_push_attention_grad){.q = rr_cg_address(cg, RR_CG_X),
        .o = rr_cg_address(cg, RR_CG_O),
        .d_o = rr_cg_address(cg, RR_CG_D_O),
        .d_qkv = rr_cg_address(cg, RR_CG_Y),
        .lse = rr_cg_address(cg, RR_CG_LSE),
        .delta = rr_cg_address(cg, RR_CG_DELTA),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .segments = rr_cg_address(cg, RR_CG_SEGMENTS),
        .kv_offset = rr_cg_cache_offset(cg, LAYER),
        .n_rows = data->n_rows,
        .n_prefix = c->lengths[0],
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .q_stride = c->n_heads * c->head_size + c->q_gap,
        .n_listed = data->n_rows,
        .scale = 1 / sqrtf((float)c->head_size)};
    return rr_cg_upload(cg, NULL, diag);
}

/* The parts of d_qkv together, in rows. */
static void interleave(const grad_case *c, grad_data *data) {
    const uint32_t wide = c->n_heads * c->head_size, narrow = c->n_kv_heads * c->head_size;
    for (uint32_t r = 0; r < data->n_rows; r++) {
        for (uint32_t i = 0; i < width_of(c); i++) {
            const size_t to = (size_t)r * width_of(c) + i;
            const size_t q = (size_t)r * wide + i, k = (size_t)r * narrow + i - wide,
                         v = k - narrow;
            data->d_qkv[to] = i < wide ? data->d_q[q]
                : i < wide + narrow    ? data->d_k[k]
                                       : data->d_v[v];
            data->bound[to] = i < wide ? data->q_bound[q]
                : i < wide + narrow    ? data->k_bound[k]
                                       : data->v_bound[v];
        }
    }
}

static void set_bounds(rr_cg *cg, const grad_case *c, grad_data *data) {
    const float *o = (const float *)(const void *)cg->slots[RR_CG_O].host;
    const float *d_o = (const float *)(const void *)cg->slots[RR_CG_D_O].host;
    const size_t heads = (size_t)data->n_rows * c->n_heads;
    const double size = c->head_size, n = (double)data->n_rows * c->n_heads / c->n_kv_heads;
    double m = 0;
    for (size_t i = 0; i < heads; i++) {
        m = fmax(m, data->scores[i]);
    }
    const double x = 2 * m + log(n + 1), e = RR_CG_U * ((size + 6) * m + 8 + 5 * x);
    for (size_t i = 0; i < heads; i++) {
        double absolute = 0;
        for (size_t d = i * c->head_size; d < (i + 1) * c->head_size; d++) {
            absolute += fabs((double)o[d] * d_o[d]);
        }
        data->delta_bound[i] = RR_CG_U * (size + 4) * absolute;
        data->lse_bound[i] =
            e + RR_CG_U * (n + 8 + x * n / 32 + 8 * (m + log(n + 1))) + ldexp(1, -21);
    }
    const double sum = RR_CG_U * (6 * sqrt(n) + 16);
    for (size_t i = 0; i < heads * c->head_size; i++) {
        data->q_bound[i] = data->q_bound[i] * (e + sum + RR_CG_U * (size + 8)) + TINY;
    }
    for (size_t i = 0; i < (size_t)data->n_rows * c->n_kv_heads * c->head_size; i++) {
        data->k_bound[i] = data->k_bound[i] * (e + sum + RR_CG_U * (size + 8)) + TINY;
        data->v_bound[i] = data->v_bound[i] * (e + sum) + TINY;
    }
}

static rr_status expect(rr_cg *cg, const grad_case *c, grad_data *data, rr_diag *diag) {
    const rr_ref_attention_grad_params params = {
        .branches = {(const uint32_t(*)[2])(const void *)cg->slots[RR_CG_SEGMENTS].host,
            data->n_rows, c->lengths[0]},
        .q = (const float *)(const void *)cg->slots[RR_CG_X].host,
        .k = data->k,
        .v = data->v,
        .o = (const float *)(const void *)cg->slots[RR_CG_O].host,
        .d_o = (const float *)(const void *)cg->slots[RR_CG_D_O].host,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .head_size = c->head_size,
        .q_stride = c->n_heads * c->head_size + c->q_gap,
        .scale = 1 / sqrtf((float)c->head_size),
        .lse = data->lse,
        .delta = data->delta,
        .d_q = data->d_q,
        .d_k = data->d_k,
        .d_v = data->d_v,
        .score_magnitude = data->scores,
        .q_magnitude = data->q_bound,
        .k_magnitude = data->k_bound,
        .v_magnitude = data->v_bound};
    if (!rr_ref_attention_grad(&params)) {
        return rr_cg_no_memory(cg, diag);
    }
    set_bounds(cg, c, data);
    interleave(c, data);
    if (cg->variant->op != RR_OP_attention_lse) {
        const size_t bytes = (size_t)data->n_rows * c->n_heads * sizeof(float);
        memcpy(cg->slots[RR_CG_LSE].host, data->lse, bytes);
        memcpy(cg->slots[RR_CG_DELTA].host, data->delta, bytes);
    }
    return RR_OK;
}

/* Columns of d_qkv that the op writes. */
static void written(const rr_cg *cg, const grad_case *c, uint32_t *begin, uint32_t *end) {
    const uint32_t wide = c->n_heads * c->head_size;
    const bool of_q = cg->variant->op == RR_OP_attention_grad_q;
    *begin = of_q ? 0 : wide;
    *end = of_q ? wide : cg->variant->op == RR_OP_attention_grad_kv ? width_of(c) : wide;
}

/* Outside [first, first + n) and the op's columns, slot Y must be the fill. */
static void compare_untouched(
    rr_cg *cg, const grad_case *c, const grad_data *data, uint32_t first, uint32_t n) {
    static const uint32_t fill = RR_CG_FILL;
    const float *found = rr_cg_found(cg, RR_CG_Y);
    uint32_t begin, end;
    written(cg, c, &begin, &end);
    for (uint32_t r = 0; r < data->n_rows; r++) {
        for (uint32_t i = 0; i < width_of(c); i++) {
            const bool own = r >= first && r - first < n && i >= begin && i < end;
            if (!own && memcmp(&found[(size_t)r * width_of(c) + i], &fill, sizeof fill) != 0) {
                rr_cg_fault(cg, "wrote row %u column %u of d_qkv, which is not its own", r, i);
                return;
            }
        }
    }
}

static void compare_heads(rr_cg *cg, const grad_case *c, const grad_data *data) {
    const rr_cg_slot_id slots[2] = {RR_CG_LSE, RR_CG_DELTA};
    for (int s = 0; s < 2; s++) {
        rr_cg_compare(cg,
            &(rr_cg_floats){.found = rr_cg_found(cg, slots[s]),
                .expected = s == 0 ? data->lse : data->delta,
                .bound = s == 0 ? data->lse_bound : data->delta_bound,
                .rows = data->n_rows,
                .cols = c->n_heads,
                .stride = c->n_heads,
                .nmse = 1e-10});
    }
}

static void compare_parts(rr_cg *cg, const grad_case *c, const grad_data *data) {
    const float *found = rr_cg_found(cg, RR_CG_Y);
    uint32_t begin, end;
    written(cg, c, &begin, &end);
    for (uint32_t r = 0; r < data->n_rows; r++) {
        const size_t at = (size_t)r * width_of(c) + begin;
        rr_cg_compare(cg,
            &(rr_cg_floats){.found = found + at,
                .expected = data->d_qkv + at,
                .bound = data->bound + at,
                .rows = 1,
                .cols = end - begin,
                .stride = end - begin,
                .nmse = 1e-9});
    }
}

/* Rows [first, first + n) alone have the bits that they had among all, which stand in the slots'
 * `first`. */
static rr_status check_cut(rr_cg *cg, const grad_case *c, const grad_data *data, uint32_t first,
    uint32_t n, rr_diag *diag) {
    static const rr_cg_slot_id slots[3] = {RR_CG_Y, RR_CG_LSE, RR_CG_DELTA};
    const size_t widths[3] = {width_of(c), c->n_heads, c->n_heads};
    rr_push_attention_grad push = data->push;
    push.first = first;
    push.n_listed = n;
    RR_TRY(rr_cg_reset_outputs(cg, diag));
    RR_TRY(rr_cg_run_once(cg, &(rr_kern_key){.head_size = c->head_size}, &push, diag));
    for (int s = 0; s < 3; s++) {
        if (cg->slots[slots[s]].role == RR_CG_OUT) {
            const size_t at = first * widths[s] * sizeof(float);
            rr_cg_compare_bits(cg, "some rows alone",
                (const uint8_t *)rr_cg_found(cg, slots[s]) + at, cg->slots[slots[s]].first + at,
                n * widths[s], widths[s]);
        }
    }
    compare_untouched(cg, c, data, first, n);
    return RR_OK;
}

/* A part in the middle; where rows are few, each of them. */
static rr_status check_cuts(rr_cg *cg, const grad_case *c, const grad_data *data, rr_diag *diag) {
    enum { FEW = 64 };
    for (size_t i = 0; i < RR_CG_SLOTS; i++) {
        rr_cg_slot *slot = &cg->slots[i];
        if (slot->role == RR_CG_OUT) {
            memcpy(slot->first, rr_cg_found(cg, (rr_cg_slot_id)i), slot->bytes);
        }
    }
    const uint32_t n = data->n_rows;
    RR_TRY(check_cut(cg, c, data, n / 3, (n + 2) / 3, diag));
    for (uint32_t r = 0; r < n && n <= FEW; r++) {
        RR_TRY(check_cut(cg, c, data, r, 1, diag));
    }
    return RR_OK;
}

static rr_status run_case(rr_cg *cg, const grad_case *c, grad_data *data, rr_diag *diag) {
    RR_TRY(data_make(cg, c, data, diag));
    RR_TRY(expect(cg, c, data, diag));
    RR_TRY(send(cg, c, data, diag));
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){.head_size = c->head_size}, &data->push, diag));
    if (cg->variant->op == RR_OP_attention_lse) {
        compare_heads(cg, c, data);
    } else {
        compare_parts(cg, c, data);
    }
    compare_untouched(cg, c, data, 0, data->n_rows);
    RR_TRY(check_cuts(cg, c, data, diag));
    rr_cg_end(cg);
    return RR_OK;
}

/* One row, groups of 6 and 7, heads of 32 to 128, no prefix, branches of one row, several tiles and
 * pages, a prefix that ends within a tile; a branch that begins just before a tile of keys ends. */
rr_status rr_cg_check_attention_grad(rr_cg *cg, rr_diag *diag) {
    static const grad_case cases[] = {{1, 1, 32, {1}, 1, 0}, {7, 1, 64, {31}, 2, 64},
        {12, 2, 64, {129}, 1, 0}, {14, 2, 64, {33, 1, 40, 17}, 3, 256},
        {4, 4, 32, {0, 5, 64, 3}, 1, 0}, {7, 1, 128, {20, 31, 2}, 1, 0},
        {6, 1, 128, {129, 9}, 0, 0}, {2, 1, 64, {130, 7, 1, 1, 70}, 30, 0},
        {8, 8, 64, {11, 30, 12}, 0.5f, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const grad_case *c = &cases[i];
        const rr_kern_key key = {.head_size = c->head_size};
        if (!rr_cg_suits(cg, &key, "heads of %u", c->head_size)) {
            continue;
        }
        grad_data data = {0};
        rr_cg_begin(cg, "heads %u/%u of %u, prefix %u, branches %u %u …, sharpness %g", c->n_heads,
            c->n_kv_heads, c->head_size, c->lengths[0], c->lengths[1], c->lengths[2],
            (double)c->sharpness);
        rr_status status = run_case(cg, c, &data, diag);
        data_free(&data);
        RR_TRY(status);
    }
    return RR_OK;
}
