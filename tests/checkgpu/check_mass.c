/* attention_mass and token_mass.
 *
 * Bound of a weight. With M = max_j scale sum_i |q_i k_ji| and D the head size, a score carries an
 * error below (D + 4) u M, and so does the largest one; their difference, at most 2 M, is rounded
 * once; exp is within 3 + 2 · 2 M units of 2 u (Vulkan's precision table). So a weight is right to
 * a relative e^(u e) − 1, e = 2 (D + 4) M + 2 M + 2 (3 + 4 M), and its reference was rounded; what
 * is below 2^-126 may come out as that or as 0. A total of n weights adds n u. A span's share is a
 * quotient of such sums, in which the error of the largest score, being the same everywhere,
 * cancels; the division is within 2.5 units (5 u). Weights behind the row's position are exactly 0.
 * Bound of token_mass: a term is a quotient (5 u) that is rounded and added, once a head: (heads +
 * 8) u sum |terms|. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/attention_mass.h"
#include "shaders/token_mass.h"

enum { LAYERS = 2, LAYER = 1, EDGES = UINT16_MAX };
static const double TINY = 0x1p-125;

/* Around the ends of tiles and pages, and as long as a window's prompt. */
static const uint32_t edges[] = {0, 1, 31, 32, 63, 64, 127, 128, 129, 255, 256, 2154};
enum { N_EDGES = sizeof edges / sizeof edges[0] };

typedef struct mass_case {
    uint32_t n_heads, n_kv_heads, head_size, n_context;
    /* the pass: consecutive positions, going round the sessions, or EDGES */
    uint32_t n_rows, first_position;
    uint32_t n_listed; /* of the rows, in no order */
    uint32_t n_sessions, n_spans;
    float sharpness; /* deviation of a score: 0 = all weights equal, 30 = one key takes all */
    uint32_t gap;    /* behind each row of q and of weights */
} mass_case;

typedef struct mass_data {
    uint32_t *positions, *sessions; /* [n_rows] */
    uint32_t n_keys, w_stride;
    float *weights, *totals, *mass; /* expected; laid out as the results */
    double *weight_bound, *total_bound, *mass_bound, *magnitude;
    double *scratch;
    uint16_t *kv; /* of one session's layer, [K, V][n_kv_heads][n_context][head_size] */
    rr_push_attention_mass push;
} mass_data;

static void data_free(mass_data *data) {
    free(data->positions);
    free(data->sessions);
    free(data->weights);
    free(data->totals);
    free(data->mass);
    free(data->weight_bound);
    free(data->total_bound);
    free(data->mass_bound);
    free(data->magnitude);
    free(data->scratch);
    free(data->kv);
}

/* Random K at positions 0 … last of a session's layer; all else, V too, is NaN and must not
 * count. */
static void fill_keys(rr_cg *cg, const mass_case *c, uint32_t session, uint32_t last) {
    uint16_t *cache = (uint16_t *)(void *)cg->slots[RR_CG_KV].host;
    for (uint32_t head = 0; head < c->n_kv_heads; head++) {
        for (uint32_t p = 0; p <= last; p++) {
            uint16_t *row = cache + rr_cg_cache_at(cg, session, LAYER, head, p);
            for (uint32_t i = 0; i < c->head_size; i++) {
                row[i] = rr_f32_to_f16(rr_cg_normal(cg));
            }
        }
    }
}

/* Keys behind `last` were never written. */
static void forget_keys(rr_cg *cg, const mass_case *c, uint32_t session, uint32_t last) {
    uint16_t *cache = (uint16_t *)(void *)cg->slots[RR_CG_KV].host;
    for (uint32_t head = 0; head < c->n_kv_heads; head++) {
        for (uint32_t p = last + 1; p < c->n_context; p++) {
            uint16_t *row = cache + rr_cg_cache_at(cg, session, LAYER, head, p);
            for (uint32_t i = 0; i < c->head_size; i++) {
                row[i] = RR_CG_FILL & 0xFFFF;
            }
        }
    }
}

