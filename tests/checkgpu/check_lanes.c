/* The products of software devices: lanes_qkv, lanes_out, lanes_gate_up, lanes_head. Bounds:
 * lanes_compare.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/compute/op_cost.h"
#include "tests/checkgpu/lanes_case.h"

static void name_case(rr_cg *cg, const rr_cg_lanes_case *c, const char *what) {
    const char *a = rr_qtype_get((uint32_t)c->types[0])->name,
               *b = rr_qtype_get((uint32_t)c->types[1])->name;
    const char *v = rr_qtype_get((uint32_t)c->types[2])->name;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        rr_cg_begin(cg, "%s%s %s %s heads %u/%u of %u, cols %u, tokens %u", what, a, b, v,
            c->n_heads, c->n_kv_heads, c->head_size, c->cols, c->n_tokens);
        break;
    case RR_OP_lanes_gate_up:
        rr_cg_begin(cg, "%s%s %s 2x%ux%u tokens %u", what, a, b, c->rows, c->cols, c->n_tokens);
        break;
    default:
        rr_cg_begin(cg, "%s%s %ux%u tokens %u", what, a, c->rows, c->cols, c->n_tokens);
        break;
    }
}

static rr_status check_case(rr_cg *cg, const rr_cg_lanes_case *c, rr_diag *diag) {
    rr_cg_lanes_data data = {0};
    bool too_big;
    name_case(cg, c, "");
    rr_status status = rr_cg_lanes_make(cg, c, &data, &too_big, diag);
    RR_TRY_GOTO(status);
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    rr_cg_lanes_push push = rr_cg_lanes_push_of(cg, c, &data, 0, c->n_tokens);
    rr_kern_key key = rr_cg_lanes_key(c, &data);
    rr_cg_lanes_expect(cg, c, &data);
    RR_TRY_GOTO(rr_cg_run(cg, &key, &push, diag));
    rr_cg_lanes_compare(cg, c, &data);
    rr_cg_end(cg);
fail:
    rr_cg_lanes_free(&data);
    return status;
}

/* Outputs that are rows of tokens, in all; the cache is not. */
static const rr_cg_slot_id row_outputs[] = {
    RR_CG_Y, RR_CG_RESIDUAL, RR_CG_OUT_CODES, RR_CG_OUT_GROUPS, RR_CG_OUT_RMS};
enum { N_ROW_OUTPUTS = sizeof row_outputs / sizeof row_outputs[0] };

/* What the outputs held after the run over all tokens. */
typedef struct snapshot {
    uint8_t *slots[RR_CG_SLOTS];
} snapshot;

static bool keep(const rr_cg *cg, snapshot *kept) {
    bool made = true;
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        const rr_cg_slot *slot = &cg->slots[i];
        if (slot->role == RR_CG_OUT || slot->role == RR_CG_INOUT) {
            kept->slots[i] = malloc(slot->bytes);
            made = made && kept->slots[i] != NULL;
            if (kept->slots[i] != NULL) {
                memcpy(kept->slots[i], rr_cg_found(cg, (rr_cg_slot_id)i), slot->bytes);
            }
        }
    }
    return made;
}

/* Tokens [first, first + n) are as in `kept`, all others as before the run. */
static void compare_kept(rr_cg *cg, const rr_cg_lanes_case *c, const rr_cg_lanes_data *data,
    const snapshot *kept, uint32_t first, uint32_t n) {
    char what[64];
    snprintf(what, sizeof what, "%u rows from row %u", n, first);
    for (size_t i = 0; i < N_ROW_OUTPUTS; i++) {
        const rr_cg_slot *slot = &cg->slots[row_outputs[i]];
        if (slot->role != RR_CG_OUT && slot->role != RR_CG_INOUT) {
            continue;
        }
        size_t row = slot->bytes / c->n_tokens, begin = first * row, end = begin + n * row;
        const uint8_t *found = rr_cg_found(cg, row_outputs[i]);
        rr_cg_compare_bits(
            cg, what, found + begin, kept->slots[row_outputs[i]] + begin, n * row / 4, row / 4);
        if (memcmp(found, slot->host, begin) != 0 ||
            memcmp(found + end, slot->host + end, slot->bytes - end) != 0) {
            rr_cg_fault(cg, "%s: wrote into rows of other tokens", what);
        }
    }
    const rr_cg_slot *cache = &cg->slots[RR_CG_KV];
    if (cache->role != RR_CG_OUT) {
        return;
    }
    uint16_t *image = malloc(cache->bytes);
    if (image == NULL) {
        rr_cg_fault(cg, "no memory to compare the cache");
        return;
    }
    memcpy(image, cache->host, cache->bytes);
    for (uint32_t t = first; t < first + n; t++) {
        for (uint32_t i = 0; i < 2 * c->n_kv_heads * c->head_size; i++) {
            size_t at = rr_cg_lanes_kv_at(cg, c, data, t, i);
            image[at] = ((const uint16_t *)(const void *)kept->slots[RR_CG_KV])[at];
        }
    }
    rr_cg_compare_bits(
        cg, what, rr_cg_found(cg, RR_CG_KV), image, cache->bytes / 4, c->head_size / 2);
    free(image);
}

