/* What the cases of lanes_qkv, lanes_out, lanes_gate_up and lanes_head are made from. */
#include "tests/checkgpu/lanes_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void rr_cg_lanes_free(rr_cg_lanes_data *data) {
    free(data->x);
    free(data->values);
    free(data->y);
    free(data->magnitude);
    free(data->bound);
    free(data->scratch);
    free(data->positions);
    free(data->sessions);
}

rr_kern_key rr_cg_lanes_key(const rr_cg_lanes_case *c, const rr_cg_lanes_data *data) {
    return (rr_kern_key){.lanes = rr_lanes_code(data->layout.format), .head_size = c->head_size};
}

const float *rr_cg_lanes_floats(const rr_cg *cg, rr_cg_slot_id id) {
    return (const float *)(const void *)cg->slots[id].host;
}

/* Activations: tokens of several sizes, one of zeros, one with the largest code everywhere, a group
 * of zeros and one of next to nothing in every token. */
static bool make_activations(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
    int16_t *codes =
        rr_cg_buffer(cg, RR_CG_CODES, RR_CG_IN, (size_t)c->n_tokens * c->cols * sizeof *codes);
    uint32_t *groups = rr_cg_buffer(cg, RR_CG_GROUPS, RR_CG_IN, (size_t)c->n_tokens * c->cols / 4);
    if (codes == NULL || groups == NULL) {
        return false;
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        float *x = data->x + (size_t)t * c->cols, size = ldexpf(1, (int)(rr_cg_random(cg) % 6));
        rr_cg_normals(cg, c->n_tokens > 2 && t == 2 ? 0 : size, x, c->cols);
        for (uint32_t i = 0; t % 11 == 1 && i < c->cols; i++) {
            x[i] = size;
        }
        for (uint32_t i = 0; c->cols > 64 && i < 64; i++) {
            x[(c->cols / 64 * 32 - 32) + i] *= i < 32 ? 0.0f : 1e-37f;
        }
    }
    rr_ref_quantize(data->x, c->n_tokens, c->cols, &(rr_ref_codes){codes, groups});
    return true;
}

static rr_status make_product(
    rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data, rr_diag *diag) {
    rr_lanes_part parts[RR_LANES_PARTS] = {{0}};
    uint32_t n_parts = 1;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        n_parts = 3;
        break;
    case RR_OP_lanes_gate_up:
        n_parts = 2;
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < n_parts; i++) {
        uint32_t heads = i == 0 ? c->n_heads : c->n_kv_heads;
        parts[i] = (rr_lanes_part){
            .type = c->types[i], .rows = n_parts == 3 ? heads * c->head_size : c->rows};
    }
    RR_TRY(rr_cg_lanes_matrix(cg, parts, n_parts, c->cols, &data->layout, diag));
    size_t n = (size_t)c->n_tokens * data->layout.rows;
    data->x = malloc((size_t)c->n_tokens * c->cols * sizeof *data->x);
    data->values = malloc(n * sizeof *data->values);
    data->y = malloc(n * sizeof *data->y);
    data->magnitude = malloc(n * sizeof *data->magnitude);
    data->bound = malloc(n * sizeof *data->bound);
    data->scratch = malloc(c->cols * sizeof *data->scratch);
    data->positions = calloc(c->n_tokens, sizeof *data->positions);
    data->sessions = calloc(c->n_tokens, sizeof *data->sessions);
    float *rms = rr_cg_buffer(cg, RR_CG_RMS, RR_CG_IN, c->n_tokens * sizeof *rms);
    if (data->x == NULL || data->values == NULL || data->y == NULL || data->magnitude == NULL ||
        data->bound == NULL || data->scratch == NULL || data->positions == NULL ||
        data->sessions == NULL || rms == NULL || !make_activations(cg, c, data)) {
        return rr_cg_no_memory(cg, diag);
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        rms[t] = ldexpf(1 + fabsf(rr_cg_normal(cg)), -4 - (int)(rr_cg_random(cg) % 4));
    }
    return RR_OK;
}