/* Rows of the pass, and which of them are listed: the beginning of a shuffled list of all. */
static void fill_rows(rr_cg *cg, const mass_case *c, mass_data *data, uint32_t *list) {
    for (uint32_t r = 0; r < c->n_rows; r++) {
        data->sessions[r] = r % c->n_sessions;
        data->positions[r] =
            c->first_position == EDGES ? edges[r % N_EDGES] : c->first_position + r / c->n_sessions;
    }
    for (uint32_t i = 0; i < c->n_listed; i++) {
        list[i] = UINT32_MAX;
        while (list[i] == UINT32_MAX) {
            list[i] = (uint32_t)(rr_cg_random(cg) % c->n_rows);
            for (uint32_t j = 0; j < i; j++) {
                list[i] = list[j] == list[i] ? UINT32_MAX : list[i];
            }
        }
        const uint32_t position = data->positions[list[i]];
        data->n_keys = position >= data->n_keys ? position + 1 : data->n_keys;
    }
    data->w_stride = data->n_keys + c->gap;
}

/* Spans of all kinds: some tokens, none, one, to behind every position, all that is seen, wholly
 * behind, without an end. */
static void fill_spans(rr_cg *cg, const mass_case *c, uint32_t (*spans)[2]) {
    for (uint32_t s = 0; s < c->n_spans; s++) {
        const uint32_t a = (uint32_t)(rr_cg_random(cg) % c->n_context),
                       b = (uint32_t)(rr_cg_random(cg) % c->n_context);
        const uint32_t begin = a < b ? a : b, end = a < b ? b : a;
        const uint32_t kinds[][2] = {{begin, end}, {a, a}, {a, a + 1}, {begin, c->n_context + 7},
            {0, c->n_context}, {c->n_context, c->n_context + 3}, {end, UINT32_MAX}, {0, 1}};
        memcpy(spans[s], kinds[s % (sizeof kinds / sizeof kinds[0])], sizeof spans[s]);
    }
}

/* The slots; rows and push follow when their addresses are known. */
static bool fill_slots(rr_cg *cg, const mass_case *c, mass_data *data) {
    const uint32_t width = c->n_heads * c->head_size, stride = width + c->gap;
    float *q = rr_cg_buffer(cg, RR_CG_X, RR_CG_IN, (size_t)c->n_rows * stride * sizeof *q);
    uint32_t *list = rr_cg_buffer(cg, RR_CG_LIST, RR_CG_IN, c->n_listed * sizeof *list);
    uint32_t(*spans)[2] = rr_cg_buffer(cg, RR_CG_SPANS, RR_CG_IN, c->n_spans * sizeof *spans);
    const rr_cg_cache shape = {.n_sessions = c->n_sessions,
        .n_layers = LAYERS,
        .n_kv_heads = c->n_kv_heads,
        .head_size = c->head_size,
        .n_context = c->n_context};
    if (q == NULL || list == NULL || spans == NULL || !rr_cg_cache_make(cg, &shape)) {
        return false;
    }
    for (uint32_t r = 0; r < c->n_rows; r++) { /* scores of normal k then have that deviation */
        rr_cg_normals(cg, c->sharpness, q + (size_t)r * stride, width);
        for (uint32_t i = width; i < stride; i++) {
            q[(size_t)r * stride + i] = NAN;
        }
    }
    fill_rows(cg, c, data, list);
    fill_spans(cg, c, spans);
    for (uint32_t s = 0; s < c->n_sessions; s++) {
        uint32_t last = 0;
        for (uint32_t r = 0; r < c->n_rows; r++) {
            last = data->sessions[r] == s && data->positions[r] > last ? data->positions[r] : last;
        }
        fill_keys(cg, c, s, last);
    }
    const size_t n = (size_t)c->n_listed * c->n_heads;
    return rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, c->n_rows * sizeof(rr_row)) != NULL &&
        rr_cg_buffer(cg, RR_CG_WEIGHTS, RR_CG_OUT, (n * data->w_stride - c->gap) * sizeof(float)) !=
        NULL &&
        rr_cg_buffer(cg, RR_CG_TOTALS, RR_CG_OUT, n * sizeof(float)) != NULL &&
        rr_cg_buffer(cg, RR_CG_MASS, RR_CG_OUT, n * c->n_spans * sizeof(float)) != NULL;
}

