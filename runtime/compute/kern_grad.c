/* Specialization and grids of the kernels of the backward pass, one row for each of their
 * variants. */
#include "runtime/compute/kern_rows.h"
#include "shaders/matmul_grad.h"

/* Tokens a workgroup, of which a lane keeps four columns each: more of them share a weight, fewer
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

static const rr_code_row rows[] = {
    {RR_OP_matmul_grad, "base", {1}, spec_matmul, grid_matmul, NULL, 0, 0},
    {RR_OP_matmul_grad, "lanes", {1}, spec_matmul_lanes, grid_matmul_lanes, NULL, 16, 4},
};

const rr_code_table rr_code_grad = {.rows = rows, .n = sizeof rows / sizeof rows[0]};
