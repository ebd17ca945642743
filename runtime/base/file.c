/* Whole files in memory. */
#include "runtime/base/file.h"

#include <stdlib.h>

rr_status rr_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag) {
    enum { CHUNK_BYTES = 1 << 16 };
    rr_stream_in stream = {0};
    char *chunk = malloc(CHUNK_BYTES);
    rr_status status = chunk != NULL ? rr_stream_in_open(path, &stream, diag)
                                     : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    uint64_t total = 0;
    size_t n = 1;
    while (status == RR_OK && n > 0) {
        status = rr_stream_in_read(&stream, path, chunk, CHUNK_BYTES, &n, diag);
        if (status != RR_OK) {
            break;
        }
        total += n;
        if (total > max_bytes) {
            status = rr_fail(diag, RR_E_INPUT, "%s: longer than the %llu bytes that are accepted",
                path, (unsigned long long)max_bytes);
            break;
        }
        rr_buf_append(out, chunk, n);
    }
    if (status == RR_OK && out->failed) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory after %llu bytes", path,
            (unsigned long long)total);
    }
    rr_stream_in_close(&stream);
    free(chunk);
    return status;
}