static rr_status data_make(rr_cg *cg, const mass_case *c, mass_data *data, rr_diag *diag) {
    const rr_ref_kv kv = {.n_context = c->n_context, .head_size = c->head_size};
    data->positions = malloc(c->n_rows * sizeof *data->positions);
    data->sessions = malloc(c->n_rows * sizeof *data->sessions);
    if (data->positions == NULL || data->sessions == NULL || !fill_slots(cg, c, data)) {
        return rr_cg_no_memory(cg, diag);
    }
    const size_t n = (size_t)c->n_listed * c->n_heads;
    data->weights = malloc(n * data->w_stride * sizeof *data->weights);
    data->totals = malloc(n * sizeof *data->totals);
    data->mass = malloc(n * c->n_spans * sizeof *data->mass);
    data->weight_bound = malloc(n * data->n_keys * sizeof *data->weight_bound);
    data->total_bound = malloc(n * sizeof *data->total_bound);
    data->mass_bound = malloc(n * c->n_spans * sizeof *data->mass_bound);
    data->magnitude = malloc(n * sizeof *data->magnitude);
    data->scratch = malloc(rr_ref_attention_scratch(&kv) * sizeof *data->scratch);
    data->kv = malloc((size_t)2 * c->n_kv_heads * c->n_context * c->head_size * sizeof *data->kv);
    return data->weights == NULL || data->totals == NULL || data->mass == NULL ||
            data->weight_bound == NULL || data->total_bound == NULL || data->mass_bound == NULL ||
            data->magnitude == NULL || data->scratch == NULL || data->kv == NULL
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
}

/* Sends the case; rows hold addresses, so they are known only after the buffers exist. */
static rr_status send(rr_cg *cg, const mass_case *c, mass_data *data, rr_diag *diag) {
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    rr_row *rows = (rr_row *)(void *)cg->slots[RR_CG_ROWS].host;
    rr_cg_cache_link(cg);
    for (uint32_t r = 0; r < c->n_rows; r++) {
        rows[r] = rr_cg_cache_row(cg, data->sessions[r], data->positions[r]);
    }
    data->push = (rr_push_attention_mass){.q = rr_cg_address(cg, RR_CG_X),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .list = rr_cg_address(cg, RR_CG_LIST),
        .spans = rr_cg_address(cg, RR_CG_SPANS),
        .weights = rr_cg_address(cg, RR_CG_WEIGHTS),
        .totals = rr_cg_address(cg, RR_CG_TOTALS),
        .mass = rr_cg_address(cg, RR_CG_MASS),
        .kv_offset = rr_cg_cache_offset(cg, LAYER),
        .n_listed = c->n_listed,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .q_stride = c->n_heads * c->head_size + c->gap,
        .w_stride = data->w_stride,
        .n_spans = c->n_spans,
        .n_keys = data->n_keys,
        .scale = 1 / sqrtf((float)c->head_size)};
    return rr_cg_upload(cg, NULL, diag);
}

/* The bounds of listed row i, which sees n keys, and head h. */
static void set_bounds(
    const mass_case *c, const mass_data *data, uint32_t i, uint32_t h, uint32_t n) {
    const size_t at = (size_t)i * c->n_heads + h;
    const double m = data->magnitude[at], exponential = 2 * m + 2 * (3 + 4 * m),
                 d = (c->head_size + 4) * m;
    const double e = expm1(RR_CG_U * (2 * d + exponential)),
                 own = expm1(RR_CG_U * (d + exponential));
    for (uint32_t j = 0; j < data->n_keys; j++) {
        const double weight = (double)data->weights[at * data->w_stride + j];
        data->weight_bound[at * data->n_keys + j] = j < n ? (e + 2 * RR_CG_U) * weight + TINY : 0;
    }
    data->total_bound[at] = (e + (n + 2) * RR_CG_U) * (double)data->totals[at] + n * TINY;
    for (uint32_t s = 0; s < c->n_spans; s++) {
        const double mass = (double)data->mass[at * c->n_spans + s];
        data->mass_bound[at * c->n_spans + s] =
            (2 * (own + (n + 2) * RR_CG_U) + 5 * RR_CG_U) * mass + n * TINY;
    }
}

