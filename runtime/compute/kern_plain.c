/* Specialization and grids of the plain graph's kernels, one row for each of their variants. */
#include "runtime/compute/kern_rows.h"
#include "shaders/argmax.h"
#include "shaders/attention.h"
#include "shaders/attention_mass.h"
#include "shaders/embed.h"
#include "shaders/matmul.h"
#include "shaders/rmsnorm.h"
#include "shaders/roof.h"
#include "shaders/rope.h"
#include "shaders/swiglu.h"
#include "shaders/token_mass.h"

static uint32_t spec_format(const rr_site *at, uint32_t *values) {
    values[0] = at->key->format;
    return 1;
}

/* Output rows a lane: more of them share each activation, fewer need fewer registers. 4 suits most
 * compilers; where a lane has few registers, 3 rows spill already (docs/isa.md). */
enum { MATMUL_ROWS = 4, MATMUL_ROWS_FEW = 2 };
static uint32_t matmul_rows(const rr_site *at) {
    return rr_few_registers(at->info) ? MATMUL_ROWS_FEW : MATMUL_ROWS;
}

static uint32_t spec_matmul(const rr_site *at, uint32_t *values) {
    values[0] = at->key->format;
    values[1] = at->tile;
    values[2] = matmul_rows(at);
    return 3;
}

static uint32_t spec_matmul_lanes(const rr_site *at, uint32_t *values) {
    uint32_t n = spec_matmul(at, values);
    values[2] = MATMUL_ROWS;
    values[n] = at->subgroup;
    return n + 1;
}

/* Query rows a workgroup of the plain kernel: what fits the registers with the sums of a whole
 * head. */
static uint32_t attention_rows(const rr_site *at) {
    uint32_t rows = at->key->head_size <= 64 ? 32 : 16;
    return rr_few_registers(at->info) ? rows / 2 : rows;
}

static uint32_t spec_attention_prefill(const rr_site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = attention_rows(at);
    return 2;
}

static rr_grid grid_matmul_prefill(const rr_site *at) {
    const rr_push_matmul *p = at->push;
    return (rr_grid){rr_div_up(p->n_tokens, at->tile), rr_div_up(p->n_out, 64 * matmul_rows(at))};
}

static rr_grid grid_matmul_decode(const rr_site *at) {
    const rr_push_matmul *p = at->push;
    return (rr_grid){rr_div_up(p->n_out, 8 * matmul_rows(at)), rr_div_up(p->n_tokens, at->tile)};
}

static rr_grid grid_matmul_lanes(const rr_site *at) {
    const rr_push_matmul *p = at->push;
    return (rr_grid){
        rr_div_up(p->n_tokens, at->tile), rr_div_up(p->n_out, at->subgroup * MATMUL_ROWS)};
}

static rr_grid grid_embed(const rr_site *at) {
    const rr_push_embed *p = at->push;
    return (rr_grid){rr_div_up(p->cols / 8, 64), p->n_rows};
}

static rr_grid grid_rmsnorm(const rr_site *at) {
    return (rr_grid){((const rr_push_rmsnorm *)at->push)->n_rows, 1};
}

static rr_grid grid_rope(const rr_site *at) {
    const rr_push_rope *p = at->push;
    return (rr_grid){
        rr_div_up((p->n_heads + 2 * p->n_kv_heads) * (at->key->head_size / 4), 64), p->n_rows};
}

static rr_grid grid_attention_prefill(const rr_site *at) {
    const rr_push_attention *p = at->push;
    return rr_attention_grid(p->n_rows, p->n_heads, p->n_kv_heads, attention_rows(at));
}

static rr_grid grid_attention_prefill_lanes(const rr_site *at) {
    const rr_push_attention *p = at->push;
    return rr_attention_grid(p->n_rows, p->n_heads, p->n_kv_heads, rr_lanes_attention_rows(at));
}

static rr_grid grid_attention_decode(const rr_site *at) {
    const rr_push_attention *p = at->push;
    return (rr_grid){p->n_rows, p->n_kv_heads};
}

