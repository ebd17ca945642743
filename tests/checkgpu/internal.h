/* What the files of the checker share: guarded buffers, seeded data, comparison, the groups of
 * cases. */
#ifndef RR_TESTS_CHECKGPU_INTERNAL_H
#define RR_TESTS_CHECKGPU_INTERNAL_H

#include "runtime/compute/kern.h"
#include "runtime/ref/grad.h"
#include "runtime/ref/lanes.h"
#include "runtime/ref/ref.h"
#include "shaders/kv.h"
#include "tests/checkgpu/checkgpu.h"

/* A buffer of a case. On the device its payload stands between two canaries; what an output does
 * not define and what lies behind any buffer is a NaN in f32 and in f16. */
typedef enum rr_cg_role { RR_CG_UNUSED, RR_CG_IN, RR_CG_OUT, RR_CG_INOUT } rr_cg_role;
typedef enum rr_cg_slot_id {
    RR_CG_W,
    RR_CG_X,
    RR_CG_Y,
    RR_CG_BIAS,
    RR_CG_RESIDUAL,
    RR_CG_ROWS,
    RR_CG_TABLE,
    RR_CG_KV,
    RR_CG_X_GROUPS,
    RR_CG_Y_GROUPS,
    RR_CG_SCRATCH,
    RR_CG_PAGES,
    /* ops of software devices: activations in and out, norm factors, norm weights, what lanes_out
     * counts with */
    RR_CG_CODES,
    RR_CG_GROUPS,
    RR_CG_RMS,
    RR_CG_OUT_CODES,
    RR_CG_OUT_GROUPS,
    RR_CG_OUT_RMS,
    RR_CG_NORM,
    RR_CG_SQUARES,
    RR_CG_TICKETS,
    /* attention_mass, token_mass */
    RR_CG_LIST,
    RR_CG_SPANS,
    RR_CG_WEIGHTS,
    RR_CG_TOTALS,
    RR_CG_MASS,
    RR_CG_FACTORS,
    /* adamw: moments; attention's backward pass */
    RR_CG_M,
    RR_CG_V,
    RR_CG_O,
    RR_CG_D_O,
    RR_CG_LSE,
    RR_CG_DELTA,
    RR_CG_SEGMENTS,
    RR_CG_SLOTS
} rr_cg_slot_id;
typedef struct rr_cg_slot {
    rr_cg_role role;
    size_t bytes;   /* payload */
    uint8_t *host;  /* the payload before a run */
    uint8_t *found; /* … after the last run: canary, payload, canary */
    uint8_t *first; /* … after the first run of two, of an output */
    size_t host_capacity;
    rr_vk_buffer device; /* grows, is kept between cases */
} rr_cg_slot;

/* The KV cache of a case (cache.c). */
typedef struct rr_cg_cache {
    uint32_t n_sessions, n_layers, n_kv_heads, head_size, n_context;
    /* of [n_sessions][places of a table], then those in no table; the checker's own */
    uint32_t *pages;
} rr_cg_cache;

typedef struct rr_cg {
    const rr_checkgpu_params *params;
    rr_checkgpu_result *result;
    rr_vk_device *device;
    rr_kern *kern;
    rr_vk_commands *commands;
    const rr_variant *variant; /* under check */
    /* it passed under a smaller set of capabilities: the cases of real models suffice */
    bool again;
    rr_cg_slot slots[RR_CG_SLOTS];
    rr_cg_cache cache;
    uint64_t random;
    char label[200];
    size_t n_faults; /* of the current case */
    double copy_gbs; /* bench: what a plain copy reaches */
} rr_cg;

enum { RR_CG_FILL = 0x7FE57FE5 }; /* NaN as f32 and as two f16 */

/* One line of the report. */
void rr_cg_line(rr_cg *cg, const char *format, ...) RR_PRINTF(2, 3);
/* A fault of the current case; the first few are reported. */
void rr_cg_fault(rr_cg *cg, const char *format, ...) RR_PRINTF(2, 3);

