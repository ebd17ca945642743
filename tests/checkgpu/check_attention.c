/* attention_prefill, attention_decode; lanes_attention_prefill, lanes_attention_decode, whose
 * results are quantized.
 *
 * Bound. Let M = max_j scale sum_i |q_i k_ji| and D the head size. A score carries an error below
 * (D + 4) u M; the difference to the maximum adds 2 M u, exp is within 3 + 2 · 2 M units of 2 u
 * (Vulkan's precision table); a running maximum multiplies by at most one factor of 3 + 4 M units a
 * tile of keys. So each weight is right to a relative e = u ((D + 4) M + 2 M + 2 (3 + 4 M) + 6
 * tiles), the sums over n keys add n u, and the quotient counts all of it twice: |error| <= 2 (e +
 * (n + 4) u) sum_j p_j |v_j|. Tiles are taken as n / 32 + 1. Rows on matrix units round q × scale
 * and the weights to f16: e grows by 2^-11 (M + 1). What is subnormal there may be lost: of q
 * 2^-14, times |k| at most 4; of weights, in units of 2^-15 of the largest, 2^-29 a key, times |v|
 * at most 4. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/attention.h"
#include "shaders/lanes_attention.h"

enum { LAYERS = 2, LAYER = 1 };

typedef struct attention_case {
    uint32_t n_heads, n_kv_heads, head_size, n_context;
    uint32_t n_rows, first_position; /* prefill: consecutive positions of one session */
    uint32_t n_sessions;             /* decode: the rows go round the sessions */
    /* deviation of a score: 0 = all weights equal, 30 = one key takes all */
    float sharpness;
    uint32_t q_gap;
    bool q8; /* the result is asked for as int8 activations */
} attention_case;

typedef struct attention_data {
    uint32_t *positions, *sessions; /* [n_rows] */
    float *expected;
    double *values, *bound; /* [n_rows][n_heads * head_size] */
    double *scores, *scratch;
    /* of one session's layer, [K, V][n_kv_heads][n_context][head_size] */
    uint16_t *kv;
    rr_push_attention push;
    rr_push_lanes_attention lanes_push;
} attention_data;

static bool is_lanes(const rr_cg *cg) {
    return cg->variant->op == RR_OP_lanes_attention_prefill ||
        cg->variant->op == RR_OP_lanes_attention_decode;
}

/* Factors are rounded to f16 for matrix units. */
static bool is_coop(const rr_cg *cg) {
    return (cg->variant->caps & RR_CAP_COOP) != 0;
}

static bool is_decode(const rr_cg *cg) {
    return cg->variant->op == RR_OP_attention_decode ||
        cg->variant->op == RR_OP_lanes_attention_decode;
}

/* The result comes quantized, in groups of 32. */
static bool has_codes(const rr_cg *cg, const attention_case *c) {
    return is_lanes(cg) || c->q8;
}

/* Where the codes' groups go; the two layouts differ in how they keep sums. */
static rr_cg_slot_id groups_slot(const rr_cg *cg) {
    return is_lanes(cg) ? RR_CG_OUT_GROUPS : RR_CG_Y_GROUPS;
}

/* Bytes of a row of the result, in slot Y and (codes) in the groups' slot. */
static size_t y_bytes(const rr_cg *cg, const attention_case *c) {
    size_t width = (size_t)c->n_heads * c->head_size;
    return is_lanes(cg) ? width * sizeof(int16_t) : c->q8 ? width : width * sizeof(float);
}

static size_t group_bytes(const rr_cg *cg, const attention_case *c) {
    return has_codes(cg, c) ? (size_t)c->n_heads * c->head_size / 4 : 0;
}

static void data_free(attention_data *data) {
    free(data->positions);
    free(data->sessions);
    free(data->expected);
    free(data->values);
    free(data->bound);
    free(data->scores);
    free(data->scratch);
    free(data->kv);
}

