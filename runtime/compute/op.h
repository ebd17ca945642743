/* Ops, the rows of shaders/variants.def that run them, and what a pipeline is specialised on. Types
 * alone; kern.h works with them. */
#ifndef RR_COMPUTE_OP_H
#define RR_COMPUTE_OP_H

#include "quant/quant.h"
#include "runtime/vk/vk.h"
#include "shaders/push.h"

/* X(op, push block). A row of variants.def names one of these. */
#define RR_OPS(X)                               \
    X(embed, embed)                             \
    X(rmsnorm, rmsnorm)                         \
    X(matmul_prefill, matmul)                   \
    X(matmul_decode, matmul)                    \
    X(rope, rope)                               \
    X(attention_prefill, attention)             \
    X(attention_decode, attention)              \
    X(attention_mass, attention_mass)           \
    X(token_mass, token_mass)                   \
    X(swiglu, swiglu)                           \
    X(argmax, argmax)                           \
    X(rmsnorm_q8, rmsnorm_q8)                   \
    X(matmul_q8_prefill, matmul_q8)             \
    X(matmul_q8_decode, matmul_q8)              \
    X(lanes_embed, lanes_embed)                 \
    X(lanes_qkv, lanes_qkv)                     \
    X(lanes_attention_prefill, lanes_attention) \
    X(lanes_attention_decode, lanes_attention)  \
    X(lanes_out, lanes_out)                     \
    X(lanes_gate_up, lanes_gate_up)             \
    X(lanes_layer, lanes_layer)                 \
    X(lanes_head, lanes_head)                   \
    X(matmul_grad, matmul_grad)                 \
    X(outer_grad, outer_grad)                   \
    X(rmsnorm_grad, rmsnorm_grad)               \
    X(swiglu_grad, swiglu_grad)                 \
    X(rope_grad, rope_grad)                     \
    X(attention_lse, attention_grad)            \
    X(attention_grad_q, attention_grad)         \
    X(attention_grad_kv, attention_grad)        \
    X(cross_entropy, cross_entropy)             \
    X(adamw, adamw)                             \
    X(roof, roof) /* no op of the model: what arithmetic can reach, for measuring */

typedef enum rr_op {
#define X(op, push) RR_OP_##op,
    RR_OPS(X)
#undef X
        RR_OP_COUNT
} rr_op;

typedef struct rr_module {
    const uint32_t *spirv;
    size_t bytes;
} rr_module;

enum { RR_MODULES = RR_Q_BF16 + 1 }; /* by rr_qtype */

typedef struct rr_variant {
    rr_op op;
    const char *name;           /* "base" */
    uint32_t caps;              /* needed */
    rr_module module;           /* for every weight format, … */
    const rr_module *by_format; /* … or one for each, [RR_MODULES]; NULL = `module` */
} rr_variant;

/* The addresses of a matrix's planes (rr_planes) that begins at device address `at`, as the push
 * blocks of embed, matmul_* and lanes_embed take them: initializers. */
#define RR_PUSH_PLANES(at, planes)                                    \
    .lo = (at) + (planes).lo_offset, .hi = (at) + (planes).hi_offset, \
    .scale = (at) + (planes).scale_offset, .super = (at) + (planes).super_offset

/* What a pipeline is specialised on; fields that an op does not use stay 0. 32-bit fields only:
 * keys are compared bytewise. */
typedef struct rr_kern_key {
    rr_qtype format;    /* embed, matmul_* */
    uint32_t head_size; /* rope, attention_*, lanes_qkv */
    uint32_t end;       /* matmul_q8_*: RR_END_ */
    /* lanes_qkv, lanes_out, lanes_gate_up, lanes_head, lanes_layer (of qkv): rr_lanes_code */
    uint32_t lanes;
    uint32_t o, gate_up, down; /* lanes_layer: rr_lanes_code */
    uint32_t adapted;          /* lanes_*, but for lanes_head: 1 = with adapters (lanes_lora.h) */
} rr_kern_key;

/* Takes one op with a key that passes use. */
typedef struct rr_kern_use {
    rr_status (*fn)(void *user, rr_op op, const rr_kern_key *key, rr_diag *diag);
    void *user;
} rr_kern_use;

static inline rr_status rr_kern_use_one(
    const rr_kern_use *use, rr_op op, rr_kern_key key, rr_diag *diag) {
    return use->fn(use->user, op, &key, diag);
}

/* An op with a key. */
typedef struct rr_keyed_op {
    rr_op op;
    rr_kern_key key;
} rr_keyed_op;

/* Several, until one fails. */
static inline rr_status rr_kern_use_all(
    const rr_kern_use *use, const rr_keyed_op *list, size_t n, rr_diag *diag) {
    for (size_t i = 0; i < n; i++) {
        RR_TRY(rr_kern_use_one(use, list[i].op, list[i].key, diag));
    }
    return RR_OK;
}

#endif