static void expect(rr_cg *cg, const mass_case *c, mass_data *data) {
    const uint32_t *list = (const uint32_t *)(const void *)cg->slots[RR_CG_LIST].host;
    for (uint32_t i = 0; i < c->n_listed; i++) {
        const size_t at = (size_t)i * c->n_heads;
        if (i == 0 || data->sessions[list[i]] != data->sessions[list[i - 1]]) {
            rr_cg_cache_gather(cg, data->sessions[list[i]], LAYER, data->kv);
        }
        const rr_ref_mass_params params = {
            .attention = {.q = (const float *)(const void *)cg->slots[RR_CG_X].host,
                .positions = data->positions,
                .n_rows = c->n_rows,
                .n_heads = c->n_heads,
                .q_stride = data->push.q_stride,
                .scale = data->push.scale,
                .kv = {.n_kv_heads = c->n_kv_heads,
                    .n_context = c->n_context,
                    .head_size = c->head_size,
                    .f16 = data->kv},
                .score_magnitude = data->magnitude + at},
            .list = list + i,
            .spans = (const uint32_t *)(const void *)cg->slots[RR_CG_SPANS].host,
            .n_listed = 1,
            .n_spans = c->n_spans,
            .n_keys = data->n_keys,
            .w_stride = data->w_stride,
            .weights = data->weights + at * data->w_stride,
            .totals = data->totals + at,
            .mass = data->mass + at * c->n_spans};
        for (uint32_t h = 0; h < c->n_heads; h++) {
            rr_ref_attention_mass_head(&params, h, data->scratch);
            set_bounds(c, data, i, h, data->positions[list[i]] + 1);
        }
    }
}

static void name_case(rr_cg *cg, const mass_case *c, const char *what) {
    char from[32];
    snprintf(from, sizeof from, c->first_position == EDGES ? "edges" : "%u", c->first_position);
    rr_cg_begin(cg,
        "%sheads %u/%u of %u, %u of %u rows from position %s, context %u, sessions %u, spans %u, sharpness %g +%u",
        what, c->n_heads, c->n_kv_heads, c->head_size, c->n_listed, c->n_rows, from, c->n_context,
        c->n_sessions, c->n_spans, (double)c->sharpness, c->gap);
}

static void compare(rr_cg *cg, const mass_case *c, const mass_data *data) {
    const size_t n = (size_t)c->n_listed * c->n_heads;
    /* of scores, whose rounding errors become relative errors of weights */
    const double range = 1 + (double)c->sharpness;
    const double nmse = RR_CG_U * RR_CG_U * (c->head_size + c->n_context) * range * range;
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_WEIGHTS),
            .expected = data->weights,
            .bound = data->weight_bound,
            .rows = n,
            .cols = data->n_keys,
            .stride = data->w_stride,
            .nmse = nmse});
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_TOTALS),
            .expected = data->totals,
            .bound = data->total_bound,
            .rows = c->n_listed,
            .cols = c->n_heads,
            .stride = c->n_heads,
            .nmse = nmse});
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_MASS),
            .expected = data->mass,
            .bound = data->mass_bound,
            .rows = n,
            .cols = c->n_spans,
            .stride = c->n_spans,
            .nmse = nmse});
    rr_cg_compare_bits(cg, "the cache", rr_cg_found(cg, RR_CG_KV), cg->slots[RR_CG_KV].host,
        cg->slots[RR_CG_KV].bytes / sizeof(uint32_t), c->head_size / 2);
}

static rr_status check_case(rr_cg *cg, const mass_case *c, rr_diag *diag) {
    mass_data data = {0};
    rr_status status = RR_OK;
    name_case(cg, c, "");
    RR_TRY_GOTO(data_make(cg, c, &data, diag));
    RR_TRY_GOTO(send(cg, c, &data, diag));
    expect(cg, c, &data);
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){.head_size = c->head_size}, &data.push, diag));
    compare(cg, c, &data);
    rr_cg_end(cg);
fail:
    data_free(&data);
    return status;
}

/* Words of a listed row: weights of all heads, totals, mass. */
static size_t row_words(const mass_case *c, const mass_data *data) {
    return (size_t)c->n_heads * (data->n_keys + 1 + c->n_spans);
}

/* Runs n listed rows from `first` on, over n_keys keys, and puts what was found into their places
 * of `out`. Weights behind a row's position are checked here: they are 0. */