/* Random K and V at positions 0 … last of a session's layer; all else is NaN and must not count. */
static void fill_cache(rr_cg *cg, const attention_case *c, uint32_t session, uint32_t last) {
    uint16_t *cache = (uint16_t *)(void *)cg->slots[RR_CG_KV].host;
    for (uint32_t plane = 0; plane < 2 * c->n_kv_heads; plane++) {
        for (uint32_t p = 0; p <= last; p++) {
            uint16_t *row = cache + rr_cg_cache_at(cg, session, LAYER, plane, p);
            for (uint32_t i = 0; i < c->head_size; i++) {
                row[i] = rr_f32_to_f16(rr_cg_normal(cg));
            }
        }
    }
}

static uint32_t *scratch_make(rr_cg *cg, const attention_case *c) {
    size_t n = RR_ATTENTION_SCRATCH(
        (size_t)c->n_rows, c->n_heads, c->n_kv_heads, c->head_size, c->n_context);
    uint32_t *scratch = rr_cg_buffer(cg, RR_CG_SCRATCH, RR_CG_INOUT, n * sizeof *scratch);
    if (scratch != NULL) {
        memset(scratch, 0, RR_ATTENTION_COUNTERS(c->n_kv_heads) * sizeof *scratch);
    }
    return scratch;
}

