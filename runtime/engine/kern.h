/* The kernel table: which variant of an op runs on this device, with which specialization, on which
 * grid. Owns: the pipelines. Knows each op's push block (shaders/<op>.h), its specialization
 * constants and its grid. Kernel choice is data: rows of shaders/variants.def, ordered worst to
 * best. */
#ifndef RR_ENGINE_KERN_H
#define RR_ENGINE_KERN_H

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

/* What a pipeline is specialised on; fields that an op does not use stay 0. 32-bit fields only:
 * keys are compared bytewise. */
typedef struct rr_kern_key {
    rr_qtype format;    /* embed, matmul_* */
    uint32_t head_size; /* rope, attention_*, lanes_qkv */
    uint32_t end;       /* matmul_q8_*: RR_END_ */
    /* lanes_qkv, lanes_out, lanes_gate_up, lanes_head, lanes_layer (of qkv): rr_lanes_code */
    uint32_t lanes;
    uint32_t o, gate_up, down; /* lanes_layer: rr_lanes_code */
} rr_kern_key;

const char *rr_op_name(rr_op op);
uint32_t rr_op_push_bytes(rr_op op);
/* All rows of variants.def that this build contains, in their order. */
const rr_variant *rr_variants(size_t *n);
/* Hash of all shader code in this build: keys the pipeline cache. */
uint64_t rr_variants_hash(void);

/* Its needs lie in `info->caps`, and its code can handle the device's subgroups. Pure. */
bool rr_variant_fits(const rr_variant *variant, const rr_device_info *info);
/* It fits, and suits this key on this device (a size of matrices for this format). Pure. */
bool rr_kern_fits(const rr_variant *variant, const rr_kern_key *key, const rr_device_info *info);

/* A row that fits is worth its place in the order here: slow sizes of matrices are not, unless the
 * capability was lifted. Pure. */
bool rr_kern_pays(const rr_variant *variant, const rr_kern_key *key, const rr_device_info *info);

/* The best row of `op` that fits, suits the key and pays, NULL when there is none (never for the
 * plain graph's ops). Pure: looks at nothing but its arguments. */
const rr_variant *rr_pick(rr_op op, const rr_kern_key *key, const rr_device_info *info);

/* Whether a row of attention_* can quantize its result (`groups` of shaders/attention.h). Pure. */
bool rr_attention_quantizes(const rr_variant *variant);

typedef struct rr_kern rr_kern;
/* borrows the device */
rr_status rr_kern_create(rr_vk_device *device, rr_kern **out, rr_diag *diag);
void rr_kern_destroy(rr_kern **kern);

/* Compiles `op` for `key` unless it is there. `variant` NULL = rr_pick's choice. After this,
 * recording cannot fail. */
rr_status rr_kern_prepare(
    rr_kern *kern, rr_op op, const rr_kern_key *key, const rr_variant *variant, rr_diag *diag);

/* A table that compiles nothing: rr_kern_prepare calls `fn`, for finding out what is used. */
typedef void (*rr_kern_use_fn)(void *user, rr_op op, const rr_kern_key *key);
rr_status rr_kern_create_list(rr_kern_use_fn fn, void *user, rr_kern **out, rr_diag *diag);
/* For tools that look at what the compiler made: pipeline `t` (0…) of what was prepared, with the
 * tokens that a workgroup takes in *tile. NULL past the last. */
const rr_vk_kernel *rr_kern_kernel(const rr_kern *kern, rr_op op, const rr_kern_key *key,
    const rr_variant *variant, size_t t, uint32_t *tile);

/* Records one op; `push` points at the op's rr_push_ block. The (op, key, variant) must have been
 * prepared. Grids stay below 65,536 workgroups a dimension as long as n_out ≤ 2,097,152, a pass has
 * ≤ 65,535 rows and contexts fit the rest. */
void rr_kern_record(rr_kern *kern, rr_vk_commands *commands, rr_op op, const rr_kern_key *key,
    const rr_variant *variant, const void *push);

/* From now on called in front of every dispatch that is recorded; NULL = not any more. For
 * measuring. */
typedef void (*rr_kern_fn)(void *user, rr_vk_commands *commands, const rr_variant *variant,
    const rr_kern_key *key, const void *push);
void rr_kern_on_record(rr_kern *kern, rr_kern_fn fn, void *user);

#endif
