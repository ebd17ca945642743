/* Models of random weights in the exact shapes of Qwen2.5, for measuring where no model can be
 * fetched. Owns: the shapes, which tensor is stored in which type, the made-up vocabulary.
 * tools/synth.c writes the file. Source of the shapes: the configurations published with
 * Qwen2.5-0.5B to -14B; of the types: llama.cpp's quantizer (src/llama-quant.cpp,
 * llama_tensor_get_type_impl and tensor_type_fallback, without an importance matrix). */
#ifndef RR_TOOLS_SYNTHETIC_H
#define RR_TOOLS_SYNTHETIC_H

#include "quant/quant.h"
#include "runtime/model/gguf_writer.h"

typedef struct rr_synthetic_shape {
    const char *name; /* "0.5b" */
    uint32_t n_layers, d_model, n_heads, n_kv_heads, head_size, d_ffn, n_context;
    uint32_t n_vocab;  /* rows of the embedding; the vocabulary is padded to as many tokens */
    uint32_t n_normal; /* tokens that are not special: 256 bytes and what the merges make */
    bool tied;         /* no output.weight */
} rr_synthetic_shape;

/* NULL past the end; the last one is "tiny", which no Qwen2.5 has: for tests. */
const rr_synthetic_shape *rr_synthetic_shape_at(size_t index);

/* A file type of llama.cpp's quantizer. */
typedef struct rr_synthetic_type {
    const char *name;   /* "q4_k_m" */
    rr_qtype type;      /* of most matrices */
    char mix;           /* 'S', 'M': some matrices get more bits; 0 = none of a layer's */
    uint32_t file_type; /* general.file_type */
} rr_synthetic_type;

const rr_synthetic_type *rr_synthetic_type_at(size_t index); /* NULL past the end */

typedef struct rr_synthetic_tensor {
    char name[64];
    rr_qtype type;
    uint32_t rows, cols; /* rows = 1: a vector */
    double deviation;    /* of its values … */
    float mean;          /* … around this; not 0 only in norms, which are F32 */
} rr_synthetic_tensor;

/* Tensor `index` of the file; false past the end. Deviations keep the activations of a residual
 * stream of any depth finite and the logits of a size that a model's have. Pure. */
bool rr_synthetic_tensor_at(const rr_synthetic_shape *shape, const rr_synthetic_type *type,
    size_t index, rr_synthetic_tensor *out);

/* The keys of the model and of its vocabulary: 256 bytes; tokens of two to four letters, some with
 * a leading space, that merges make of each other; Qwen2.5's special tokens; padding. Failure shows
 * in writer->keys.failed and in the result (RR_E_MEMORY). */
rr_status rr_synthetic_keys(const rr_synthetic_shape *shape, const rr_synthetic_type *type,
    rr_gguf_writer *writer, rr_diag *diag);

#endif