static rr_status run_listed(rr_cg *cg, const mass_case *c, const mass_data *data, uint32_t first,
    uint32_t n, uint32_t n_keys, float *out, rr_diag *diag) {
    rr_push_attention_mass push = data->push;
    push.list += first * sizeof(uint32_t);
    push.n_listed = n;
    push.n_keys = n_keys;
    RR_TRY(rr_cg_reset_outputs(cg, diag));
    RR_TRY(rr_cg_run_once(cg, &(rr_kern_key){.head_size = c->head_size}, &push, diag));
    const uint32_t *list = (const uint32_t *)(const void *)cg->slots[RR_CG_LIST].host;
    const float *weights = rr_cg_found(cg, RR_CG_WEIGHTS), *totals = rr_cg_found(cg, RR_CG_TOTALS),
                *mass = rr_cg_found(cg, RR_CG_MASS);
    for (size_t i = 0; i < n; i++) {
        const uint32_t seen = data->positions[list[first + i]] + 1;
        float *to = out + (first + i) * row_words(c, data);
        memset(to, 0, row_words(c, data) * sizeof *to);
        for (size_t at = i * c->n_heads; at < (i + 1) * c->n_heads; at++, to += data->n_keys) {
            const float *row = weights + at * data->w_stride;
            memcpy(to, row, seen * sizeof *to);
            for (uint32_t j = seen; j < n_keys; j++) {
                if (!(row[j] == 0)) {
                    rr_cg_fault(cg, "row %zu weighs key %u, which it does not see", first + i, j);
                }
            }
        }
        memcpy(to, totals + i * c->n_heads, c->n_heads * sizeof *to);
        memcpy(to + c->n_heads, mass + i * c->n_heads * c->n_spans,
            (size_t)c->n_heads * c->n_spans * sizeof *to);
    }
    return RR_OK;
}

/* Keys that the listed rows [first, first + n) see. */
static uint32_t keys_of(const rr_cg *cg, const mass_data *data, uint32_t first, uint32_t n) {
    const uint32_t *list = (const uint32_t *)(const void *)cg->slots[RR_CG_LIST].host;
    uint32_t n_keys = 0;
    for (uint32_t i = first; i < first + n; i++) {
        n_keys = data->positions[list[i]] >= n_keys ? data->positions[list[i]] + 1 : n_keys;
    }
    return n_keys;
}

/* A listed row's bits are the same alone and with others, with more keys than it sees, and with
 * nothing behind it in the cache. */
static rr_status check_company(rr_cg *cg, const mass_case *c, rr_diag *diag) {
    mass_data data = {0};
    rr_status status = RR_OK;
    float *whole = NULL, *parts = NULL;
    name_case(cg, c, "company: ");
    RR_TRY_GOTO(data_make(cg, c, &data, diag));
    const size_t words = row_words(c, &data);
    whole = calloc(c->n_listed * words, sizeof *whole);
    parts = calloc(c->n_listed * words, sizeof *parts);
    RR_TRY_GOTO(whole == NULL || parts == NULL ? rr_cg_no_memory(cg, diag) : RR_OK);
    RR_TRY_GOTO(send(cg, c, &data, diag));
    RR_TRY_GOTO(run_listed(cg, c, &data, 0, c->n_listed, data.n_keys, whole, diag));
    for (uint32_t size = 1; size < c->n_listed; size += 2) {
        for (uint32_t first = 0; first < c->n_listed; first += size) {
            const uint32_t n = c->n_listed - first < size ? c->n_listed - first : size;
            RR_TRY_GOTO(
                run_listed(cg, c, &data, first, n, keys_of(cg, &data, first, n), parts, diag));
        }
        rr_cg_compare_bits(cg, "with fewer others", parts, whole, c->n_listed * words, words);
    }
    for (uint32_t first = 0; first < c->n_listed; first++) {
        RR_TRY_GOTO(run_listed(cg, c, &data, first, 1, data.w_stride, parts, diag));
    }
    rr_cg_compare_bits(cg, "over more keys", parts, whole, c->n_listed * words, words);
    const uint32_t *list = (const uint32_t *)(const void *)cg->slots[RR_CG_LIST].host;
    /* from the end, so that each row's own keys are still there */
    for (uint32_t position = data.n_keys; position-- > 0;) {
        for (uint32_t i = 0; i < c->n_listed; i++) {
            if (data.positions[list[i]] == position) {
                forget_keys(cg, c, data.sessions[list[i]], position);
                RR_TRY_GOTO(run_listed(cg, c, &data, i, 1, data.n_keys, parts, diag));
            }
        }
    }
    rr_cg_compare_bits(cg, "with nothing behind it", parts, whole, c->n_listed * words, words);
    rr_cg_end(cg);
fail:
    free(whole);
    free(parts);
    data_free(&data);
    return status;
}

