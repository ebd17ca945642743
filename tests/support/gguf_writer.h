/* Writes GGUF files in memory, for tests: right ones by default, wrong ones when asked.
 * Zero-initialise; version 0 = 3, alignment 0 = 32 without the key general.alignment. */
#ifndef RR_TESTS_GGUF_WRITER_H
#define RR_TESTS_GGUF_WRITER_H

#include "runtime/base/memory.h"

typedef struct rr_gguf_writer {
    uint32_t version;
    uint32_t alignment;
    uint64_t n_keys, n_tensors;
    rr_buf keys, infos, data;
} rr_gguf_writer;

void rr_gw_u32(rr_gguf_writer *writer, const char *key, uint32_t value);
void rr_gw_u64(rr_gguf_writer *writer, const char *key, uint64_t value);
void rr_gw_f32(rr_gguf_writer *writer, const char *key, float value);
void rr_gw_bool(rr_gguf_writer *writer, const char *key, bool value);
void rr_gw_string(rr_gguf_writer *writer, const char *key, const char *value);
void rr_gw_strings(rr_gguf_writer *writer, const char *key, const char *const *values, uint64_t n);
void rr_gw_i32s(rr_gguf_writer *writer, const char *key, const int32_t *values, uint64_t n);
/* Any value: `type` is the GGUF type number, `body` what stands behind it. */
void rr_gw_raw(rr_gguf_writer *writer, const char *key, uint32_t type, const void *body, size_t bytes);
/* `type` is the GGUF type number of the tensor, dims[0] the fastest dimension. Copies the data. */
void rr_gw_tensor(rr_gguf_writer *writer, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type,
                  const void *data, size_t bytes);

/* Appends the file to `out` and empties the writer. RR_E_MEMORY when anything before failed. */
rr_status rr_gw_finish(rr_gguf_writer *writer, rr_buf *out);

#endif
