/* Specialization and grids of the kernels of the backward pass, one row for each of their
 * variants. */
#include "runtime/compute/kern_rows.h"
#include "shaders/adamw.h"
#include "shaders/attention_grad.h"
#include "shaders/cross_entropy.h"
#include "shaders/matmul_grad.h"
#include "shaders/outer_grad.h"
#include "shaders/rmsnorm_grad.h"
#include "shaders/rope_grad.h"
#include "shaders/swiglu_grad.h"

static uint32_t spec_subgroup(const rr_site *at, uint32_t *values) {
    values[0] = at->subgroup;
    return 1;
}

/* Tokens of a workgroup; a lane keeps four columns of each. More tokens share each weight, fewer
 * need fewer registers. */
static uint32_t matmul_tokens(const rr_site *at) {
    return rr_few_registers(at->info) ? 8 : 16;
}

enum { MATMUL_LANES_TOKENS = 8 }; /* RR_TOKENS of variants.def */

static uint32_t spec_matmul(const rr_site *at, uint32_t *values) {
    values[0] = at->key->format;
    values[1] = matmul_tokens(at);
    return 2;
}

static uint32_t spec_matmul_lanes(const rr_site *at, uint32_t *values) {
    values[0] = at->key->format;
    values[1] = at->subgroup;
    return 2;
}

static rr_grid grid_matmul(const rr_site *at) {
    const rr_push_matmul_grad *p = at->push;
    return (rr_grid){rr_div_up(p->n_tokens, matmul_tokens(at)), rr_div_up(p->cols, 256)};
}

static rr_grid grid_matmul_lanes(const rr_site *at) {
    const rr_push_matmul_grad *p = at->push;
    return (rr_grid){
        rr_div_up(p->n_tokens, MATMUL_LANES_TOKENS), rr_div_up(p->cols, 4 * at->subgroup)};
}

enum { OUTER_COLUMNS = 32 }; /* of a workgroup of outer_grad.comp */

static rr_grid grid_outer(const rr_site *at) {
    const rr_push_outer_grad *p = at->push;
    return (rr_grid){rr_div_up(p->n_b, OUTER_COLUMNS), rr_div_up(p->n_a, RR_OUTER_GRAD_RANK)};
}

static rr_grid grid_outer_lanes(const rr_site *at) {
    const rr_push_outer_grad *p = at->push;
    return (rr_grid){rr_div_up(p->n_b, 2 * at->subgroup), rr_div_up(p->n_a, RR_OUTER_GRAD_RANK)};
}

static rr_grid grid_rmsnorm(const rr_site *at) {
    return (rr_grid){((const rr_push_rmsnorm_grad *)at->push)->n_rows, 1};
}

static rr_grid grid_swiglu(const rr_site *at) {
    const rr_push_swiglu_grad *p = at->push;
    return (rr_grid){rr_div_up(p->cols, 64), p->n_rows};
}

static rr_grid grid_rope(const rr_site *at) {
    const rr_push_rope_grad *p = at->push;
    return (rr_grid){
        rr_div_up((p->n_heads + p->n_kv_heads) * (at->key->head_size / 4), 64), p->n_rows};
}

/* Query rows, and keys, of a tile. Tiles of q, d_o, K and V and one of factors stay below 32 KiB of
 * shared memory; smaller ones are for lanes that have few registers. */
static uint32_t attention_side(const rr_site *at) {
    return at->key->head_size <= (rr_few_registers(at->info) ? 32 : 64) ? 32 : 16;
}

static uint32_t spec_attention(const rr_site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = attention_side(at);
    return 2;
}

static rr_grid grid_attention_q(const rr_site *at) {
    const rr_push_attention_grad *p = at->push;
    return rr_attention_grid(p->n_listed, p->n_heads, p->n_kv_heads, attention_side(at));
}

static rr_grid grid_attention_kv(const rr_site *at) {
    const rr_push_attention_grad *p = at->push;
    return (rr_grid){rr_div_up(p->n_listed, attention_side(at)), p->n_kv_heads};
}

/* Keys of a subgroup of software devices: what still fits its registers. */
static uint32_t lanes_keys(const rr_site *at) {
    return at->key->head_size <= 4 * at->subgroup ? 8 : 4;
}

static uint32_t spec_attention_lanes_kv(const rr_site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = lanes_keys(at);
    values[2] = at->subgroup;
    return 3;
}

static rr_grid grid_attention_lanes_q(const rr_site *at) {
    const rr_push_attention_grad *p = at->push;
    return rr_attention_grid(p->n_listed, p->n_heads, p->n_kv_heads, rr_lanes_attention_rows(at));
}

static rr_grid grid_attention_lanes_kv(const rr_site *at) {
    const rr_push_attention_grad *p = at->push;
    return (rr_grid){rr_div_up(p->n_listed, lanes_keys(at)), p->n_kv_heads};
}

static rr_grid grid_cross_entropy(const rr_site *at) {
    return (rr_grid){((const rr_push_cross_entropy *)at->push)->n_rows, 1};
}

static rr_grid grid_adamw(const rr_site *at) {
    const uint32_t n = rr_div_up(((const rr_push_adamw *)at->push)->n, RR_ADAMW_LANES);
    return n <= RR_ADAMW_GROUPS ? (rr_grid){n, 1}
                                : (rr_grid){RR_ADAMW_GROUPS, rr_div_up(n, RR_ADAMW_GROUPS)};
}

static const rr_code_row rows[] = {
    {RR_OP_matmul_grad, "base", {1}, spec_matmul, grid_matmul, NULL, 0, 0},
    {RR_OP_matmul_grad, "lanes", {1}, spec_matmul_lanes, grid_matmul_lanes, NULL, 16, 4},
    {RR_OP_outer_grad, "base", {1}, rr_spec_none, grid_outer, NULL, 0, 0},
    {RR_OP_outer_grad, "lanes", {1}, spec_subgroup, grid_outer_lanes, NULL, 16, 8},
    {RR_OP_rmsnorm_grad, "base", {1}, rr_spec_none, grid_rmsnorm, NULL, 0, 0},
    {RR_OP_swiglu_grad, "base", {1}, rr_spec_none, grid_swiglu, NULL, 0, 0},
    {RR_OP_rope_grad, "base", {1}, rr_spec_head, grid_rope, NULL, 0, 0},
    {RR_OP_attention_lse, "base", {1}, spec_attention, grid_attention_q, NULL, 0, 0},
    {RR_OP_attention_lse, "lanes", {1}, rr_spec_lanes_attention_prefill, grid_attention_lanes_q,
        NULL, 16, 8},
    {RR_OP_attention_grad_q, "base", {1}, spec_attention, grid_attention_q, NULL, 0, 0},
    {RR_OP_attention_grad_q, "lanes", {1}, rr_spec_lanes_attention_prefill, grid_attention_lanes_q,
        NULL, 16, 8},
    {RR_OP_attention_grad_kv, "base", {1}, spec_attention, grid_attention_kv, NULL, 0, 0},
    {RR_OP_attention_grad_kv, "lanes", {1}, spec_attention_lanes_kv, grid_attention_lanes_kv, NULL,
        16, 8},
    {RR_OP_cross_entropy, "base", {1}, rr_spec_none, grid_cross_entropy, NULL, 0, 0},
    {RR_OP_adamw, "base", {1}, rr_spec_none, grid_adamw, NULL, 0, 0},
};

const rr_code_table rr_code_grad = {.rows = rows, .n = sizeof rows / sizeof rows[0]};