/* The op's other inputs, and its outputs. */
static bool make_slots(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
    size_t rows = data->layout.rows, n = c->n_tokens;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv: {
        float *bias = rr_cg_buffer(cg, RR_CG_BIAS, RR_CG_IN, rows * sizeof *bias);
        float *table = rr_cg_buffer(
            cg, RR_CG_TABLE, RR_CG_IN, (size_t)RR_CG_LANES_CONTEXT * c->head_size * sizeof *table);
        if (bias == NULL || table == NULL) {
            return false;
        }
        rr_cg_normals(cg, 2, bias, rows);
        rr_ref_rope_table(1e6f, c->head_size, RR_CG_LANES_CONTEXT, table);
        for (uint32_t t = 0; t < n; t++) { /* neighbours in a session, no place twice */
            data->sessions[t] = t % RR_CG_LANES_SESSIONS;
            /* 67 and 300 have no common factor */
            data->positions[t] =
                t == 0 ? RR_CG_LANES_CONTEXT - 1 : (t * 67 + 3) % RR_CG_LANES_CONTEXT;
        }
        return rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, n * sizeof(rr_row)) != NULL &&
            rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * c->n_heads * c->head_size * sizeof(float)) !=
            NULL &&
            rr_cg_cache_make(cg,
                &(rr_cg_cache){.n_sessions = RR_CG_LANES_SESSIONS,
                    .n_layers = RR_CG_LANES_LAYERS,
                    .n_kv_heads = c->n_kv_heads,
                    .head_size = c->head_size,
                    .n_context = RR_CG_LANES_CONTEXT});
    }
    case RR_OP_lanes_out: {
        float *norm = rr_cg_buffer(cg, RR_CG_NORM, RR_CG_IN, rows * sizeof *norm);
        float *x = rr_cg_buffer(cg, RR_CG_RESIDUAL, RR_CG_INOUT, n * rows * sizeof *x);
        if (norm == NULL || x == NULL) {
            return false;
        }
        rr_cg_normals(cg, 2, x, n * rows);
        rr_cg_normals(cg, 1, norm, rows);
        for (uint32_t r = 0; rows >= 96 && r < 64; r++) {
            norm[r + 32] *= r < 32 ? 0.0f : 1e-37f; /* what follows is zeros, and next to nothing */
        }
        return rr_cg_buffer(cg, RR_CG_OUT_CODES, RR_CG_OUT, n * rows * sizeof(int16_t)) != NULL &&
            rr_cg_buffer(cg, RR_CG_OUT_GROUPS, RR_CG_OUT, n * rows / 4) != NULL &&
            rr_cg_buffer(cg, RR_CG_OUT_RMS, RR_CG_OUT, n * sizeof(float)) != NULL &&
            rr_cg_buffer(cg, RR_CG_SQUARES, RR_CG_OUT, n * rows / 8) != NULL &&
            /* an input: 0 before, and what an input is after a run, it must be */
            rr_cg_buffer(cg, RR_CG_TICKETS, RR_CG_IN, n * sizeof(uint32_t)) != NULL;
    }
    case RR_OP_lanes_gate_up:
        return rr_cg_buffer(cg, RR_CG_OUT_CODES, RR_CG_OUT, n * c->rows * sizeof(int16_t)) !=
            NULL &&
            rr_cg_buffer(cg, RR_CG_OUT_GROUPS, RR_CG_OUT, n * c->rows / 4) != NULL;
    default:
        return rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * rows * sizeof(float)) != NULL;
    }
}