static rr_grid grid_attention_mass(const rr_site *at) {
    const rr_push_attention_mass *p = at->push;
    return (rr_grid){p->n_listed, p->n_heads};
}

static rr_grid grid_attention_mass_lanes(const rr_site *at) {
    const rr_push_attention_mass *p = at->push;
    return (rr_grid){p->n_listed, p->n_kv_heads};
}

static rr_grid grid_token_mass(const rr_site *at) {
    const rr_push_token_mass *p = at->push;
    return (rr_grid){rr_div_up(p->n_keys, 64), p->n_listed};
}

static rr_grid grid_swiglu(const rr_site *at) {
    const rr_push_swiglu *p = at->push;
    return (rr_grid){rr_div_up(p->cols, 64), p->n_rows};
}

static rr_grid grid_argmax(const rr_site *at) {
    return (rr_grid){((const rr_push_argmax *)at->push)->n_rows, 1};
}

static rr_grid grid_roof(const rr_site *at) {
    return (rr_grid){((const rr_push_roof *)at->push)->n_groups, 1};
}

static uint32_t n_tokens_matmul(const void *push) {
    return ((const rr_push_matmul *)push)->n_tokens;
}

/* One row for each (op, variant) of variants.def. */
static const rr_code_row rows[] = {
    {RR_OP_embed, "base", {1}, spec_format, grid_embed, NULL, 0, 0},
    {RR_OP_rmsnorm, "base", {1}, rr_spec_none, grid_rmsnorm, NULL, 0, 0},
    {RR_OP_matmul_prefill, "base", {8}, spec_matmul, grid_matmul_prefill, n_tokens_matmul, 0, 0},
    {RR_OP_matmul_prefill, "lanes", {8}, spec_matmul_lanes, grid_matmul_lanes, n_tokens_matmul, 0,
        0},
    {RR_OP_matmul_decode, "base", {1, 4, 8}, spec_matmul, grid_matmul_decode, n_tokens_matmul, 0,
        0},
    {RR_OP_matmul_decode, "lanes", {1, 4, 8}, spec_matmul_lanes, grid_matmul_lanes, n_tokens_matmul,
        0, 0},
    {RR_OP_rope, "base", {1}, rr_spec_head, grid_rope, NULL, 0, 0},
    {RR_OP_attention_prefill, "base", {1}, spec_attention_prefill, grid_attention_prefill, NULL, 0,
        0},
    {RR_OP_attention_prefill, "lanes", {1}, rr_spec_lanes_attention_prefill,
        grid_attention_prefill_lanes, NULL, 16, 0},
    {RR_OP_attention_decode, "lanes", {1}, rr_spec_lanes_attention_decode, grid_attention_decode,
        NULL, 16, 0},
    {RR_OP_attention_decode, "base", {1}, rr_spec_head, grid_attention_decode, NULL, 0, 0},
    {RR_OP_attention_mass, "base", {1}, rr_spec_head, grid_attention_mass, NULL, 0, 0},
    {RR_OP_attention_mass, "subgroup", {1}, rr_spec_head, grid_attention_mass, NULL, 0, 4},
    {RR_OP_attention_mass, "lanes", {1}, rr_spec_lanes_attention_decode, grid_attention_mass_lanes,
        NULL, 16, 0},
    {RR_OP_token_mass, "base", {1}, rr_spec_none, grid_token_mass, NULL, 0, 0},
    {RR_OP_swiglu, "base", {1}, rr_spec_none, grid_swiglu, NULL, 0, 0},
    {RR_OP_argmax, "base", {1}, rr_spec_none, grid_argmax, NULL, 0, 0},
    {RR_OP_roof, "base", {1}, rr_spec_none, grid_roof, NULL, 0, 0},
    {RR_OP_roof, "f16", {1}, rr_spec_none, grid_roof, NULL, 0, 0},
    {RR_OP_roof, "dot", {1}, rr_spec_none, grid_roof, NULL, 0, 0},
};

const rr_code_table rr_code_plain = {.rows = rows, .n = sizeof rows / sizeof rows[0]};