/* A row's bits are the same for each count of rows, so in each tile, and at each place. */
static rr_status check_company(rr_cg *cg, const rr_cg_lanes_case *c, rr_diag *diag) {
    rr_cg_lanes_data data = {0};
    snapshot kept = {{NULL}};
    name_case(cg, c, "rows do not depend on their company: ");
    rr_status status = rr_cg_lanes_make(cg, c, &data, NULL, diag);
    RR_TRY_GOTO(status);
    rr_cg_lanes_push push = rr_cg_lanes_push_of(cg, c, &data, 0, c->n_tokens);
    rr_kern_key key = rr_cg_lanes_key(c, &data);
    RR_TRY_GOTO(rr_cg_run_once(cg, &key, &push, diag));
    if (!keep(cg, &kept)) {
        status = rr_cg_no_memory(cg, diag);
        goto fail;
    }
    for (uint32_t n = 1; n < c->n_tokens; n++) {
        uint32_t first = (uint32_t)(rr_cg_random(cg) % (c->n_tokens - n + 1));
        push = rr_cg_lanes_push_of(cg, c, &data, first, n);
        RR_TRY_GOTO(rr_cg_reset_outputs(cg, diag));
        RR_TRY_GOTO(rr_cg_run_once(cg, &key, &push, diag));
        compare_kept(cg, c, &data, &kept, first, n);
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        push = rr_cg_lanes_push_of(cg, c, &data, t, 1);
        RR_TRY_GOTO(rr_cg_reset_outputs(cg, diag));
        RR_TRY_GOTO(rr_cg_run_once(cg, &key, &push, diag));
        compare_kept(cg, c, &data, &kept, t, 1);
    }
    rr_cg_end(cg);
fail:
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        free(kept.slots[i]);
    }
    rr_cg_lanes_free(&data);
    return status;
}

/* Types whose layouts, alone and joined, are all that a file can lead to. */
static const rr_qtype stacks[][RR_LANES_PARTS] = {{RR_Q_Q4_0, RR_Q_Q4_0, RR_Q_Q4_0},
    {RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q4_0}, {RR_Q_Q5_0, RR_Q_Q5_0, RR_Q_Q8_0},
    {RR_Q_Q4_K, RR_Q_Q5_K, RR_Q_Q5_0}, {RR_Q_Q6_K, RR_Q_Q6_K, RR_Q_Q6_K},
    {RR_Q_Q4_K, RR_Q_Q6_K, RR_Q_Q6_K}, {RR_Q_Q4_1, RR_Q_Q5_1, RR_Q_Q8_0},
    {RR_Q_Q8_0, RR_Q_Q4_0, RR_Q_Q6_K}};
enum { N_STACKS = sizeof stacks / sizeof stacks[0] };

static bool holds(const rr_qtype *types, uint32_t n, uint32_t cols) {
    for (uint32_t i = 0; i < n; i++) {
        if (cols % rr_qtype_get((uint32_t)types[i])->block_weights != 0) {
            return false;
        }
    }
    return true;
}

