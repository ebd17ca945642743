/* GGUF v2/v3 over a mapped file.
 * Owns: the mapping, the key table and the tensor table. Borrowed by everything that reads weights.
 * The file is hostile until checked: every count is bounded by the bytes left, every offset
 * verified before use. */
#ifndef RR_MODEL_GGUF_H
#define RR_MODEL_GGUF_H

#include "runtime/base/file.h"
#include "runtime/base/text.h"

typedef enum rr_gguf_type {
    RR_GGUF_U8,
    RR_GGUF_I8,
    RR_GGUF_U16,
    RR_GGUF_I16,
    RR_GGUF_U32,
    RR_GGUF_I32,
    RR_GGUF_F32,
    RR_GGUF_BOOL,
    RR_GGUF_STRING,
    RR_GGUF_ARRAY,
    RR_GGUF_U64,
    RR_GGUF_I64,
    RR_GGUF_F64,
    RR_GGUF_TYPE_COUNT
} rr_gguf_type;

typedef struct rr_gguf_value {
    rr_text key;
    rr_gguf_type type;
    rr_gguf_type item_type; /* of an array (arrays of arrays are refused) */
    uint64_t n_items;       /* of an array, else 1 */
    /* little endian, unaligned: scalar, first item, or first length-prefixed string */
    const uint8_t *data;
    uint64_t data_bytes;
} rr_gguf_value;

typedef struct rr_gguf_tensor {
    rr_text name;
    uint32_t n_dims;
    uint64_t dims[4]; /* dims[0] = columns (fastest), unused = 1 */
    uint32_t type;    /* rr_qtype number, verified to be supported only when used */
    const uint8_t *data;
    uint64_t bytes; /* 0 when the type is unknown */
} rr_gguf_tensor;

typedef struct rr_gguf rr_gguf;

/* Maps and checks `path`. Errors: RR_E_IO, RR_E_INPUT (names file, byte offset, what was found and
 * expected), RR_E_MEMORY. `*out` is owned by the caller. */
rr_status rr_gguf_open(const char *path, rr_gguf **out, rr_diag *diag);
/* The same over memory that the caller keeps alive (fuzzers, tests). `label` names it in
 * messages. */
rr_status rr_gguf_parse(
    const void *data, uint64_t bytes, const char *label, rr_gguf **out, rr_diag *diag);
void rr_gguf_close(rr_gguf **gguf);
void rr_gguf_drop_pages(const rr_gguf *gguf); /* rr_file_drop_pages */

const char *rr_gguf_path(const rr_gguf *gguf);
uint64_t rr_gguf_file_bytes(const rr_gguf *gguf);
int64_t rr_gguf_modified_ns(const rr_gguf *gguf); /* when the file was last changed; 0 for memory */
/* The file's bytes from its start to the end of the tensor table. */
const void *rr_gguf_head(const rr_gguf *gguf, uint64_t *bytes);
size_t rr_gguf_n_values(const rr_gguf *gguf);
const rr_gguf_value *rr_gguf_value_at(const rr_gguf *gguf, size_t index);
const rr_gguf_value *rr_gguf_find(const rr_gguf *gguf, const char *key); /* NULL when absent */
size_t rr_gguf_n_tensors(const rr_gguf *gguf);
const rr_gguf_tensor *rr_gguf_tensor_at(const rr_gguf *gguf, size_t index);
/* NULL when absent */
const rr_gguf_tensor *rr_gguf_tensor_find(const rr_gguf *gguf, const char *name);

/* Typed reads. Any integer type satisfies an integer read when the value fits; F32/F64 a float
 * read. Errors: RR_E_INPUT when absent or of another type (the message names the key and both
 * types). */
rr_status rr_gguf_u64(const rr_gguf *gguf, const char *key, uint64_t *out, rr_diag *diag);
rr_status rr_gguf_f64(const rr_gguf *gguf, const char *key, double *out, rr_diag *diag);
rr_status rr_gguf_bool(const rr_gguf *gguf, const char *key, bool *out, rr_diag *diag);
rr_status rr_gguf_string(const rr_gguf *gguf, const char *key, rr_text *out, rr_diag *diag);

/* Walks an array of strings: start with cursor = 0; false at the end. Bounds were verified at
 * open. */
bool rr_gguf_next_string(const rr_gguf_value *array, uint64_t *cursor, rr_text *out);

#endif