rr_status rr_cg_check_attention_mass(rr_cg *cg, rr_diag *diag) {
    static const mass_case cases[] = {
        /* heads, kv, size, context, rows, first, listed, sessions, spans, sharpness, gap */
        {1, 1, 16, 8, 1, 0, 1, 1, 1, 1, 0}, {4, 2, 16, 40, 33, 0, 5, 1, 20, 1, 64},
        {6, 2, 32, 150, 31, 100, 7, 2, 8, 1, 0}, {2, 2, 32, 66, 65, 1, 65, 1, 3, 8, 4},
        {5, 1, 128, 50, 9, 31, 4, 4, 20, 1, 0}, {8, 1, 128, 65, 3, 60, 2, 1, 100, 30, 0},
        {40, 8, 128, 33, 2, 30, 2, 1, 1, 1, 0}, {4, 1, 64, 64, 64, 0, 9, 1, 20, 0, 0},
        {3, 1, 64, 256, 4, 252, 4, 1, 1, 2, 16}, {14, 2, 64, 300, 40, 250, 17, 1, 20, 2, 256},
        {12, 2, 128, 140, 12, 120, 5, 3, 20, 2, 0}, {28, 4, 128, 200, 30, 120, 4, 2, 20, 1, 1024},
        /* positions at the ends of tiles and pages, and as long as a window's prompt */
        {14, 2, 64, 2155, N_EDGES, EDGES, N_EDGES, 1, 20, 2, 256},
        {2, 2, 32, 2155, N_EDGES, EDGES, N_EDGES, 1, 100, 1, 0},
        {12, 2, 128, 2155, N_EDGES, EDGES, N_EDGES, 2, 1, 0, 0},
        {7, 1, 128, 2155, N_EDGES, EDGES, N_EDGES, 3, 100, 12, 4},
        {2, 1, 16, 2155, N_EDGES, EDGES, N_EDGES, 1, 9, 30, 0}};
    static const mass_case big[] = {{14, 2, 64, 2200, 128, 2050, 64, 1, 100, 2, 256},
        {28, 4, 128, 2200, 64, 2100, 17, 2, 20, 2, 0}, {14, 2, 64, 8500, 16, 8480, 3, 1, 20, 2, 0}};
    static const mass_case company[] = {{14, 2, 64, 200, 40, 110, 7, 1, 20, 2, 37},
        {7, 1, 128, 260, 8, 126, 4, 2, 9, 2, 130},
        {4, 2, 16, 2155, N_EDGES, EDGES, N_EDGES, 1, 3, 1, 5}};
    const size_t n = sizeof cases / sizeof cases[0],
                 n_all = n + (cg->params->full ? sizeof big / sizeof big[0] : 0);
    for (size_t i = 0; i < n_all; i++) {
        RR_TRY(check_case(cg, i < n ? &cases[i] : &big[i - n], diag));
    }
    for (size_t i = 0; i < sizeof company / sizeof company[0]; i++) {
        RR_TRY(check_company(cg, &company[i], diag));
    }
    return RR_OK;
}

typedef struct token_case {
    uint32_t n_listed, n_heads, n_keys, w_gap, y_gap;
    bool adds;
} token_case;

/* Positive weights of some size, totals that suit them, factors of either sign; behind n_keys there
 * is NaN. */
