/* rope: rotation of q in place, of k into the cache, copy of v into the cache.
 *
 * Bound. Each rotated value is a cos - b sin: two products and a difference, 3 u (|a cos| + |b
 * sin|). k is then rounded to f16, v only rounded. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/rope.h"

enum { SESSIONS = 3, LAYERS = 2, LAYER = 1 }; /* the cache holds more than what the op may touch */

typedef struct rope_case {
    uint32_t n_heads, n_kv_heads, head_size, n_rows, n_context;
} rope_case;

typedef struct rope_data {
    float *rotated; /* qkv after the rotation */
    double *bound;  /* of each value of qkv */
    uint32_t *positions;
    uint32_t *sessions;
} rope_data;

static void data_free(rope_data *data) {
    free(data->rotated);
    free(data->bound);
    free(data->positions);
    free(data->sessions);
}

static void expect(const rope_case *c, const float *qkv, const float *table, rope_data *data) {
    uint32_t width = (c->n_heads + 2 * c->n_kv_heads) * c->head_size, half = c->head_size / 2;
    uint32_t n_rotated = c->n_heads + c->n_kv_heads;
    memcpy(data->rotated, qkv, (size_t)c->n_rows * width * sizeof *qkv);
    rr_ref_rope(data->rotated, width, data->positions, c->n_rows, table, n_rotated, c->head_size);
    for (uint32_t r = 0; r < c->n_rows; r++) {
        for (uint32_t i = 0; i < n_rotated * c->head_size; i++) {
            uint32_t d = i % c->head_size, pair = d % half, other = d < half ? i + half : i - half;
            const float *row = qkv + (size_t)r * width,
                        *angle = table + (size_t)data->positions[r] * c->head_size;
            double cosine = fabs((double)angle[2 * pair]), sine = fabs((double)angle[2 * pair + 1]);
            data->bound[(size_t)r * width + i] =
                3 * RR_CG_U * (fabs((double)row[i]) * cosine + fabs((double)row[other]) * sine);
        }
    }
}

/* q in place; k and v of the input stay as they are. */
static void compare_qkv(rr_cg *cg, const rope_case *c, const rope_data *data, const float *qkv) {
    uint32_t width = (c->n_heads + 2 * c->n_kv_heads) * c->head_size,
             q_width = c->n_heads * c->head_size;
    const float *found = rr_cg_found(cg, RR_CG_Y);
    for (uint32_t r = 0; r < c->n_rows; r++) {
        for (uint32_t i = 0; i < width; i++) {
            size_t at = (size_t)r * width + i;
            if (i < q_width) {
                double error = fabs((double)found[at] - (double)data->rotated[at]);
                if (!(error <= data->bound[at] + RR_CG_U * fabs((double)data->rotated[at]))) {
                    rr_cg_fault(cg, "q row %u column %u: found %.9g, expected %.9g ± %.2g", r, i,
                        (double)found[at], (double)data->rotated[at], data->bound[at]);
                }
            } else if (memcmp(&found[at], &qkv[at], sizeof qkv[at]) != 0) {
                rr_cg_fault(cg, "k or v of row %u changed at column %u", r, i);
            }
        }
    }
}