static rr_status check_qkv_cases(rr_cg *cg, rr_diag *diag) {
    static const rr_cg_lanes_case shapes[] = {
        /* types, rows, cols, tokens, heads, kv heads, head size */
        {{0}, 0, 32, 1, 1, 1, 64}, {{0}, 0, 96, 5, 4, 2, 64}, {{0}, 0, 256, 3, 2, 1, 128},
        {{0}, 0, 256, 9, 3, 1, 64}, {{0}, 0, 512, 17, 2, 2, 128}, {{0}, 0, 256, 8, 1, 1, 128},
        {{0}, 0, 512, 6, 2, 1, 64}};
    static const rr_cg_lanes_case real[] = {
        {{RR_Q_Q5_0, RR_Q_Q5_0, RR_Q_Q8_0}, 0, 896, 4, 14, 2, 64},
        {{RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q6_K}, 0, 1536, 2, 12, 2, 128},
        {{RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q6_K}, 0, 3584, 7, 28, 4, 128},
        {{RR_Q_Q4_0, RR_Q_Q4_0, RR_Q_Q4_0}, 0, 896, 64, 14, 2, 64}};
    for (size_t f = 0; f < N_STACKS; f++) {
        /* a head size is a set of pipelines more, seconds of compilation: the larger where 7B files
         * have it */
        bool both = f < 2 || f == 5 || cg->params->full;
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            rr_cg_lanes_case c = shapes[s];
            memcpy(c.types, stacks[f], sizeof c.types);
            if (holds(c.types, 3, c.cols) && (both || c.head_size == 64)) {
                RR_TRY(check_case(cg, &c, diag));
            }
        }
        rr_cg_lanes_case company = {
            {stacks[f][0], stacks[f][1], stacks[f][2]}, 0, 256, 20, 1, 1, both ? 128 : 64};
        RR_TRY(check_company(cg, &company, diag));
    }
    for (size_t s = 0; s < (cg->params->full ? 4 : 2); s++) {
        RR_TRY(check_case(cg, &real[s], diag));
    }
    return RR_OK;
}

/* out, gate_up, head: matrices of `rows`; only the head's may be ragged. Every count of tokens has
 * its own kernel up to 8. */
static rr_status check_product_cases(rr_cg *cg, rr_diag *diag) {
    static const struct {
        uint32_t rows, cols, n_tokens;
    } shapes[] = {{32, 32, 1}, {96, 64, 3}, {64, 96, 2}, {32, 256, 11}, {96, 256, 4}, {224, 512, 7},
        {160, 768, 17}, {128, 256, 8}, {64, 512, 6}, {192, 256, 5}};
    static const struct {
        uint32_t rows, cols, n_tokens;
    } ragged[] = {{1, 32, 2}, {31, 256, 1}, {33, 256, 9}, {95, 64, 5}};
    static const struct {
        rr_op op;
        rr_cg_lanes_case c;
        bool full;
    } real[] = {{RR_OP_lanes_out, {{RR_Q_Q5_0}, 896, 896, 6, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q6_K}, 896, 4864, 3, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 896, 4864, 8, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q6_K}, 3584, 18944, 5, 0, 0, 0}, true},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 3584, 18944, 64, 0, 0, 0}, true},
        {RR_OP_lanes_gate_up, {{RR_Q_Q5_0, RR_Q_Q5_0}, 4864, 896, 2, 0, 0, 0}, false},
        {RR_OP_lanes_gate_up, {{RR_Q_Q4_K, RR_Q_Q4_K}, 18944, 3584, 9, 0, 0, 0}, true},
        {RR_OP_lanes_head, {{RR_Q_Q8_0}, 2000, 896, 8, 0, 0, 0}, false},
        {RR_OP_lanes_head, {{RR_Q_Q8_0}, 151936, 896, 8, 0, 0, 0}, true},
        {RR_OP_lanes_head, {{RR_Q_Q6_K}, 152064, 3584, 2, 0, 0, 0}, true}};
    const rr_op op = cg->variant->op;
    const uint32_t n_parts = op == RR_OP_lanes_gate_up ? 2 : 1;
    for (size_t f = 0; f < N_STACKS; f++) {
        rr_cg_lanes_case c = {.types = {stacks[f][0], stacks[f][1], stacks[f][2]}};
        if (n_parts == 1 && f == 6) {
            c.types[0] = RR_Q_Q5_1;
        } else if (n_parts == 1 && (f == 3 || f == 5)) {
            c.types[0] = f == 3 ? RR_Q_Q5_K : RR_Q_Q4_1;
        }
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0] + (op == RR_OP_lanes_head ? 4 : 0);
             s++) {
            bool whole = s < sizeof shapes / sizeof shapes[0];
            size_t r = s - sizeof shapes / sizeof shapes[0];
            c.rows = whole ? shapes[s].rows : ragged[r].rows;
            c.cols = whole ? shapes[s].cols : ragged[r].cols;
            c.n_tokens = whole ? shapes[s].n_tokens : ragged[r].n_tokens;
            if (holds(c.types, n_parts, c.cols)) {
                RR_TRY(check_case(cg, &c, diag));
            }
        }
        rr_cg_lanes_case company = {
            {c.types[0], c.types[1]}, op == RR_OP_lanes_head ? 70 : 96, 256, 20, 0, 0, 0};
        RR_TRY(check_company(cg, &company, diag));
    }
    for (size_t s = 0; s < sizeof real / sizeof real[0]; s++) {
        if (real[s].op == op && (cg->params->full || !real[s].full)) {
            RR_TRY(check_case(cg, &real[s].c, diag));
        }
    }
    return RR_OK;
}

