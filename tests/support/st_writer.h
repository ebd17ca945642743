/* Writes small safetensors files, right ones and those that a test wants wrong. */
#ifndef RR_TESTS_ST_WRITER_H
#define RR_TESTS_ST_WRITER_H

#include "runtime/base/memory.h"

/* Zero-initialise. */
typedef struct rr_st_writer {
    rr_buf header, data;
} rr_st_writer;

/* `shape` as it stands in the header: "[4, 32]". Copies the data. */
void rr_sw_tensor(rr_st_writer *writer, const char *name, const char *dtype, const char *shape,
    const void *data, size_t bytes);
/* Appends the file to `out` and empties the writer. RR_E_MEMORY when anything before failed. */
rr_status rr_sw_finish(rr_st_writer *writer, rr_buf *out);

#endif