rr_status rr_cg_lanes_make(
    rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data, bool *too_big, rr_diag *diag) {
    RR_TRY(make_product(cg, c, data, diag));
    if (!make_slots(cg, c, data)) {
        return rr_cg_no_memory(cg, diag);
    }
    RR_TRY(rr_cg_upload(cg, too_big, diag));
    if ((too_big != NULL && *too_big) || cg->variant->op != RR_OP_lanes_qkv) {
        return RR_OK;
    }
    rr_row *rows = (rr_row *)(void *)cg->slots[RR_CG_ROWS].host;
    rr_cg_cache_link(cg);
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        rows[t] = rr_cg_cache_row(cg, data->sessions[t], data->positions[t]);
    }
    return rr_cg_upload(cg, too_big, diag); /* again: rows hold addresses, known only now */
}

/* Where row `first` of a slot begins. */
static uint64_t row_at(const rr_cg *cg, rr_cg_slot_id id, uint32_t first, size_t bytes) {
    return rr_cg_address(cg, id) + first * (uint64_t)bytes;
}

/* The op over tokens [first, first + n), all in their own places. */
rr_cg_lanes_push rr_cg_lanes_push_of(const rr_cg *cg, const rr_cg_lanes_case *c,
    const rr_cg_lanes_data *data, uint32_t first, uint32_t n) {
    const uint64_t w = rr_cg_address(cg, RR_CG_W), s = w + data->layout.scale_offset;
    const uint64_t codes = row_at(cg, RR_CG_CODES, first, c->cols * sizeof(int16_t));
    const uint64_t groups = row_at(cg, RR_CG_GROUPS, first, c->cols / 4);
    const uint64_t rms = row_at(cg, RR_CG_RMS, first, 4);
    const uint32_t rows = data->layout.rows;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        return (rr_cg_lanes_push){
            .qkv = {.w = w,
                .s = s,
                .codes = codes,
                .groups = groups,
                .rms = rms,
                .bias = rr_cg_address(cg, RR_CG_BIAS),
                .q = row_at(cg, RR_CG_Y, first, (size_t)c->n_heads * c->head_size * 4),
                .rows = row_at(cg, RR_CG_ROWS, first, sizeof(rr_row)),
                .table = rr_cg_address(cg, RR_CG_TABLE),
                .kv_offset = rr_cg_cache_offset(cg, RR_CG_LANES_LAYER),
                .cols = c->cols,
                .n_tokens = n,
                .n_heads = c->n_heads,
                .n_kv_heads = c->n_kv_heads}};
    case RR_OP_lanes_out:
        return (rr_cg_lanes_push){
            .out = {.w = w,
                .s = s,
                .codes = codes,
                .groups = groups,
                .x = row_at(cg, RR_CG_RESIDUAL, first, (size_t)rows * 4),
                .norm = rr_cg_address(cg, RR_CG_NORM),
                .out_codes = row_at(cg, RR_CG_OUT_CODES, first, rows * sizeof(int16_t)),
                .out_groups = row_at(cg, RR_CG_OUT_GROUPS, first, rows / 4),
                .out_rms = row_at(cg, RR_CG_OUT_RMS, first, 4),
                .squares = rr_cg_address(cg, RR_CG_SQUARES),
                .tickets = rr_cg_address(cg, RR_CG_TICKETS),
                .cols = c->cols,
                .n_tokens = n,
                .n_rows = rows,
                .epsilon = 1e-6f}};
    case RR_OP_lanes_gate_up:
        return (rr_cg_lanes_push){
            .gate_up = {.w = w,
                .s = s,
                .codes = codes,
                .groups = groups,
                .rms = rms,
                .out_codes = row_at(cg, RR_CG_OUT_CODES, first, c->rows * sizeof(int16_t)),
                .out_groups = row_at(cg, RR_CG_OUT_GROUPS, first, c->rows / 4),
                .cols = c->cols,
                .n_tokens = n,
                .d_ffn = c->rows}};
    default:
        return (rr_cg_lanes_push){.head = {.w = w,
                                      .s = s,
                                      .codes = codes,
                                      .groups = groups,
                                      .rms = rms,
                                      .y = row_at(cg, RR_CG_Y, first, (size_t)rows * 4),
                                      .cols = c->cols,
                                      .n_tokens = n,
                                      .n_rows = rows}};
    }
}