rr_status rr_cg_check_lanes(rr_cg *cg, rr_diag *diag) {
    return cg->variant->op == RR_OP_lanes_qkv ? check_qkv_cases(cg, diag)
                                              : check_product_cases(cg, diag);
}

static rr_status bench_case(rr_cg *cg, const rr_cg_lanes_case *c, rr_diag *diag) {
    rr_cg_lanes_data data = {0};
    bool too_big;
    name_case(cg, c, "");
    rr_status status = rr_cg_lanes_make(cg, c, &data, &too_big, diag);
    RR_TRY_GOTO(status);
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    rr_cg_lanes_push push = rr_cg_lanes_push_of(cg, c, &data, 0, c->n_tokens);
    rr_kern_key key = rr_cg_lanes_key(c, &data);
    rr_op_cost work = rr_op_cost_of(cg->variant->op, &key, &push, &(rr_op_memory){0});
    RR_TRY_GOTO(rr_cg_report(cg, &key, &push, work.bytes, work.flops, diag));
fail:
    rr_cg_lanes_free(&data);
    return status;
}

/* The default 0.5B file's matrices, those of its Q4_0 sibling, those of a 7B file. */
rr_status rr_cg_bench_lanes(rr_cg *cg, bool big, rr_diag *diag) {
    static const struct {
        rr_op op;
        rr_cg_lanes_case c;
        bool big;
    } cases[] = {
        {RR_OP_lanes_qkv, {{RR_Q_Q5_0, RR_Q_Q5_0, RR_Q_Q8_0}, 0, 896, 0, 14, 2, 64}, false},
        {RR_OP_lanes_qkv, {{RR_Q_Q4_0, RR_Q_Q4_0, RR_Q_Q4_0}, 0, 896, 0, 14, 2, 64}, false},
        {RR_OP_lanes_qkv, {{RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q6_K}, 0, 3584, 0, 28, 4, 128}, true},
        {RR_OP_lanes_out, {{RR_Q_Q5_0}, 896, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_0}, 896, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 896, 4864, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q6_K}, 896, 4864, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 3584, 18944, 0, 0, 0, 0}, true},
        {RR_OP_lanes_gate_up, {{RR_Q_Q5_0, RR_Q_Q5_0}, 4864, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_gate_up, {{RR_Q_Q4_0, RR_Q_Q4_0}, 4864, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_gate_up, {{RR_Q_Q4_K, RR_Q_Q4_K}, 18944, 3584, 0, 0, 0, 0}, true},
        {RR_OP_lanes_head, {{RR_Q_Q8_0}, 151936, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_head, {{RR_Q_Q6_K}, 152064, 3584, 0, 0, 0, 0}, true}};
    static const uint32_t counts[] = {1, 8, 64};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t n = 0; cases[i].op == cg->variant->op && n < 3; n++) {
            rr_cg_lanes_case c = cases[i].c;
            c.n_tokens = counts[n];
            if (big || !(cases[i].big || (c.rows > 100000 && counts[n] > 8))) {
                RR_TRY(bench_case(cg, &c, diag));
            }
        }
    }
    return RR_OK;
}
