/* How GGUF files name what a Qwen2 model consists of: keys and tensors, as llama.cpp does. For the
 * files of this folder. Owns: the names, and the keys of a model that is written. */
#ifndef RR_MODEL_GGUF_NAMES_H
#define RR_MODEL_GGUF_NAMES_H

#include "runtime/model/gguf_writer.h"
#include "runtime/model/source.h"

extern const char *const rr_gguf_size_keys[RR_CONFIG_SIZE_COUNT];
#define KEY_NAME "general.name"
#define KEY_ARCHITECTURE "general.architecture"
#define KEY_CAUSAL "qwen2.attention.causal"
#define KEY_HEAD_SIZE "qwen2.attention.key_length"
#define KEY_VALUE_SIZE "qwen2.attention.value_length"
#define KEY_EPSILON "qwen2.attention.layer_norm_rms_epsilon"
#define KEY_THETA "qwen2.rope.freq_base"
#define KEY_ROTATED "qwen2.rope.dimension_count"
#define KEY_SCALING "qwen2.rope.scaling.type"
#define KEY_SCALING_FACTOR "qwen2.rope.scaling.factor"
#define KEY_OLD_FACTOR "qwen2.rope.scale_linear" /* the name that old files use */
#define KEY_TOKENIZER "tokenizer.ggml.model"
#define KEY_PRETOKENIZER "tokenizer.ggml.pre"
#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TOKEN_TYPES "tokenizer.ggml.token_type"
#define KEY_MERGES "tokenizer.ggml.merges"

#define KEY_TYPE "general.type"
#define KEY_FILE_TYPE "general.file_type"
#define KEY_QUANTIZATION_VERSION "general.quantization_version"
#define KEY_ALIGNMENT "general.alignment"
#define KEY_CHAT_TEMPLATE "tokenizer.chat_template"

enum { RR_GGUF_NAME_ROOM = 64 };
/* layer: of a role that a layer has. */
void rr_gguf_tensor_name(rr_role role, uint32_t layer, char out[RR_GGUF_NAME_ROOM]);

/* Keys of a configuration and of a vocabulary, for a source that is no GGUF file. The writer keeps
 * whether memory ran out. */
void rr_gguf_put_config(const rr_model_config *config, rr_gguf_writer *writer);
/* Errors: RR_E_MEMORY. */
rr_status rr_gguf_put_tokens(const rr_token_list *list, rr_gguf_writer *writer, rr_diag *diag);

#endif
