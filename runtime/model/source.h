/* What a model is read from: one interface over every kind of file that holds one.
 * A source is a set of opened and checked files of which nothing was asked yet. model.h asks it for
 * the configuration and for each weight by its role, tokenizer.h for tokens and merges; how these
 * are named and stored is known to the source's reader alone (gguf_source.h). Owns: the files'
 * mappings; everything that is asked for points into them. Thread safe once it is open, but for
 * rr_source_weight and rr_source_finish. */
#ifndef RR_MODEL_SOURCE_H
#define RR_MODEL_SOURCE_H

#include "runtime/base/memory.h"
#include "runtime/model/config.h"
#include "runtime/model/gguf_writer.h"
#include "runtime/model/weight.h"

typedef struct rr_source rr_source;

/* Opens what `path` names: a GGUF file, any part of a split one, or a Hugging Face folder. Errors: RR_E_IO, RR_E_INPUT,
 * RR_E_UNSUPPORTED, RR_E_MEMORY; the message names the file and what of it. */
rr_status rr_source_open(const char *path, rr_source **out, rr_diag *diag);
void rr_source_close(rr_source **source);

const char *rr_source_path(const rr_source *source); /* as it was given */
/* Begins the names of files that are kept of the model: "<stem>.<what>". */
const char *rr_source_stem(const rr_source *source);
/* What the model calls itself; empty when it does not say. */
rr_text rr_source_name(const rr_source *source);

/* How its weights are stored, in a few words for people, where there is more to say than their
 * types; else empty. */
rr_text rr_source_about(const rr_source *source);

/* Errors: RR_E_INPUT, RR_E_UNSUPPORTED for what is no Qwen2 model or one that is computed in
 * another way (the message says what was found and what is supported). */
rr_status rr_source_config(const rr_source *source, rr_model_config *out, rr_diag *diag);
/* The weight of a role, which must have these rows and columns. Errors: RR_E_INPUT (absent, another
 * shape), RR_E_UNSUPPORTED (another type). */
rr_status rr_source_weight(rr_source *source, rr_role role, uint32_t layer, uint32_t rows,
    uint32_t cols, rr_weight *out, rr_diag *diag);
/* After the last weight. RR_E_UNSUPPORTED when there is a tensor that no weight consists of: it
 * belongs to a model that computes something else. */
rr_status rr_source_finish(const rr_source *source, rr_diag *diag);

typedef enum rr_token_kind {
    RR_TOKEN_NORMAL,  /* stands for bytes, made by merges */
    RR_TOKEN_CONTROL, /* <|im_start|> … */
    RR_TOKEN_USER,    /* added by a fine-tune: matched whole, but content */
    RR_TOKEN_UNUSED   /* padding of the table */
} rr_token_kind;

enum { RR_SOURCE_MAX_STOPS = 16 };

/* The vocabulary as a source has it. Texts of normal tokens are written in the byte alphabet
 * (rr_vocabulary_decode), those of others as they are. */
typedef struct rr_token_list {
    rr_text *texts; /* [n] */
    uint8_t *kinds; /* [n], rr_token_kind */
    uint32_t n;
    /* [n_merges], in the order of their ranks: "left right" */
    rr_text *merges;
    uint32_t n_merges;
    /* tokens that end an answer besides <|im_end|> and <|endoftext|> */
    int32_t stops[RR_SOURCE_MAX_STOPS];
    uint32_t n_stops;
    const char *label;        /* the file, for messages */
    const char *tokens_label; /* where in it the tokens stand */
    const char *merges_label;
    rr_arena arena; /* of the arrays */
} rr_token_list;

/* Errors: RR_E_INPUT (missing or inconsistent tables), RR_E_UNSUPPORTED (another tokenizer than
 * Qwen2's), RR_E_MEMORY; the list can then be destroyed. */
rr_status rr_source_tokens(const rr_source *source, rr_token_list *out, rr_diag *diag);
void rr_token_list_destroy(rr_token_list *list); /* accepts a zeroed one */
/* <|im_start|>, <|im_end|>, <|endoftext|>: exporters leave out their type (unslothai/unsloth#5070).
 * As content they would end no answer, so readers make them control tokens, with a warning. */
bool rr_token_is_chat(rr_text text);

/* What a GGUF file of this model has as keys besides those that tell how tensors are stored: sizes,
 * names, tokenizer, chat template. Errors: those of rr_source_config and rr_source_tokens,
 * RR_E_UNSUPPORTED (what such a file cannot say), RR_E_MEMORY. */
rr_status rr_source_keys(const rr_source *source, rr_gguf_writer *writer, rr_diag *diag);

/* One of the files, and what stands in it before the weights (0 bytes in files without weights). */
typedef struct rr_source_file {
    const char *path;
    uint64_t bytes;
    int64_t modified_ns; /* when it was last changed; 0 for memory */
    const void *head;
    uint64_t head_bytes;
} rr_source_file;
/* Those with weights, then the others. False behind the last one. */
bool rr_source_file_at(const rr_source *source, size_t index, rr_source_file *out);

/* Gives back the memory in which the files' bytes lie; what is read again comes from the files
 * again. For those who read a model once from beginning to end. Thread safe. */
void rr_source_drop_pages(const rr_source *source);

/* The bytes of one tensor of the files, in the order of the files; false behind the last one. */
bool rr_source_tensor_at(
    const rr_source *source, size_t index, const uint8_t **data, uint64_t *bytes);

#endif
