/* Copies of a GGUF file with one thing changed, for tests that ask what a reader says to it. */
#ifndef RR_TESTS_GGUF_EDIT_H
#define RR_TESTS_GGUF_EDIT_H

#include "runtime/base/memory.h"

/* Zero-initialise; NULL = leave alone. */
typedef struct rr_gguf_edit {
    const char *drop_key;
    const char *set_key;  /* replaced or added */
    uint32_t set_type;    /* GGUF type number */
    const void *set_body; /* what stands behind the type in the file */
    size_t set_bytes;
    const char *drop_tensor;
    const char *add_tensor; /* F32, 32 weights of zero */
    const char *edit_tensor;
    const char *new_name;
    uint32_t new_n_dims; /* 0 = leave dimensions alone */
    uint64_t new_dims[4];
    bool change_type;
    uint32_t new_type;
} rr_gguf_edit;

/* Appends the changed copy of `file` to `out`. Errors: what rr_gguf_parse says, RR_E_MEMORY. */
rr_status rr_gguf_edited(const rr_buf *file, const rr_gguf_edit *edit, rr_buf *out, rr_diag *diag);

#endif
