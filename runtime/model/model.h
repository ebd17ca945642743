/* A Qwen2 model: its configuration and its weights, verified against each other.
 * Owns: the source, the list of its weights, and the adapters that it is used with (adapted.h).
 * Does not own device memory. */
#ifndef RR_MODEL_MODEL_H
#define RR_MODEL_MODEL_H

#include "runtime/model/adapter_set.h"
#include "runtime/model/source.h"

typedef struct rr_model_layer {
    rr_weight attn_norm, q, k, v, q_bias, k_bias, v_bias, o;
    rr_weight ffn_norm, gate, up, down;
} rr_model_layer;

typedef struct rr_model {
    rr_source *source;
    rr_model_config config;
    rr_weight embedding; /* [n_vocab][d_model] */
    rr_weight output_norm;
    rr_weight output;         /* [n_vocab][d_model]; equals `embedding` when tied */
    rr_model_layer *layers;   /* [n_layers] */
    rr_adapter_set *adapters; /* NULL = none */
    char name[128];           /* what the model calls itself, or its file's name */
} rr_model;

/* Opens a model (rr_source_open) and verifies that all weights of a Qwen2 model exist with the
 * implied shapes and supported types. Errors: those of rr_source_open, rr_source_config,
 * rr_source_weight and rr_source_finish. Does not read the weights. */
rr_status rr_model_open(const char *path, rr_model **out, rr_diag *diag);
/* Takes `source` (closes it on failure too). */
rr_status rr_model_from_source(rr_source **source, rr_model **out, rr_diag *diag);
void rr_model_close(rr_model **model);

/* The shape of a role's weight; vectors have one row. Pure. */
void rr_model_shape(const rr_model_config *config, rr_role role, uint32_t *rows, uint32_t *cols);

/* The weight of a role; layer: of a role that a layer has. Of a tied model the output is the
 * embedding. Pure. */
const rr_weight *rr_model_weight(const rr_model *model, rr_role role, uint32_t layer);

/* Has the matrices that the files hold as floats rounded to `type` where they are read, embedding
 * and output to Q8_0: they suffer most, and are few. Matrices that are quantized, norms and biases
 * stay as they are, and so does one whose columns are no multiple of the type's blocks. */
void rr_model_quantize(rr_model *model, rr_qtype type);

/* Bytes of all tensors of its files, weights in all. */
uint64_t rr_model_weight_bytes(const rr_model *model);
uint64_t rr_model_n_parameters(const rr_model *model);

/* Tells models apart whatever they were quantized to: a digest of the configuration and of all
 * norms and biases, which quantized files keep in full, and of the adapters. A model that was tuned
 * without changing these has its origin's fingerprint. Cost: reads some 100 KB a billion weights. */
uint64_t rr_model_fingerprint(const rr_model *model);

#endif
