/* Work of every op, by its push block. Weights count as they are stored, vectors as f32. */
#include "runtime/compute/op_cost.h"

#include <stdio.h>

#include "quant/lanes.h"
#include "shaders/argmax.h"
#include "shaders/attention.h"
#include "shaders/attention_mass.h"
#include "shaders/embed.h"
#include "shaders/lanes_attention.h"
#include "shaders/lanes_embed.h"
#include "shaders/lanes_gate_up.h"
#include "shaders/lanes_head.h"
#include "shaders/lanes_layer.h"
#include "shaders/lanes_out.h"
#include "shaders/lanes_qkv.h"
#include "shaders/matmul.h"
#include "shaders/matmul_q8.h"
#include "shaders/rmsnorm.h"
#include "shaders/rmsnorm_q8.h"
#include "shaders/rope.h"
#include "shaders/swiglu.h"
#include "shaders/token_mass.h"

/* `n` vectors of `values` each. */
static rr_op_cost elementwise(double n, double values, double bytes_each, double flops_each) {
    return (rr_op_cost){.bytes = n * values * bytes_each, .flops = n * values * flops_each};
}

/* n_rows rows of a matrix are read as floats. */
static rr_op_cost embed(const rr_kern_key *key, uint32_t cols, uint32_t n_rows) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)key->format);
    rr_op_cost work =
        elementwise(n_rows, cols, 4 + (double)info->block_bytes / info->block_weights, 1);
    snprintf(work.format, sizeof work.format, "%s", info->name);
    return work;
}

/* A matrix of `weight_bytes` a weight times n_tokens vectors. */
static rr_op_cost product(
    const char *format, double weight_bytes, uint32_t n_out, uint32_t cols, uint32_t n_tokens) {
    double weights = (double)n_out * cols;
    rr_op_cost work = {.n_out = n_out,
        .cols = cols,
        .bytes = weights * weight_bytes + 4.0 * n_tokens * ((double)n_out + cols),
        .flops = 2.0 * weights * n_tokens};
    snprintf(work.format, sizeof work.format, "%s", format);
    return work;
}

static rr_op_cost planes_product(
    const rr_kern_key *key, uint32_t n_out, uint32_t cols, uint32_t n_tokens) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)key->format);
    return product(
        info->name, (double)info->block_bytes / info->block_weights, n_out, cols, n_tokens);
}

static rr_op_cost lanes_product(uint32_t code, uint32_t n_out, uint32_t cols, uint32_t n_tokens) {
    static const double scale_bytes[] = {
        [RR_LANES_F16] = 2, [RR_LANES_F32] = 4, [RR_LANES_AFFINE] = 8};
    const rr_lanes_format format = rr_lanes_decode(code);
    char name[16];
    snprintf(name, sizeof name, "int%u/%u", format.bits, format.group);
    return product(
        name, format.bits / 8.0 + scale_bytes[format.scale] / format.group, n_out, cols, n_tokens);
}

/* Each row sees the keys up to its own position; rows of one session read its keys together. */
static rr_op_cost attention(uint32_t n_rows, uint32_t n_heads, uint32_t n_kv_heads,
    uint32_t head_size, const rr_row *rows) {
    double pairs = 0.0, keys = 0.0, width = (double)n_heads * head_size;
    for (uint32_t i = 0; i < n_rows; i++) {
        pairs += rows[i].position + 1.0;
        if (i + 1 == n_rows || rows[i + 1].pages != rows[i].pages) {
            keys += rows[i].position + 1.0;
        }
    }
    return (rr_op_cost){.bytes = keys * 2 * n_kv_heads * head_size * 2 + 8.0 * n_rows * width,
        .flops = 4 * pairs * width};
}

static rr_op_cost sum(rr_op_cost a, rr_op_cost b) {
    return (rr_op_cost){.bytes = a.bytes + b.bytes, .flops = a.flops + b.flops};
}

/* Attention over the rows at device address `at`. */
static rr_op_cost attention_at(const rr_op_memory *memory, uint64_t at, uint32_t n_rows,
    uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_size) {
    return attention(n_rows, n_heads, n_kv_heads, head_size,
        memory->rows + (at - memory->rows_at) / sizeof(rr_row));
}