static rr_status data_make(
    rr_cg *cg, const attention_case *c, attention_data *data, rr_diag *diag) {
    uint32_t width = c->n_heads * c->head_size, stride = width + c->q_gap;
    size_t n = (size_t)c->n_rows * width;
    uint32_t n_sessions = c->n_sessions;
    float *q = rr_cg_buffer(cg, RR_CG_X, RR_CG_IN, (size_t)c->n_rows * stride * sizeof *q);
    rr_row *rows = rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, c->n_rows * sizeof *rows);
    void *y = rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, c->n_rows * y_bytes(cg, c));
    /* an output for its fill; the kernels must leave it alone, which rr_cg_compare_bits checks */
    bool cache = rr_cg_cache_make(cg,
        &(rr_cg_cache){.n_sessions = n_sessions,
            .n_layers = LAYERS,
            .n_kv_heads = c->n_kv_heads,
            .head_size = c->head_size,
            .n_context = c->n_context});
    if (cg->variant->op == RR_OP_attention_decode && scratch_make(cg, c) == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    rr_ref_kv kv = {.n_context = c->n_context, .head_size = c->head_size};
    data->positions = malloc(c->n_rows * sizeof *data->positions);
    data->sessions = malloc(c->n_rows * sizeof *data->sessions);
    data->expected = malloc(n * sizeof *data->expected);
    data->values = malloc(n * sizeof *data->values);
    data->bound = malloc(n * sizeof *data->bound);
    data->scores = malloc((size_t)c->n_rows * c->n_heads * sizeof *data->scores);
    data->scratch = malloc(rr_ref_attention_scratch(&kv) * sizeof *data->scratch);
    data->kv = malloc((size_t)2 * c->n_kv_heads * c->n_context * c->head_size * sizeof *data->kv);
    if (has_codes(cg, c) &&
        rr_cg_buffer(cg, groups_slot(cg), RR_CG_OUT, c->n_rows * group_bytes(cg, c)) == NULL) {
        y = NULL;
    }
    if (q == NULL || rows == NULL || y == NULL || !cache || data->positions == NULL ||
        data->sessions == NULL || data->expected == NULL || data->values == NULL ||
        data->bound == NULL || data->scores == NULL || data->scratch == NULL || data->kv == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    /* scores of normal k: deviation |q| scale = sharpness, with scale = 1 / sqrt(D) and q's
     * deviation = sharpness */
    for (uint32_t r = 0; r < c->n_rows; r++) {
        rr_cg_normals(cg, c->sharpness, q + (size_t)r * stride, width);
        for (uint32_t i = width; i < stride; i++) {
            q[(size_t)r * stride + i] = NAN;
        }
        data->sessions[r] = r % n_sessions;
        data->positions[r] = c->first_position + r;
        if (is_decode(cg) && r % 3 == 1) {
            data->positions[r] = (uint32_t)(rr_cg_random(cg) % c->n_context);
        }
    }
    for (uint32_t s = 0; s < n_sessions; s++) {
        uint32_t last = 0;
        for (uint32_t r = 0; r < c->n_rows; r++) {
            last = data->sessions[r] == s && data->positions[r] > last ? data->positions[r] : last;
        }
        fill_cache(cg, c, s, last);
    }
    return RR_OK;
}

static void expect(rr_cg *cg, const attention_case *c, attention_data *data) {
    uint32_t width = c->n_heads * c->head_size, stride = width + c->q_gap;
    for (uint32_t r = 0; r < c->n_rows; r++) {
        if (r == 0 || data->sessions[r] != data->sessions[r - 1]) {
            rr_cg_cache_gather(cg, data->sessions[r], LAYER, data->kv);
        }
        size_t at = (size_t)r * width, score_at = (size_t)r * c->n_heads;
        rr_ref_attention_params params = {
            .q = (const float *)(const void *)cg->slots[RR_CG_X].host + (size_t)r * stride,
            .positions = &data->positions[r],
            .n_rows = 1,
            .n_heads = c->n_heads,
            .q_stride = stride,
            .scale = 1 / sqrtf((float)c->head_size),
            .kv = {.n_kv_heads = c->n_kv_heads,
                .n_context = c->n_context,
                .head_size = c->head_size,
                .f16 = data->kv},
            .y = data->expected + at,
            .value_magnitude = data->values + at,
            .score_magnitude = data->scores + score_at};
        double n = data->positions[r] + 1.0;
        for (uint32_t h = 0; h < c->n_heads; h++) {
            rr_ref_attention_head(&params, h, data->scratch);
            double m = data->scores[score_at + h];
            double e = (c->head_size + 4) * m + 2 * m + 2 * (3 + 4 * m) + 6 * (n / 32 + 1);
            double lost = 0;
            if (is_coop(cg)) {
                e += (ldexp(m + 1, -11) + ldexp(4.0 * c->head_size, -14)) / RR_CG_U;
                lost = n * ldexp(4, -29);
            }
            for (uint32_t i = h * c->head_size; i < (h + 1) * c->head_size; i++) {
                data->bound[at + i] = 2 * RR_CG_U * (e + n + 4) * data->values[at + i] + lost;
            }
        }
    }
}

/* Sends the case; rows hold addresses, so they are known only after the buffers exist. */
static rr_status send(rr_cg *cg, const attention_case *c, attention_data *data, rr_diag *diag) {
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    rr_row *rows = (rr_row *)(void *)cg->slots[RR_CG_ROWS].host;
    uint32_t n_keys = 0;
    rr_cg_cache_link(cg);
    for (uint32_t r = 0; r < c->n_rows; r++) {
        n_keys = data->positions[r] >= n_keys ? data->positions[r] + 1 : n_keys;
        rows[r] = rr_cg_cache_row(cg, data->sessions[r], data->positions[r]);
    }
    data->push = (rr_push_attention){.q = rr_cg_address(cg, RR_CG_X),
        .y = rr_cg_address(cg, RR_CG_Y),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .kv_offset = rr_cg_cache_offset(cg, LAYER),
        .scratch = rr_cg_address(cg, RR_CG_SCRATCH),
        .n_keys = n_keys,
        .n_rows = c->n_rows,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .q_stride = c->n_heads * c->head_size + c->q_gap,
        .scale = 1 / sqrtf((float)c->head_size)};
    data->lanes_push = (rr_push_lanes_attention){.q = data->push.q,
        .codes = data->push.y,
        .rows = data->push.rows,
        .kv_offset = data->push.kv_offset,
        .n_rows = c->n_rows,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .q_stride = data->push.q_stride,
        .scale = data->push.scale};
    if (has_codes(cg, c)) {
        data->push.groups = data->lanes_push.groups = rr_cg_address(cg, groups_slot(cg));
    }
    return rr_cg_upload(cg, NULL, diag);
}

static void name_case(rr_cg *cg, const attention_case *c, const char *what) {
    rr_cg_begin(cg,
        "%sheads %u/%u of %u, rows %u from position %u, context %u, sessions %u, sharpness %g q+%u%s",
        what, c->n_heads, c->n_kv_heads, c->head_size, c->n_rows, c->first_position, c->n_context,
        c->n_sessions, (double)c->sharpness, c->q_gap, c->q8 ? ", to int8" : "");
}

static rr_status check_case(rr_cg *cg, const attention_case *c, rr_diag *diag) {
    attention_data data = {0};
    uint32_t width = c->n_heads * c->head_size;
    name_case(cg, c, "");
    rr_status status = data_make(cg, c, &data, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(send(cg, c, &data, diag));
    expect(cg, c, &data);
    const void *push = is_lanes(cg) ? (const void *)&data.lanes_push : &data.push;
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){.head_size = c->head_size}, push, diag));
    if (c->q8) {
        rr_cg_compare_q8(cg, data.expected, data.bound, c->n_rows, width);
    } else if (is_lanes(cg)) {
        rr_cg_compare_codes(cg,
            &(rr_cg_codes){.found = rr_cg_found(cg, RR_CG_Y),
                .groups = rr_cg_found(cg, RR_CG_OUT_GROUPS),
                .expected = data.expected,
                .bound = data.bound,
                .rows = c->n_rows,
                .cols = width});
    } else {
        /* of scores, whose rounding errors become relative errors of weights */
        double range = 1 + (double)c->sharpness;
        double unit =
            is_coop(cg) ? ldexp(1, -22) : RR_CG_U * RR_CG_U * (c->head_size + c->n_context);
        rr_cg_compare(cg,
            &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
                .expected = data.expected,
                .bound = data.bound,
                .rows = c->n_rows,
                .cols = width,
                .stride = width,
                .nmse = unit * range * range});
    }
    rr_cg_compare_bits(cg, "the cache", rr_cg_found(cg, RR_CG_KV), cg->slots[RR_CG_KV].host,
        cg->slots[RR_CG_KV].bytes / sizeof(uint32_t), c->head_size / 2);
    if (cg->variant->op == RR_OP_attention_decode) {
        size_t counters = RR_ATTENTION_COUNTERS(c->n_kv_heads);
        rr_cg_compare_bits(cg, "the counters", rr_cg_found(cg, RR_CG_SCRATCH),
            cg->slots[RR_CG_SCRATCH].host, counters, counters);
    }
    rr_cg_end(cg);
