/* safetensors over a mapped file: named tensors, as Hugging Face folders hold them.
 * Layout: the length of the header (u64, little endian), the header (JSON: name → dtype, shape,
 * data_offsets), the data. Owns: the mapping and the table of tensors. The file is hostile until it
 * is checked: every length is bounded, every offset verified against shape and file, and the
 * tensors must fill the data without overlap or gap. What the tensors mean is not known here.
 * Source: https://github.com/huggingface/safetensors, its README and validation. */
#ifndef RR_MODEL_SAFETENSORS_H
#define RR_MODEL_SAFETENSORS_H

#include "runtime/base/file.h"
#include "runtime/base/text.h"

typedef enum rr_st_type {
    RR_ST_F32,
    RR_ST_F16,
    RR_ST_BF16,
    RR_ST_I32,
    RR_ST_I64,
    RR_ST_OTHER /* of the format, but of no use to a model that this program reads */
} rr_st_type;

enum { RR_ST_MAX_DIMS = 8 };

typedef struct rr_st_tensor {
    rr_text name;
    rr_st_type type;
    const char *type_name;         /* "F32", also of others */
    uint32_t n_dims;               /* 0 = a scalar */
    uint64_t dims[RR_ST_MAX_DIMS]; /* the last one is the fastest; unused = 1 */
    const uint8_t *data;           /* at any address: the format does not promise alignment */
    uint64_t bytes;
} rr_st_tensor;

typedef struct rr_safetensors rr_safetensors;

/* Maps and checks `path`. Errors: RR_E_IO, RR_E_INPUT (names file, tensor, what was found and
 * expected), RR_E_MEMORY. */
rr_status rr_safetensors_open(const char *path, rr_safetensors **out, rr_diag *diag);
/* The same over memory that the caller keeps alive; `label` names it in messages. */
rr_status rr_safetensors_parse(
    const void *data, uint64_t bytes, const char *label, rr_safetensors **out, rr_diag *diag);
void rr_safetensors_close(rr_safetensors **file);
void rr_safetensors_drop_pages(const rr_safetensors *file); /* rr_file_drop_pages */

const char *rr_safetensors_path(const rr_safetensors *file);
uint64_t rr_safetensors_bytes(const rr_safetensors *file);
int64_t rr_safetensors_modified_ns(const rr_safetensors *file); /* 0 for memory */
/* The bytes up to the data. */
const void *rr_safetensors_head(const rr_safetensors *file, uint64_t *bytes);
/* The text of a key of __metadata__; false when it is not there. Twice there: the first. */
bool rr_safetensors_metadata(const rr_safetensors *file, const char *key, rr_text *out);
size_t rr_safetensors_n(const rr_safetensors *file);
/* In the order of their data; NULL behind the last one. */
const rr_st_tensor *rr_safetensors_at(const rr_safetensors *file, size_t index);
/* NULL when absent. */
const rr_st_tensor *rr_safetensors_find(const rr_safetensors *file, rr_text name);

/* "[128, 64]", "[]", for messages. */
typedef struct rr_st_shape {
    char text[160];
} rr_st_shape;
rr_st_shape rr_st_shape_of(const rr_st_tensor *tensor);

#endif
