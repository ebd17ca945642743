/* A LoRA adapter: pairs of thin matrices that are added to linear layers of a model,
 *
 *   W' = W + scale · B A        A [rank][cols of W], B [rows of W][rank]
 *
 * as peft writes them (a folder with adapter_config.json and adapter_model.safetensors) or as
 * llama.cpp's converter does (a GGUF file). Both kinds are read and written. Owns: the files and
 * the list of pairs. Which base an adapter belongs to is known by shapes and by what its files say,
 * no more.
 * What is not computed (DoRA, trained biases, whole modules, embeddings, other kinds of adapters)
 * is refused by name. Both kinds of files are hostile until they are checked. */
#ifndef RR_MODEL_ADAPTER_H
#define RR_MODEL_ADAPTER_H

#include "runtime/base/memory.h"
#include "runtime/model/weight.h"

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
    const char *base;          /* the model that it says it was trained on; "" = it does not say */
    uint64_t base_fingerprint; /* rr_model_fingerprint of that model; 0 = it does not say */
    struct rr_adapter_files *files;
} rr_adapter;

/* Errors: RR_E_IO, RR_E_INPUT, RR_E_UNSUPPORTED, RR_E_MEMORY; the message names the file and the
 * module or field. */
rr_status rr_adapter_open(const char *path, rr_adapter **out, rr_diag *diag);
void rr_adapter_close(rr_adapter **adapter);

/* Writes an adapter: a path that ends in ".gguf" becomes a file of llama.cpp, any other a folder of
 * peft, which may exist; its other files stay. Of `adapter` only pairs (by layer, then role; neither
 * path nor files nor module need be set), base and base_fingerprint are read. Values keep their
 * type, but those of Q8_0 become F32 in a folder. A GGUF file has one alpha: where pairs need
 * several, the factor goes into their B, which becomes F32. Files appear whole or not at all; of a
 * folder that is replaced by one with other settings no configuration is left when the process dies
 * between its two files. Errors: RR_E_IO, RR_E_UNSUPPORTED (a scale that the file cannot hold),
 * RR_E_MEMORY. */
rr_status rr_adapter_write(const rr_adapter *adapter, const char *path, rr_diag *diag);

uint64_t rr_adapter_n_parameters(const rr_adapter *adapter);

/* Rows [row, row + n) of W + scale · B A, [n][cols], summed in double and rounded once. `weight` is
 * the W that the pair belongs to. Errors: RR_E_MEMORY. Cost: n · rank · cols. */
rr_status rr_adapter_merge(const rr_adapter_pair *pair, const rr_weight *weight, uint32_t row,
    uint32_t n, float *out, rr_diag *diag);

#endif
