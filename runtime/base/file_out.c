/* Whole output files in one call. */
#include "runtime/base/file_out.h"

rr_status rr_file_write_atomic(const char *path, const void *data, size_t bytes, rr_diag *diag) {
    rr_file_out out = {0};
    RR_TRY(rr_file_out_open(path, &out, diag));
    rr_status status = rr_file_out_write(&out, data, bytes, diag);
    if (status == RR_OK) {
        return rr_file_out_finish(&out, diag);
    }
    rr_file_out_discard(&out);
    return status;
}