fail:
    data_free(&data);
    return status;
}

/* Rows [first, first + n) alone, into their places of `out`: [row][the row's floats, or its codes
 * and then its groups]. */
static rr_status run_rows(rr_cg *cg, const attention_case *c, const attention_data *data,
    uint32_t first, uint32_t n, uint8_t *out, rr_diag *diag) {
    rr_push_attention push = data->push;
    rr_push_lanes_attention lanes_push = data->lanes_push;
    size_t y = y_bytes(cg, c), groups = group_bytes(cg, c);
    push.q += (uint64_t)first * push.q_stride * sizeof(float);
    push.rows += (uint64_t)first * sizeof(rr_row);
    push.n_rows = n;
    push.n_keys = 0;
    for (uint32_t r = first; r < first + n; r++) {
        push.n_keys = data->positions[r] >= push.n_keys ? data->positions[r] + 1 : push.n_keys;
    }
    lanes_push.q = push.q;
    lanes_push.rows = push.rows;
    lanes_push.n_rows = n;
    RR_TRY(rr_cg_reset_outputs(cg, diag));
    RR_TRY(rr_cg_run_once(cg, &(rr_kern_key){.head_size = c->head_size},
        is_lanes(cg) ? (const void *)&lanes_push : &push, diag));
    for (size_t r = 0; r < n; r++) {
        uint8_t *to = out + (first + r) * (y + groups);
        memcpy(to, (const uint8_t *)rr_cg_found(cg, RR_CG_Y) + r * y, y);
        if (groups != 0) {
            memcpy(to + y, (const uint8_t *)rr_cg_found(cg, groups_slot(cg)) + r * groups, groups);
        }
    }
    return RR_OK;
}

