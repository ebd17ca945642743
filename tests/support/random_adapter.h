/* Adapters of random values that fit a model. */
#ifndef RR_TESTS_RANDOM_ADAPTER_H
#define RR_TESTS_RANDOM_ADAPTER_H

#include "runtime/model/model.h"

/* Zero means the default, given behind each field. */
typedef struct rr_random_adapter {
    uint32_t rank;   /* 16 */
    uint32_t roles;  /* bits of rr_role; all seven matrices */
    uint32_t layers; /* bits; all. Layers from 32 on have bit 31 */
    /* B A x is about this many times the size of W x; 0.5 */
    double strength;
    uint64_t seed;
} rr_random_adapter;

/* A folder, or a file when the path ends in ".gguf". Errors: RR_E_IO, RR_E_MEMORY. */
rr_status rr_random_adapter_write(const rr_random_adapter *params, const rr_model_config *config,
    const char *path, rr_diag *diag);

#endif