/* A case begins: names it (the name and the seed give its random numbers) and forgets the last
 * case's buffers. */
void rr_cg_begin(rr_cg *cg, const char *format, ...) RR_PRINTF(2, 3);
void rr_cg_end(rr_cg *cg);
/* Whether products with weights of this format are to be checked. */
bool rr_cg_wants(const rr_cg *cg, rr_qtype format);
/* Whether the variant is made for the key on this device; else the case `what` is named and counted
 * as left out. */
bool rr_cg_suits(rr_cg *cg, const rr_kern_key *key, const char *what, ...) RR_PRINTF(3, 4);

uint64_t rr_cg_random(rr_cg *cg);
float rr_cg_normal(rr_cg *cg); /* about normal, mean 0, deviation 1 */
void rr_cg_normals(rr_cg *cg, float deviation, float *out, size_t n);

/* Sets up a slot and gives its payload to fill: zeros for inputs, RR_CG_FILL words for outputs.
 * NULL when the host has no memory. */
void *rr_cg_buffer(rr_cg *cg, rr_cg_slot_id id, rr_cg_role role, size_t bytes);
/* One of n floats: normal numbers, or RR_CG_FILL where it is an output. *out (optional): where they
 * are. Errors: RR_E_MEMORY. */
rr_status rr_cg_floats_buffer(rr_cg *cg, rr_cg_slot_id id, rr_cg_role role, float deviation,
    size_t n, float **out, rr_diag *diag);
/* RR_E_MEMORY of the host, with the case's name. */
rr_status rr_cg_no_memory(const rr_cg *cg, rr_diag *diag);
/* Sends all slots of the case to the device. *too_big: a buffer is larger than the device allows, and
 * nothing was sent; with too_big = NULL that is an error. Errors: RR_E_MEMORY. */
rr_status rr_cg_upload(rr_cg *cg, bool *too_big, rr_diag *diag);
uint64_t rr_cg_address(const rr_cg *cg, rr_cg_slot_id id); /* of the payload, after upload */
const void *rr_cg_found(const rr_cg *cg, rr_cg_slot_id id);
void rr_cg_free(rr_cg *cg);

/* Runs the op once on what is uploaded and fetches every slot; checks canaries and inputs. */
rr_status rr_cg_run_once(rr_cg *cg, const rr_kern_key *key, const void *push, rr_diag *diag);
/* Runs it twice from the same start and compares the outputs bit for bit. */
rr_status rr_cg_run(rr_cg *cg, const rr_kern_key *key, const void *push, rr_diag *diag);
/* Sends the start values of all outputs again. */
rr_status rr_cg_reset_outputs(rr_cg *cg, rr_diag *diag);

/* A KV cache of f16 fill in slot KV: pages scattered and out of order, with some between them that
 * are nobody's; tables in slot PAGES. False when the host has no memory. */
bool rr_cg_cache_make(rr_cg *cg, const rr_cg_cache *shape);
/* writes the tables, after upload: upload again */
void rr_cg_cache_link(rr_cg *cg);
rr_row rr_cg_cache_row(const rr_cg *cg, uint32_t session, uint32_t position); /* after upload */
uint32_t rr_cg_cache_offset(const rr_cg *cg, uint32_t layer); /* the push blocks' kv_offset */
/* Index in slot KV, in f16 values, of the row of a position; plane: K heads, then V heads. */
size_t rr_cg_cache_at(
    const rr_cg *cg, uint32_t session, uint32_t layer, uint32_t plane, uint32_t position);
/* What the host's slot KV holds of a layer, as [planes][n_context][head_size]. */
void rr_cg_cache_gather(const rr_cg *cg, uint32_t session, uint32_t layer, uint16_t *out);

/* Float results [rows][cols] with a stride: |found - expected| ≤ bound, elementwise, and the
 * normalised mean square error ≤ nmse; what lies between cols and stride must still be the fill. */