static bool fill_token_slots(rr_cg *cg, const token_case *c) {
    const size_t n = (size_t)c->n_listed * c->n_heads, w_stride = c->n_keys + c->w_gap,
                 y_stride = c->n_keys + c->y_gap;
    float *weights = rr_cg_buffer(cg, RR_CG_WEIGHTS, RR_CG_IN, n * w_stride * sizeof *weights);
    float *totals = rr_cg_buffer(cg, RR_CG_TOTALS, RR_CG_IN, n * sizeof *totals);
    float *factors = rr_cg_buffer(cg, RR_CG_FACTORS, RR_CG_IN, n * sizeof *factors);
    const rr_cg_role role = c->adds ? RR_CG_INOUT : RR_CG_OUT; /* either is NaN to begin with */
    float *y = rr_cg_buffer(cg, RR_CG_Y, role, (c->n_listed * y_stride - c->y_gap) * sizeof *y);
    if (weights == NULL || totals == NULL || factors == NULL || y == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < w_stride; j++) {
            weights[i * w_stride + j] = j < c->n_keys ? expf(4 * rr_cg_normal(cg) - 8) : NAN;
        }
        totals[i] = 1 + fabsf(rr_cg_normal(cg));
        factors[i] = 1 + rr_cg_normal(cg);
    }
    for (size_t i = 0; c->adds && i < c->n_listed; i++) {
        rr_cg_normals(cg, 0.1f, y + i * y_stride, c->n_keys);
    }
    return true;
}

static rr_status check_token_case(rr_cg *cg, const token_case *c, rr_diag *diag) {
    const uint32_t y_stride = c->n_keys + c->y_gap;
    const size_t n = (size_t)c->n_listed * c->n_keys;
    float *expected = malloc((size_t)c->n_listed * y_stride * sizeof *expected);
    double *bound = malloc(n * sizeof *bound);
    rr_status status = RR_OK;
    rr_cg_begin(cg, "%u rows of %u heads, %u keys, w+%u, y+%u, %s", c->n_listed, c->n_heads,
        c->n_keys, c->w_gap, c->y_gap, c->adds ? "adds" : "sets");
    RR_TRY_GOTO(expected == NULL || bound == NULL || !fill_token_slots(cg, c)
            ? rr_cg_no_memory(cg, diag)
            : RR_OK);
    memcpy(expected, cg->slots[RR_CG_Y].host, cg->slots[RR_CG_Y].bytes);
    const rr_ref_token_mass_params params = {
        .weights = (const float *)(const void *)cg->slots[RR_CG_WEIGHTS].host,
        .totals = (const float *)(const void *)cg->slots[RR_CG_TOTALS].host,
        .factors = (const float *)(const void *)cg->slots[RR_CG_FACTORS].host,
        .n_listed = c->n_listed,
        .n_heads = c->n_heads,
        .n_keys = c->n_keys,
        .w_stride = c->n_keys + c->w_gap,
        .y_stride = y_stride,
        .adds = c->adds,
        .y = expected,
        .magnitude = bound};
    rr_ref_token_mass(&params);
    for (size_t i = 0; i < n; i++) {
        bound[i] = (c->n_heads + 8) * RR_CG_U * bound[i] + c->n_heads * TINY;
    }
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    const rr_push_token_mass push = {.weights = rr_cg_address(cg, RR_CG_WEIGHTS),
        .totals = rr_cg_address(cg, RR_CG_TOTALS),
        .factors = rr_cg_address(cg, RR_CG_FACTORS),
        .y = rr_cg_address(cg, RR_CG_Y),
        .n_listed = c->n_listed,
        .n_heads = c->n_heads,
        .n_keys = c->n_keys,
        .w_stride = params.w_stride,
        .y_stride = y_stride,
        .adds = c->adds};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
            .expected = expected,
            .bound = bound,
            .rows = c->n_listed,
            .cols = c->n_keys,
            .stride = y_stride,
            .nmse = RR_CG_U * RR_CG_U * (c->n_heads + 8)});
    rr_cg_end(cg);
fail:
    free(expected);
    free(bound);
    return status;
}

rr_status rr_cg_check_token_mass(rr_cg *cg, rr_diag *diag) {
    static const token_case cases[] = {{1, 1, 1, 0, 0, false}, {3, 14, 63, 1, 5, false},
        {2, 12, 64, 0, 0, false}, {5, 28, 65, 63, 0, false}, {1, 40, 129, 3, 3, false},
        {17, 14, 2155, 45, 45, false}, {64, 28, 300, 0, 20, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int adds = 0; adds < 2; adds++) {
            token_case c = cases[i];
            c.adds = adds == 1;
            RR_TRY(check_token_case(cg, &c, diag));
        }
    }
    return RR_OK;
}
