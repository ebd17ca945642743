/* The kernel table: which variant of an op runs on this device, with which specialization, on which
 * grid. Owns: the pipelines. Knows each op's push block (shaders/<op>.h), its specialization
 * constants and its grid. Kernel choice is data: rows of shaders/variants.def, ordered worst to
 * best. */
#ifndef RR_COMPUTE_KERN_H
#define RR_COMPUTE_KERN_H

#include "runtime/compute/op.h"

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
