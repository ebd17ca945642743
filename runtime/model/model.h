/* The Qwen2 configuration and its tensors, verified against each other.
 * Owns: the model's file and the list of its weights. Does not own device memory. */
#ifndef RR_MODEL_MODEL_H
#define RR_MODEL_MODEL_H

#include "quant/quant.h"
#include "runtime/base/memory.h"
#include "runtime/model/gguf.h"

enum { RR_MODEL_MAX_LAYERS = 128 };

typedef struct rr_model_config {
    uint32_t n_layers;
    uint32_t d_model;
    uint32_t n_heads;    /* query heads */
    uint32_t n_kv_heads; /* n_heads is a multiple, 2 to 8 (also 1) query heads a KV head */
    uint32_t head_size;  /* 64 or 128 (smaller powers of two ≥ 16 are accepted for test models) */
    uint32_t d_ffn;
    uint32_t n_vocab;
    uint32_t n_context; /* tokens the model was trained for */
    float rope_theta;
    float rms_epsilon;
    bool tied; /* the output matrix is the embedding matrix */
} rr_model_config;

/* A weight in the file. Vectors (norms, biases) have rows = 1 and are F32 or F16. */
typedef struct rr_weight {
    rr_text name;
    rr_qtype type;
    uint32_t rows, cols;
    const uint8_t *data;
    uint64_t bytes;
} rr_weight;

typedef struct rr_model_layer {
    rr_weight attn_norm, q, k, v, q_bias, k_bias, v_bias, o;
    rr_weight ffn_norm, gate, up, down;
} rr_model_layer;

typedef struct rr_model {
    rr_gguf *gguf;
    rr_model_config config;
    rr_weight embedding; /* [n_vocab][d_model] */
    rr_weight output_norm;
    rr_weight output;       /* [n_vocab][d_model]; equals `embedding` when tied */
    rr_model_layer *layers; /* [n_layers] */
    char name[128];         /* general.name or the file's name */
} rr_model;

/* Opens a GGUF file and verifies that it is a Qwen2 model whose tensors all exist with the implied
 * shapes and supported types. Errors: as rr_gguf_open; RR_E_UNSUPPORTED for other architectures,
 * RoPE scalings or tensor types (the message says what was found and what is supported). Does not
 * read the weights. */
rr_status rr_model_open(const char *path, rr_model **out, rr_diag *diag);
/* Takes `gguf` (closes it on failure too). */
rr_status rr_model_from_gguf(rr_gguf **gguf, rr_model **out, rr_diag *diag);
void rr_model_close(rr_model **model);

/* Bytes of all weights in the file, parameters in all. */
uint64_t rr_model_weight_bytes(const rr_model *model);
uint64_t rr_model_n_parameters(const rr_model *model);

/* Tells models apart whatever they were quantized to: a digest of the configuration and of all
 * norms and biases, which quantized files keep in full. A model that was tuned without changing
 * these has its origin's fingerprint. Cost: reads some 100 KB a billion weights. */
uint64_t rr_model_fingerprint(const rr_model *model);

#endif
