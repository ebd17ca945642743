/* The reader of Hugging Face folders, for its own files only. */
#ifndef RR_MODEL_FOLDER_INTERNAL_H
#define RR_MODEL_FOLDER_INTERNAL_H

#include "runtime/model/json.h"
#include "runtime/model/safetensors.h"
#include "runtime/model/source_internal.h"

/* folder_config.c: config.json. `out` lacks n_vocab's check against the tensors and `tied`, which
 * is here what the file says. Errors: RR_E_INPUT, RR_E_UNSUPPORTED, which name the file and its
 * field. */
rr_status rr_folder_config(rr_json_object config, rr_model_config *out, rr_diag *diag);

/* How the linear layers of a folder are quantized. */
typedef enum rr_folder_method { RR_FOLDER_FLOATS, RR_FOLDER_GPTQ, RR_FOLDER_AWQ } rr_folder_method;

typedef struct rr_folder_quant {
    rr_folder_method method;
    const char *place; /* where the settings stand, for messages */
    uint32_t bits;
    uint32_t group; /* inputs; 0 = all of a layer */
    bool symmetric, act_order;
    bool zeros_as_stored; /* by its label; else the stored ones are less by one */
    bool zeros_by_word;   /* its writer subtracted from whole words */
    bool layers_differ;   /* some have settings of their own: shapes decide */
} rr_folder_quant;

enum { RR_FOLDER_OTHERS = 9 };

typedef struct rr_folder {
    rr_source base;
    rr_arena arena;
    char **names; /* of the entries of the folder, sorted */
    size_t n_names;
    rr_json config;
    rr_model_config parsed; /* by config.json */
    rr_folder_quant quant;
    bool told_zeros, told_wrapped; /* what is said once for all layers */
    char about[96];                /* the quantization in words; empty = none */
    rr_json index;                 /* absent where there is one file of weights */
    rr_safetensors **shards;
    bool **claimed; /* [n_shards][tensors]: those that a weight was made of */
    size_t n_shards;
    rr_source_file others[RR_FOLDER_OTHERS]; /* files without weights */
    size_t n_others;
} rr_folder;

bool rr_folder_has(const rr_folder *folder, const char *name);
/* folder_tokens.c */
rr_status rr_folder_tokens(const rr_source *source, rr_token_list *out, rr_diag *diag);
/* Appends the text of the chat template; nothing without one. Errors: RR_E_IO, RR_E_INPUT,
 * RR_E_MEMORY. */
rr_status rr_folder_template(const rr_folder *folder, rr_buf *out, rr_diag *diag);
/* folder_keys.c */
rr_status rr_folder_keys(const rr_source *source, rr_gguf_writer *writer, rr_diag *diag);

/* folder_quant_config.c: `quantization_config` of config.json, or the file of its own that older
 * writers use. Errors: RR_E_INPUT, RR_E_UNSUPPORTED, which name the method. */
rr_status rr_folder_read_quant(rr_folder *folder, rr_diag *diag);
/* folder_quant.c: the weight of the layer `module` ("model.layers.0.self_attn.q_proj") from its
 * codes, scales and zeros; *found is false when it has none. */
rr_status rr_folder_quantized(rr_folder *folder, const char *module, uint32_t rows, uint32_t cols,
    rr_weight *out, bool *found, rr_diag *diag);
void rr_folder_claim(rr_folder *folder, size_t shard, const rr_st_tensor *tensor);

/* folder_shards.c: opens and checks the files of weights. Errors: RR_E_IO, RR_E_INPUT,
 * RR_E_MEMORY. */
rr_status rr_folder_open_shards(rr_folder *folder, rr_diag *diag);
/* The tensor of a name, NULL when absent; which shard it is in goes to `shard`, which may be
 * NULL. */
const rr_st_tensor *rr_folder_find(const rr_folder *folder, const char *name, size_t *shard);
/* What messages about absent tensors name: the index, or the one file. */
const char *rr_folder_weights_label(const rr_folder *folder);

#endif
