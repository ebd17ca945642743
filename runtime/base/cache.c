#include "runtime/base/cache.h"

#include "runtime/base/file_out.h"

rr_status rr_cache_path_of(
    const char *folder, const uint8_t uuid[16], const char *ending, rr_buf *out, rr_diag *diag) {
    rr_buf leaf = {0};
    rr_buf_printf(&leaf, "%s/", folder);
    for (int i = 0; i < 16; i++) {
        rr_buf_printf(&leaf, "%02x", uuid[i]);
    }
    rr_buf_text(&leaf, ending);
    rr_status status = leaf.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory")
                                   : rr_cache_path(leaf.data, out, diag);
    rr_buf_destroy(&leaf);
    return status;
}

rr_status rr_cache_write(const char *path, const void *data, size_t bytes, rr_diag *diag) {
    RR_TRY(rr_cache_make_folder_of(path, diag));
    return rr_file_write_atomic(path, data, bytes, diag);
}
