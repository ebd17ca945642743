/* Writes GGUF files: right ones by default, wrong ones when a test asks.
 * A file is a head (keys, names and places of the tensors) and the tensors' data. Small files are
 * made whole in memory (rr_gw_tensor, rr_gw_finish); of large ones only the head is (rr_gw_declare,
 * rr_gw_head), their caller sends the data behind it, in the order of the declarations, each piece
 * followed by rr_gw_padding bytes. Owns: the layout of a GGUF file as written. Does not own files
 * on disk. Zero-initialise; version 0 = 3, alignment 0 = 32 without the key general.alignment. */
#ifndef RR_MODEL_GGUF_WRITER_H
#define RR_MODEL_GGUF_WRITER_H

#include "runtime/base/memory.h"
#include "runtime/model/gguf.h"

typedef struct rr_gguf_writer {
    uint32_t version;
    uint32_t alignment;
    uint64_t n_keys, n_tensors;
    uint64_t data_bytes;      /* of all tensors so far, the last one without its padding */
    rr_buf keys, infos, data; /* data: of rr_gw_tensor only */
} rr_gguf_writer;

void rr_gw_u32(rr_gguf_writer *writer, const char *key, uint32_t value);
void rr_gw_u64(rr_gguf_writer *writer, const char *key, uint64_t value);
void rr_gw_f32(rr_gguf_writer *writer, const char *key, float value);
void rr_gw_bool(rr_gguf_writer *writer, const char *key, bool value);
void rr_gw_string(rr_gguf_writer *writer, const char *key, const char *value);
void rr_gw_text(rr_gguf_writer *writer, const char *key, rr_text value);
void rr_gw_strings(rr_gguf_writer *writer, const char *key, const char *const *values, uint64_t n);
void rr_gw_texts(rr_gguf_writer *writer, const char *key, const rr_text *values, uint64_t n);
void rr_gw_i32s(rr_gguf_writer *writer, const char *key, const int32_t *values, uint64_t n);
/* Any value: `type` is the GGUF type number, `body` what stands behind it. */
void rr_gw_raw(
    rr_gguf_writer *writer, const char *key, uint32_t type, const void *body, size_t bytes);
/* A key of another file as it is. */
void rr_gw_copy(rr_gguf_writer *writer, const rr_gguf_value *value);
/* `type` is the GGUF type number of the tensor, dims[0] the fastest dimension. Copies the data. */
void rr_gw_tensor(rr_gguf_writer *writer, const char *name, uint32_t n_dims, const uint64_t *dims,
    uint32_t type, const void *data, size_t bytes);

/* Appends the file to `out` and empties the writer. RR_E_MEMORY when anything before failed. */
rr_status rr_gw_finish(rr_gguf_writer *writer, rr_buf *out);

/* As rr_gw_tensor, but the data comes later and is not kept here. Not to be mixed with
 * rr_gw_tensor. */
void rr_gw_declare(rr_gguf_writer *writer, const char *name, uint32_t n_dims, const uint64_t *dims,
    uint32_t type, uint64_t bytes);
/* Appends everything in front of the first tensor's data and empties the writer. RR_E_MEMORY as
 * rr_gw_finish. */
rr_status rr_gw_head(rr_gguf_writer *writer, rr_buf *out);
/* Bytes of zero between a tensor of `bytes` bytes and the next one, with the default alignment. */
uint64_t rr_gw_padding(uint64_t bytes);

#endif
