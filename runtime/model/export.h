/* A model written as a GGUF file, its matrices in another type.
 * A plan says which tensors the file will have and in which types; writing streams them, a piece of
 * a tensor at a time, rows on all processors. Owns: which tensor gets which type, and the order of
 * the file. Does not own blocks (quant.h) nor keys (source.h). */
#ifndef RR_MODEL_EXPORT_H
#define RR_MODEL_EXPORT_H

#include "runtime/model/model.h"

typedef struct rr_export_params {
    rr_qtype type;      /* of the layers' matrices */
    rr_qtype embedding; /* of a tied model that of the output, too; `output` is then not used */
    rr_qtype output;
    /* For each matrix what its inputs weigh in the search for scales, [cols]; NULL = all the same.
     * May itself be NULL. */
    const float *(*importance)(void *user, rr_role role, uint32_t layer);
    void *importance_user;
    unsigned n_threads; /* 0 = all processors; the bytes do not depend on it */
    /* After each piece, with bytes of the file; false = stop. May be NULL. */
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    void *progress_user;
} rr_export_params;

typedef struct rr_export_tensor {
    rr_role role;
    uint32_t layer;
    const rr_weight *weight; /* the model's */
    rr_qtype type;
    uint64_t bytes;
} rr_export_tensor;

typedef struct rr_export_plan {
    const rr_model *model;
    rr_export_params params;
    rr_export_tensor *tensors; /* [n], in the order of the file */
    size_t n;
    uint64_t bytes, n_weights;               /* of all tensors */
    uint64_t matrix_bytes, n_matrix_weights; /* of the matrices among them */
    size_t n_other;         /* matrices whose rows the type cannot hold: see rr_export_type */
    size_t n_rounded_again; /* matrices that were quantized in another type before */
} rr_export_plan;

/* The type of a matrix of `cols` columns for which `type` was asked: itself where its blocks divide
 * the rows, else, as in llama.cpp, Q5_0 for Q4_K, Q5_1 for Q5_K and Q8_0 for Q6_K. */
rr_qtype rr_export_type(rr_qtype type, uint32_t cols);

/* Norms and biases become F32. The plan borrows the model. Errors: RR_E_MEMORY. */
rr_status rr_export_plan_make(
    const rr_model *model, const rr_export_params *params, rr_export_plan *out, rr_diag *diag);
void rr_export_plan_destroy(rr_export_plan *plan); /* accepts a zeroed one */

/* Writes the file, which appears whole or not at all. A matrix that has its type already is copied.
 * Memory: some 40 MB besides the pages of the model's files that are in use. Errors: those of
 * rr_source_keys and rr_file_out_open; RR_E_IO (also when the disk has no room for it, before
 * anything is written); RR_E_INPUT (a weight that is no finite number, or too large for the type);
 * RR_E_CANCELLED, RR_E_MEMORY. */
rr_status rr_export_write(const rr_export_plan *plan, const char *path, rr_diag *diag);

#endif
