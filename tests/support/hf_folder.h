/* Writes a model as a Hugging Face folder: its weights unpacked and rounded to one float type. */
#ifndef RR_TESTS_HF_FOLDER_H
#define RR_TESTS_HF_FOLDER_H

#include "runtime/model/model.h"

typedef struct rr_hf_form {
    rr_qtype type;        /* F32, F16 or BF16, of all weights */
    uint32_t n_shards;    /* 0 or 1 = model.safetensors, else shards with an index */
    bool vocab_json;      /* vocab.json and merges.txt instead of tokenizer.json */
    bool rope_parameters; /* config.json as transformers 5 writes it */
    bool no_vocabulary;
} rr_hf_form;

/* Makes the folder. Errors: RR_E_IO, RR_E_MEMORY, those of rr_source_tokens. */
rr_status rr_hf_write(
    const rr_model *model, const char *folder, const rr_hf_form *form, rr_diag *diag);

#endif
