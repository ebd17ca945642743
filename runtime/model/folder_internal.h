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

enum { RR_FOLDER_OTHERS = 9 };

typedef struct rr_folder {
    rr_source base;
    rr_arena arena;
    char **names; /* of the entries of the folder, sorted */
    size_t n_names;
    rr_json config;
    rr_model_config parsed; /* by config.json */
    rr_json index;          /* absent where there is one file of weights */
    rr_safetensors **shards;
    bool **claimed; /* [n_shards][tensors]: those that a weight was made of */
    size_t n_shards;
    rr_source_file others[RR_FOLDER_OTHERS]; /* files without weights */
    size_t n_others;
} rr_folder;

bool rr_folder_has(const rr_folder *folder, const char *name);
/* folder_tokens.c */
rr_status rr_folder_tokens(const rr_source *source, rr_token_list *out, rr_diag *diag);

/* folder_shards.c: opens and checks the files of weights. Errors: RR_E_IO, RR_E_INPUT,
 * RR_E_MEMORY. */
rr_status rr_folder_open_shards(rr_folder *folder, rr_diag *diag);
/* The tensor of a name, NULL when absent; which shard it is in goes to `shard`, which may be
 * NULL. */
const rr_st_tensor *rr_folder_find(const rr_folder *folder, const char *name, size_t *shard);
/* What messages about absent tensors name: the index, or the one file. */
const char *rr_folder_weights_label(const rr_folder *folder);

#endif
