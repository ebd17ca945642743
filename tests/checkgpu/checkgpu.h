/* The kernel checker: every variant of every op that this build contains against runtime/ref, on
 * one device. Owns: the cases and the error bounds. Used by the tests and by `rearank check`.
 *
 * A variant is checked under the smallest cumulative set of capabilities that admits it, and again
 * under the full set where it is the one that rr_pick chooses (matmuls then with real shapes only;
 * with `full` under every set). A variant that the device cannot run for another reason, and that
 * rr_pick does not choose, is named and left out; so is a case whose format or heads a variant is
 * not made for there. Each case fills its outputs with NaN, puts canaries around every buffer, runs
 * twice from the same start, and fails when
 *   - a canary, an input or an output outside the defined part changed,
 *   - the two runs differ in a bit,
 *   - an exact result (embed, arg max, copies) differs from the reference,
 *   - a float result leaves its bound c u sum|a b| (u = 2^-24; c is derived in each check), or the
 *     normalised mean square error of a tensor of 64 results or more leaves its limit,
 *   - a row's bits depend on its company (matmul of both families, attention of both families, all
 *     of lanes_*).
 * Quantized results are held to half a step plus what float arithmetic leaves open at a tie, their
 * code sums are exact. V and rotated K are rounded to f16 by packHalf2x16, whose rounding Vulkan
 * leaves to the driver: both neighbours are accepted, an exactly representable value must come out
 * exactly; how often the farther one came is reported. */
#ifndef RR_TESTS_CHECKGPU_H
#define RR_TESTS_CHECKGPU_H

#include "runtime/vk/vk.h"

typedef struct rr_checkgpu_params {
    const char *op;      /* only this op; NULL = all */
    const char *variant; /* only variants of this name; NULL = all */
    const char *format;  /* of matmul_* only weights of this format, "Q4_0"; NULL = all */
    const char *device;  /* rr_vk_pick's wish */
    const char *caps;    /* rr_caps_lift's mask; NULL = $REARANK_CAPS */
    /* the size of matrices to use; 0 = as the driver lists them (rr_vk_instance_params) */
    rr_coop_shape coop;
    uint64_t seed; /* 0 = 1 */
    /* also the big shapes of 0.5B and 7B models, every shape in every format, every set */
    bool full;
    bool bench;      /* time instead of check */
    bool validation; /* with validation and synchronization validation */
    /* gets the report, a line without its end at a time */
    void (*line)(void *user, const char *text);
    void *user;
} rr_checkgpu_params;

typedef struct rr_checkgpu_result {
    size_t n_cases, n_failed;
    /* cases of what a kernel is not made for on this device, each named in the report */
    size_t n_unsuited;
    size_t n_too_big;          /* cases whose buffers this device does not allow */
    uint64_t n_f16, n_f16_far; /* f16 values written, and of these the farther neighbours */
    /* int8 codes written, and of these so near a tie that either neighbour is right */
    uint64_t n_codes, n_codes_tied;
    uint64_t n_validation_messages;
} rr_checkgpu_result;

/* Errors: RR_E_USAGE (unknown op or variant, bad mask), RR_E_DEVICE, RR_E_MEMORY. A failed case is
 * no error: it is counted and reported. Cost: below a minute on a software device, minutes to an
 * hour with `full`. */
rr_status rr_checkgpu_run(
    const rr_checkgpu_params *params, rr_checkgpu_result *result, rr_diag *diag);

#endif