/* The five ops of a layer for one token. */
static rr_op_cost layer(
    const rr_kern_key *key, const rr_push_lanes_layer *push, const rr_op_memory *memory) {
    if (memory->layers == NULL || push->layer == 0) {
        return (rr_op_cost){0};
    }
    const struct rr_layer *l =
        (const struct rr_layer *)(const void *)((const char *)memory->layers +
            (push->layer - memory->layers_at));
    uint32_t heads = l->qkv.n_heads + 2 * l->qkv.n_kv_heads;
    rr_op_cost work = lanes_product(key->lanes, heads * key->head_size, l->qkv.cols, 1);
    work = sum(work, attention(1, l->qkv.n_heads, l->qkv.n_kv_heads, key->head_size, memory->rows));
    work = sum(work, lanes_product(key->o, l->o.n_rows, l->o.cols, 1));
    work = sum(work, lanes_product(key->gate_up, 2 * l->gate_up.d_ffn, l->gate_up.cols, 1));
    return sum(work, lanes_product(key->down, l->down.n_rows, l->down.cols, 1));
}

rr_op_cost rr_op_cost_of(
    rr_op op, const rr_kern_key *key, const void *push, const rr_op_memory *memory) {
    switch (op) {
    case RR_OP_embed: {
        const rr_push_embed *p = push;
        return embed(key, p->cols, p->n_rows);
    }
    case RR_OP_rmsnorm: {
        const rr_push_rmsnorm *p = push;
        return elementwise(p->n_rows, p->cols, 8, 4);
    }
    case RR_OP_matmul_prefill:
    case RR_OP_matmul_decode: {
        const rr_push_matmul *p = push;
        return planes_product(key, p->n_out, p->cols, p->n_tokens);
    }
    case RR_OP_rmsnorm_q8: {
        const rr_push_rmsnorm_q8 *p = push;
        return elementwise(p->n_rows, p->cols, 4 + 1.25 * p->n_terms, 4);
    }
    case RR_OP_matmul_q8_prefill:
    case RR_OP_matmul_q8_decode: {
        const rr_push_matmul_q8 *p = push;
        return planes_product(key, p->n_out, p->cols, p->n_tokens);
    }
    case RR_OP_rope: { /* q in place; k and v read as f32, written as f16 */
        const rr_push_rope *p = push;
        double q = (double)p->n_heads * key->head_size, kv = (double)p->n_kv_heads * key->head_size;
        return (rr_op_cost){
            .bytes = p->n_rows * (8 * q + 12 * kv), .flops = 3 * p->n_rows * (q + kv)};
    }
    case RR_OP_attention_prefill:
    case RR_OP_attention_decode: {
        const rr_push_attention *p = push;
        return attention_at(memory, p->rows, p->n_rows, p->n_heads, p->n_kv_heads, key->head_size);
    }
    /* the listed rows are the last that see n_keys; keys are read together */
    case RR_OP_attention_mass: {
        const rr_push_attention_mass *p = push;
        const double pairs = (double)p->n_listed * p->n_heads * p->n_keys,
                     keys = (double)p->n_keys * p->n_kv_heads;
        return (rr_op_cost){
            .bytes = keys * key->head_size * 2 + 4 * pairs, .flops = 2 * pairs * key->head_size};
    }
    case RR_OP_token_mass: { /* factors and totals are next to nothing */
        const rr_push_token_mass *p = push;
        return elementwise(
            p->n_listed, p->n_keys, 4.0 * (p->n_heads + 1) + 4.0 * p->adds, 2.0 * p->n_heads);
    }
    case RR_OP_swiglu: {
        const rr_push_swiglu *p = push;
        return elementwise(p->n_rows, p->cols, 12, 5);
    }
    case RR_OP_argmax: {
        const rr_push_argmax *p = push;
        return elementwise(p->n_rows, p->cols, p->n_terms == 2 ? 12 : 4, 1);
    }
    case RR_OP_lanes_embed: {
        const rr_push_lanes_embed *p = push;
        return embed(key, p->cols, p->n_tokens);
    }
    case RR_OP_lanes_qkv: {
        const rr_push_lanes_qkv *p = push;
        return lanes_product(
            key->lanes, (p->n_heads + 2 * p->n_kv_heads) * key->head_size, p->cols, p->n_tokens);
    }
    case RR_OP_lanes_attention_prefill:
    case RR_OP_lanes_attention_decode: {
        const rr_push_lanes_attention *p = push;
        return attention_at(memory, p->rows, p->n_rows, p->n_heads, p->n_kv_heads, key->head_size);
    }
    case RR_OP_lanes_out: {
        const rr_push_lanes_out *p = push;
        return lanes_product(key->lanes, p->n_rows, p->cols, p->n_tokens);
    }
    case RR_OP_lanes_gate_up: {
        const rr_push_lanes_gate_up *p = push;
        return lanes_product(key->lanes, 2 * p->d_ffn, p->cols, p->n_tokens);
    }
    case RR_OP_lanes_head: {
        const rr_push_lanes_head *p = push;
        return lanes_product(key->lanes, p->n_rows, p->cols, p->n_tokens);
    }
    case RR_OP_lanes_layer:
        return layer(key, push, memory);
    default:
        return (rr_op_cost){0};
    }
}
