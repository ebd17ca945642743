/* What a reader provides; for the files of this folder only. */
#ifndef RR_MODEL_SOURCE_INTERNAL_H
#define RR_MODEL_SOURCE_INTERNAL_H

#include "runtime/model/source.h"

/* The functions of source.h; all are there. */
typedef struct rr_source_reader {
    void (*close)(rr_source *source);
    rr_text (*name)(const rr_source *source);
    rr_text (*about)(const rr_source *source);
    rr_status (*config)(const rr_source *source, rr_model_config *out, rr_diag *diag);
    rr_status (*weight)(rr_source *source, rr_role role, uint32_t layer, uint32_t rows,
        uint32_t cols, rr_weight *out, rr_diag *diag);
    rr_status (*finish)(const rr_source *source, rr_diag *diag);
    rr_status (*tokens)(const rr_source *source, rr_token_list *out, rr_diag *diag);
    rr_status (*keys)(const rr_source *source, rr_gguf_writer *writer, rr_diag *diag);
    void (*drop_pages)(const rr_source *source);
    bool (*file_at)(const rr_source *source, size_t index, rr_source_file *out);
    bool (*tensor_at)(const rr_source *source, size_t index, const uint8_t **data, uint64_t *bytes);
} rr_source_reader;

/* The first member of a reader's own structure. */
struct rr_source {
    const rr_source_reader *reader;
    const char *path, *stem;
};

/* Makes room for n tokens and n_merges merges, all zero. Errors: RR_E_MEMORY. */
rr_status rr_token_list_allocate(rr_token_list *list, uint32_t n, uint32_t n_merges, rr_diag *diag);

#endif