typedef struct rr_cg_floats {
    const float *found, *expected;
    const double *bound;       /* [rows][cols] dense */
    size_t rows, cols, stride; /* of found and expected */
    double nmse;
} rr_cg_floats;
void rr_cg_compare(rr_cg *cg, const rr_cg_floats *floats);
/* Bits of n words equal; `what` and the row length name the place. */
void rr_cg_compare_bits(
    rr_cg *cg, const char *what, const void *found, const void *expected, size_t n, size_t cols);
/* Activations [rows][cols] as shaders/lanes_code.h lays them out, against the values before
 * quantization. Scales within what the values' bounds leave, codes within half a step and that,
 * code sums exactly those of the codes found, and the squares of the distances not above those of a
 * plain rounding. */
typedef struct rr_cg_codes {
    const int16_t *found;
    const uint32_t *groups;
    const float *expected;
    const double *bound;
    size_t rows, cols;
} rr_cg_codes;
void rr_cg_compare_codes(rr_cg *cg, const rr_cg_codes *codes);
/* One f16 that should hold `exact` computed within `error`. */
void rr_cg_compare_f16(rr_cg *cg, uint16_t found, double exact, double error, size_t index);

/* Int8 activations as shaders/q8.glsl lays them out, in slots Y and Y_GROUPS, against values known
 * within `error`; NULL = exactly, so the scales must be exact too. */
void rr_cg_compare_q8(
    rr_cg *cg, const float *expected, const double *error, uint32_t n_rows, uint32_t cols);

/* A random weight matrix in slot W, as planes; `blocks` (optional use) is freed by the caller. */
rr_status rr_cg_matrix(
    rr_cg *cg, rr_qtype type, uint32_t rows, uint32_t cols, rr_planes *planes, rr_diag *diag);
rr_ref_matrix rr_cg_ref_matrix(const rr_cg *cg, const rr_planes *planes);
/* One in the layout of software devices; the parts' blocks are made here. */
rr_status rr_cg_lanes_matrix(rr_cg *cg, const rr_lanes_part *parts, uint32_t n_parts, uint32_t cols,
    rr_lanes *lanes, rr_diag *diag);

/* All cases of the ops with cg->variant. */
rr_status rr_cg_check_embed(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_rmsnorm(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_swiglu(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_argmax(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_roof(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_matmul(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_rope(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_attention(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_attention_mass(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_token_mass(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_rmsnorm_q8(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_matmul_q8(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_lanes_embed(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_matmul_grad(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_outer_grad(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_rmsnorm_grad(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_swiglu_grad(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_rope_grad(rr_cg *cg, rr_diag *diag);
/* attention_lse, attention_grad_q, attention_grad_kv */
rr_status rr_cg_check_attention_grad(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_cross_entropy(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_adamw(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_layer(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_check_lanes(rr_cg *cg, rr_diag *diag); /* the products: qkv, out, gate_up, head */

/* Times the op with cg->variant on real shapes; `big`: those of 7B models too. */
rr_status rr_cg_bench(rr_cg *cg, rr_diag *diag);
rr_status rr_cg_bench_lanes(rr_cg *cg, bool big, rr_diag *diag); /* what rr_cg_check_lanes checks */
rr_status rr_cg_bench_grad(rr_cg *cg, bool big, rr_diag *diag);  /* the backward pass */
/* The KV cache of one session, of zeros; and, after an upload, `n` rows of that session at positions
 * from `first` on, with tokens below n_vocab (without a cache: at no address). Sends all again. */
rr_status rr_cg_bench_cache(
    rr_cg *cg, uint32_t n_kv_heads, uint32_t head_size, uint32_t n_context, rr_diag *diag);
rr_status rr_cg_bench_rows(rr_cg *cg, uint32_t n, uint32_t first, uint32_t n_vocab, rr_diag *diag);
/* Times what is uploaded and writes a line; bytes and flops as the op must at least move and do. */
rr_status rr_cg_report(
    rr_cg *cg, const rr_kern_key *key, const void *push, double bytes, double flops, rr_diag *diag);

static const double RR_CG_U = 1.0 / (1 << 24); /* half a unit in the last place of a float */

#endif