/* However a prompt is cut into chunks, or a batch into passes, a row's bits are the same. */
static rr_status check_cuts(
    rr_cg *cg, const attention_case *c, const uint32_t *cuts, size_t n_cuts, rr_diag *diag) {
    attention_data data = {0};
    size_t row_words = (y_bytes(cg, c) + group_bytes(cg, c)) / 4;
    bool prefill = !is_decode(cg);
    if (!rr_cg_suits(
            cg, &(rr_kern_key){.head_size = c->head_size}, "cuts: heads of %u", c->head_size)) {
        return RR_OK;
    }
    name_case(cg, c, "cuts: ");
    uint8_t *whole = malloc(c->n_rows * row_words * 4), *parts = malloc(c->n_rows * row_words * 4);
    rr_status status =
        whole == NULL || parts == NULL ? rr_cg_no_memory(cg, diag) : data_make(cg, c, &data, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(send(cg, c, &data, diag));
    RR_TRY_GOTO(run_rows(cg, c, &data, 0, c->n_rows, whole, diag));
    for (size_t i = 0; i < n_cuts; i++) {
        char what[32];
        snprintf(what, sizeof what, "pieces of %u", cuts[i]);
        uint32_t n_pieces = rr_div_up(c->n_rows, cuts[i]);
        for (uint32_t piece = n_pieces; piece-- > 0;) {
            uint32_t first = piece * cuts[i],
                     rows = c->n_rows - first < cuts[i] ? c->n_rows - first : cuts[i];
            RR_TRY_GOTO(run_rows(cg, c, &data, first, rows, parts, diag));
        }
        rr_cg_compare_bits(cg, what, parts, whole, c->n_rows * row_words, row_words);
    }
    if (prefill) { /* the first half again, with nothing behind it in the cache */
        uint32_t half = c->n_rows / 2, known = c->first_position + half;
        uint16_t *cache = (uint16_t *)(void *)cg->slots[RR_CG_KV].host;
        for (uint32_t plane = 0; plane < 2 * c->n_kv_heads; plane++) {
            for (uint32_t p = known; p < c->n_context; p++) {
                for (uint32_t i = 0; i < c->head_size; i++) {
                    cache[rr_cg_cache_at(cg, 0, LAYER, plane, p) + i] = RR_CG_FILL & 0xFFFF;
                }
            }
        }
        RR_TRY_GOTO(run_rows(cg, c, &data, 0, half, parts, diag));
        rr_cg_compare_bits(cg, "the first half alone", parts, whole, half * row_words, row_words);
    }
    rr_cg_end(cg);
fail:
    free(whole);
    free(parts);
    data_free(&data);
    return status;
}

/* Each case, and again to int8 where the kernel can. */
static rr_status check_cases(rr_cg *cg, const attention_case *cases, size_t n, rr_diag *diag) {
    for (size_t i = 0; i < n; i++) {
        attention_case quantized = cases[i];
        quantized.q8 = true;
        bool groups = cases[i].head_size % 32 == 0;
        if (!rr_cg_suits(cg, &(rr_kern_key){.head_size = cases[i].head_size},
                "heads of %u, rows %u from position %u", cases[i].head_size, cases[i].n_rows,
                cases[i].first_position)) {
            continue;
        }
        if (groups || !is_lanes(cg)) {
            RR_TRY(check_case(cg, &cases[i], diag));
        }
        if (groups && rr_attention_quantizes(cg->variant)) {
            RR_TRY(check_case(cg, &quantized, diag));
        }
    }
    return RR_OK;
}

static rr_status check_prefill(rr_cg *cg, rr_diag *diag) {
    static const attention_case cases[] = {
        /* heads, kv, size, context, rows, first, sessions, sharpness, gap, int8 */
        {1, 1, 16, 8, 1, 0, 1, 1, 0, false}, {4, 2, 16, 40, 33, 0, 1, 1, 64, false},
        {6, 2, 32, 70, 31, 32, 1, 1, 0, false}, {14, 2, 64, 100, 40, 0, 1, 1, 256, false},
        {14, 2, 64, 300, 17, 250, 1, 2, 256, false}, {2, 2, 64, 66, 65, 1, 1, 8, 0, false},
        {4, 1, 64, 64, 64, 0, 1, 0, 0, false}, {5, 1, 128, 50, 9, 31, 1, 1, 0, false},
        {12, 2, 128, 70, 5, 63, 1, 2, 0, false}, {28, 4, 128, 64, 33, 20, 1, 1, 1024, false},
        {40, 8, 128, 33, 2, 30, 1, 1, 0, false}, {8, 1, 128, 65, 3, 60, 1, 30, 0, false},
        /* on both sides of a page's end, from it, to it */
        {4, 2, 16, 300, 150, 110, 1, 1, 0, false}, {2, 1, 32, 140, 3, 126, 1, 1, 0, false},
        {7, 1, 64, 129, 1, 128, 1, 1, 0, false}, {4, 2, 64, 260, 9, 250, 1, 2, 0, false},
        {2, 2, 128, 130, 1, 127, 1, 1, 0, false}, {6, 2, 128, 390, 131, 128, 1, 1, 0, false}};
    static const attention_case big[] = {{14, 2, 64, 2000, 256, 1700, 1, 2, 256, false},
        {28, 4, 128, 2000, 64, 1900, 1, 2, 0, false}, {14, 2, 64, 512, 512, 0, 1, 1, 256, false}};
    static const attention_case cut = {14, 2, 64, 140, 130, 3, 1, 2, 0, false},
                                cut128 = {7, 1, 128, 80, 70, 0, 1, 2, 0, false};
    static const uint32_t pieces[] = {1, 5, 32, 33, 64, 100};
    RR_TRY(check_cases(cg, cases, sizeof cases / sizeof cases[0], diag));
    if (cg->params->full) {
        RR_TRY(check_cases(cg, big, sizeof big / sizeof big[0], diag));
    }
    RR_TRY(check_cuts(cg, &cut, pieces + 1, 5, diag));
    return check_cuts(cg, &cut128, pieces, 4, diag);
}

static rr_status check_decode(rr_cg *cg, rr_diag *diag) {
    static const attention_case cases[] = {{1, 1, 16, 8, 1, 0, 1, 1, 0, false},
        {4, 2, 16, 80, 5, 62, 2, 1, 64, false}, {6, 2, 32, 70, 6, 31, 3, 1, 0, false},
        {14, 2, 64, 400, 1, 299, 1, 1, 256, false}, {14, 2, 64, 300, 32, 250, 3, 2, 256, false},
        {2, 2, 64, 66, 3, 63, 1, 8, 0, false}, {4, 1, 64, 65, 2, 63, 2, 0, 0, false},
        {5, 1, 128, 50, 9, 31, 4, 1, 0, false}, {12, 2, 128, 130, 5, 120, 2, 2, 0, false},
        {28, 4, 128, 200, 4, 150, 2, 1, 1024, false}, {40, 8, 128, 33, 2, 30, 1, 1, 0, false},
        {8, 1, 128, 65, 3, 60, 1, 30, 0, false}, {3, 1, 64, 8500, 2, 8390, 1, 2, 0, false},
        {4, 2, 128, 16500, 1, 16400, 1, 3, 0, false}, {4, 2, 16, 300, 9, 124, 2, 1, 0, false},
        {2, 1, 32, 260, 6, 252, 3, 1, 0, false}, {7, 1, 128, 129, 1, 128, 1, 1, 0, false}};
    static const attention_case big[] = {
        {14, 2, 64, 4000, 8, 3900, 2, 2, 256, false}, {28, 4, 128, 4000, 4, 3990, 2, 2, 0, false}};
    static const attention_case cut = {14, 2, 64, 440, 32, 100, 3, 2, 0, false},
                                cut128 = {7, 1, 128, 300, 32, 240, 2, 2, 0, false};
    static const uint32_t pieces[] = {1, 2, 3, 8, 31};
    RR_TRY(check_cases(cg, cases, sizeof cases / sizeof cases[0], diag));
    if (cg->params->full) {
        RR_TRY(check_cases(cg, big, sizeof big / sizeof big[0], diag));
    }
    RR_TRY(check_cuts(cg, &cut, pieces, 5, diag));
    return check_cuts(cg, &cut128, pieces, 5, diag);
}

rr_status rr_cg_check_attention(rr_cg *cg, rr_diag *diag) {
    return is_decode(cg) ? check_decode(cg, diag) : check_prefill(cg, diag);
}
