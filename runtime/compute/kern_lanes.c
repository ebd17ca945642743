/* Specialization and grids of the kernels of software devices, one row for each of their
 * variants. */
#include "quant/lanes.h"
#include "runtime/compute/kern_rows.h"
#include "shaders/lanes.h"
#include "shaders/lanes_attention.h"
#include "shaders/lanes_layer.h"

enum { PASS_ROWS = 4 }; /* rows a lane holds in a pass of the product, as in lanes_matmul.glsl */

/* Constant 15 of lanes_lora.glsl; those between are no constants of any kernel. */
enum { ADAPTED = 15 };
static uint32_t spec_adapted(const rr_site *at, uint32_t *values, uint32_t n) {
    if (at->key->adapted == 0) {
        return n;
    }
    while (n < ADAPTED) {
        values[n++] = 0;
    }
    values[n++] = 1;
    return n;
}

static uint32_t spec_embed(const rr_site *at, uint32_t *values) {
    values[0] = at->key->format;
    values[1] = at->subgroup;
    return spec_adapted(at, values, 2);
}

static void put_format(uint32_t code, uint32_t *values) {
    rr_lanes_format format = rr_lanes_decode(code);
    values[0] = format.bits;
    values[1] = format.group;
    values[2] = (uint32_t)format.scale;
}

static uint32_t put_product(const rr_site *at, uint32_t *values) {
    values[0] = at->subgroup;
    values[1] = at->tile;
    put_format(at->key->lanes, values + 2);
    return 5;
}

static uint32_t put_qkv(const rr_site *at, uint32_t *values) {
    uint32_t n = put_product(at, values);
    values[n] = at->key->head_size;
    return n + 1;
}

static uint32_t spec_product(const rr_site *at, uint32_t *values) {
    return spec_adapted(at, values, put_product(at, values));
}

static uint32_t spec_qkv(const rr_site *at, uint32_t *values) {
    return spec_adapted(at, values, put_qkv(at, values));
}

static uint32_t spec_layer(const rr_site *at, uint32_t *values) {
    uint32_t n = put_qkv(at, values);
    put_format(at->key->o, values + n);
    put_format(at->key->gate_up, values + n + 3);
    put_format(at->key->down, values + n + 6);
    return spec_adapted(at, values, n + 9);
}

uint32_t rr_spec_lanes_attention_prefill(const rr_site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = rr_lanes_attention_rows(at);
    values[2] = at->subgroup;
    return spec_adapted(at, values, 3);
}

uint32_t rr_spec_lanes_attention_decode(const rr_site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = 8;
    values[2] = at->subgroup;
    return spec_adapted(at, values, 3);
}

static rr_grid grid_embed(const rr_site *at) {
    return (rr_grid){((const rr_push_lanes_embed *)at->push)->n_tokens, 1};
}

static rr_grid grid_qkv(const rr_site *at) {
    const rr_push_lanes_qkv *p = at->push;
    uint32_t heads = p->n_heads + 2 * p->n_kv_heads;
    return (rr_grid){
        rr_div_up(p->n_tokens, at->tile), heads * (at->key->head_size / 2 / RR_LANES_UNIT)};
}

static rr_grid grid_attention_prefill(const rr_site *at) {
    const rr_push_lanes_attention *p = at->push;
    return rr_attention_grid(p->n_rows, p->n_heads, p->n_kv_heads, rr_lanes_attention_rows(at));
}

static rr_grid grid_attention_decode(const rr_site *at) {
    const rr_push_lanes_attention *p = at->push;
    return (rr_grid){p->n_rows, p->n_kv_heads};
}

/* Workgroups for `rows` of a matrix. */
static uint32_t row_tiles(const rr_site *at, uint32_t rows) {
    return rr_div_up(rows, at->subgroup * PASS_ROWS);
}

static rr_grid grid_out(const rr_site *at) {
    const rr_push_lanes_out *p = at->push;
    return (rr_grid){rr_div_up(p->n_tokens, at->tile), row_tiles(at, p->n_rows)};
}

static rr_grid grid_gate_up(const rr_site *at) {
    const rr_push_lanes_gate_up *p = at->push;
    return (rr_grid){rr_div_up(p->n_tokens, at->tile), p->d_ffn / RR_LANES_UNIT};
}

static rr_grid grid_head(const rr_site *at) {
    const rr_push_lanes_head *p = at->push;
    return (rr_grid){rr_div_up(p->n_tokens, at->tile), row_tiles(at, p->n_rows)};
}

static rr_grid grid_layer(const rr_site *at) {
    return (rr_grid){((const rr_push_lanes_layer *)at->push)->n_groups, 1};
}

static uint32_t n_tokens_qkv(const void *push) {
    return ((const rr_push_lanes_qkv *)push)->n_tokens;
}

static uint32_t n_tokens_out(const void *push) {
    return ((const rr_push_lanes_out *)push)->n_tokens;
}

static uint32_t n_tokens_gate_up(const void *push) {
    return ((const rr_push_lanes_gate_up *)push)->n_tokens;
}

static uint32_t n_tokens_head(const void *push) {
    return ((const rr_push_lanes_head *)push)->n_tokens;
}

enum { MIN_LANES = 8, MAX_LANES = 16 }; /* what a subgroup may have: quant/lanes.h */
#define TILES \
    { 1, 2, 3, 4, 5, 6, 7, 8 }

static const rr_code_row rows[] = {
    {RR_OP_lanes_embed, "cpu", {1}, spec_embed, grid_embed, NULL, MAX_LANES, MIN_LANES},
    {RR_OP_lanes_qkv, "cpu", TILES, spec_qkv, grid_qkv, n_tokens_qkv, MAX_LANES, MIN_LANES},
    {RR_OP_lanes_attention_prefill, "cpu", {1}, rr_spec_lanes_attention_prefill,
        grid_attention_prefill, NULL, MAX_LANES, MIN_LANES},
    {RR_OP_lanes_attention_decode, "cpu", {1}, rr_spec_lanes_attention_decode,
        grid_attention_decode, NULL, MAX_LANES, MIN_LANES},
    {RR_OP_lanes_out, "cpu", TILES, spec_product, grid_out, n_tokens_out, MAX_LANES, MIN_LANES},
    {RR_OP_lanes_gate_up, "cpu", TILES, spec_product, grid_gate_up, n_tokens_gate_up, MAX_LANES,
        MIN_LANES},
    {RR_OP_lanes_layer, "cpu", {1}, spec_layer, grid_layer, NULL, MAX_LANES, MIN_LANES},
    {RR_OP_lanes_head, "cpu", TILES, spec_product, grid_head, n_tokens_head, MAX_LANES, MIN_LANES},
};

const rr_code_table rr_code_lanes = {.rows = rows, .n = sizeof rows / sizeof rows[0]};
