/* A LoRA adapter: pairs of thin matrices that are added to linear layers of a model,
 *
 *   W' = W + scale · B A        A [rank][cols of W], B [rows of W][rank]
 *
 * as peft writes them (a folder with adapter_config.json and adapter_model.safetensors) or as
 * llama.cpp's converter does (a GGUF file). Owns: the files and the list of pairs. Which base an
 * adapter belongs to is known by shapes and by what its files say, no more.
 * What is not computed (DoRA, trained biases, whole modules, embeddings, other kinds of adapters)
 * is refused by name. Both kinds of files are hostile until they are checked. */
#ifndef RR_MODEL_ADAPTER_H
#define RR_MODEL_ADAPTER_H

#include "runtime/model/model.h"

typedef struct rr_adapter_pair {
    rr_role role; /* of the layer's weight: RR_ROLE_Q … RR_ROLE_DOWN */
    uint32_t layer, rank;
    rr_weight a, b;
    double scale;
    char module[64]; /* "model.layers.0.self_attn.q_proj", for messages */
} rr_adapter_pair;

typedef struct rr_adapter {
    rr_adapter_pair *pairs; /* by layer, then role */
    size_t n_pairs;
    const char *path;
    const char *base; /* the model that it says it was trained on; "" = it does not say */
    struct rr_adapter_files *files;
} rr_adapter;

/* Errors: RR_E_IO, RR_E_INPUT, RR_E_UNSUPPORTED, RR_E_MEMORY; the message names the file and the
 * module or field. */
rr_status rr_adapter_open(const char *path, rr_adapter **out, rr_diag *diag);
void rr_adapter_close(rr_adapter **adapter);

/* Whether every pair fits a layer of the model. Errors: RR_E_INPUT, with both shapes and what the
 * adapter says of its base. */
rr_status rr_adapter_check(const rr_adapter *adapter, const rr_model *model, rr_diag *diag);

uint64_t rr_adapter_n_parameters(const rr_adapter *adapter);

/* Rows [row, row + n) of W + scale · B A, [n][cols], summed in double and rounded once. `weight` is
 * the W that the pair belongs to. Errors: RR_E_MEMORY. Cost: n · rank · cols. */
rr_status rr_adapter_merge(const rr_adapter_pair *pair, const rr_weight *weight, uint32_t row,
    uint32_t n, float *out, rr_diag *diag);

#endif