/* The cache holds k and v where they belong and the fill everywhere else. */
static void compare_cache(rr_cg *cg, const rope_case *c, const rope_data *data) {
    size_t n = cg->slots[RR_CG_KV].bytes / sizeof(uint16_t);
    uint32_t width = (c->n_heads + 2 * c->n_kv_heads) * c->head_size,
             q_width = c->n_heads * c->head_size;
    const uint16_t *found = rr_cg_found(cg, RR_CG_KV);
    bool *written = calloc(n, sizeof *written);
    if (written == NULL) {
        rr_cg_fault(cg, "no memory to compare the cache");
        return;
    }
    for (uint32_t r = 0; r < c->n_rows; r++) {
        /* K heads, then V heads: one numbering */
        for (uint32_t i = 0; i < 2 * c->n_kv_heads * c->head_size; i++) {
            size_t from = (size_t)r * width + q_width + i;
            size_t at =
                rr_cg_cache_at(cg, data->sessions[r], LAYER, i / c->head_size, data->positions[r]) +
                i % c->head_size;
            rr_cg_compare_f16(cg, found[at], (double)data->rotated[from], data->bound[from], at);
            written[at] = true;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (!written[i] && found[i] != (RR_CG_FILL & 0xFFFF)) {
            rr_cg_fault(cg, "wrote into the cache where it should not, f16 value %zu", i);
            break;
        }
    }
    free(written);
}

static rr_status check_case(rr_cg *cg, const rope_case *c, rr_diag *diag) {
    rope_data data = {0};
    size_t width = (size_t)(c->n_heads + 2 * c->n_kv_heads) * c->head_size, n = c->n_rows * width;
    rr_cg_begin(cg, "heads %u/%u of %u, rows %u, context %u", c->n_heads, c->n_kv_heads,
        c->head_size, c->n_rows, c->n_context);
    float *qkv = rr_cg_buffer(cg, RR_CG_Y, RR_CG_INOUT, n * sizeof *qkv);
    rr_row *rows = rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, c->n_rows * sizeof *rows);
    float *table = rr_cg_buffer(
        cg, RR_CG_TABLE, RR_CG_IN, (size_t)c->n_context * c->head_size * sizeof *table);
    bool cache = rr_cg_cache_make(cg,
        &(rr_cg_cache){.n_sessions = SESSIONS,
            .n_layers = LAYERS,
            .n_kv_heads = c->n_kv_heads,
            .head_size = c->head_size,
            .n_context = c->n_context});
    data.rotated = malloc(n * sizeof(float));
    data.bound = calloc(n, sizeof(double));
    data.positions = malloc(c->n_rows * sizeof(uint32_t));
    data.sessions = malloc(c->n_rows * sizeof(uint32_t));
    rr_status status = qkv == NULL || rows == NULL || table == NULL || !cache ||
            data.rotated == NULL || data.bound == NULL || data.positions == NULL ||
            data.sessions == NULL
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
    RR_TRY_GOTO(status);
    rr_cg_normals(cg, 3, qkv, n);
    for (size_t i = 0; i < n; i += 97) { /* f16 subnormals, exact halves, the top of the range */
        static const float edges[] = {
            1e-6f, -3e-5f, 6.1035156e-5f, 0.5f, 1.00048828125f, -2049.0f, 30000.0f, 0.0f};
        qkv[i] = edges[i / 97 % (sizeof edges / sizeof edges[0])];
    }
    rr_ref_rope_table(1e6f, c->head_size, c->n_context, table);
    /* where there is more than a page, on both sides of the first one's end */
    uint32_t first = c->n_context > 2 * RR_KV_PAGE ? RR_KV_PAGE - c->n_rows / 2
                                                   : (uint32_t)(rr_cg_random(cg) % c->n_context);
    for (uint32_t r = 0; r < c->n_rows; r++) { /* neighbours in a session, no place twice */
        data.sessions[r] = r % SESSIONS;
        data.positions[r] = r == 0 ? c->n_context - 1 : (first + r) % (c->n_context - 1);
    }
    expect(c, qkv, table, &data);
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    rr_cg_cache_link(cg);
    for (uint32_t r = 0; r < c->n_rows; r++) {
        rows[r] = rr_cg_cache_row(cg, data.sessions[r], data.positions[r]);
    }
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag)); /* again: rows hold addresses, known only now */
    rr_push_rope push = {.qkv = rr_cg_address(cg, RR_CG_Y),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .table = rr_cg_address(cg, RR_CG_TABLE),
        .kv_offset = rr_cg_cache_offset(cg, LAYER),
        .n_rows = c->n_rows,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){.head_size = c->head_size}, &push, diag));
    compare_qkv(cg, c, &data, qkv);
    compare_cache(cg, c, &data);
    rr_cg_end(cg);
fail:
    data_free(&data);
    return status;
}

rr_status rr_cg_check_rope(rr_cg *cg, rr_diag *diag) {
    static const rope_case cases[] = {{1, 1, 16, 1, 2}, {4, 2, 16, 5, 40}, {6, 2, 32, 31, 40},
        {14, 2, 64, 1, 100}, {14, 2, 64, 33, 100}, {2, 2, 64, 65, 70}, {12, 2, 128, 17, 64},
        {28, 4, 128, 1, 300}, {28, 4, 128, 64, 300}, {40, 8, 128, 32, 50}, {5, 1, 128, 3, 20},
        {4, 2, 16, 40, 400}, {14, 2, 64, 70, 260}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        RR_TRY(check_case(cg, &cases[i], diag));
    }
    return RR_OK;
}
