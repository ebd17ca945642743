/* What both writers of adapters need: which one writes a path, and matrices as bytes of a file. */
#include <stdlib.h>
#include <string.h>

#include "runtime/model/adapter_internal.h"

rr_status rr_adapter_write(const rr_adapter *adapter, const char *path, rr_diag *diag) {
    static const char ending[] = ".gguf";
    const size_t n = strlen(path), n_ending = sizeof ending - 1;
    const bool is_gguf = n > n_ending && rr_ascii_same(path + n - n_ending, ending, n_ending);
    return is_gguf ? rr_adapter_write_gguf(adapter, path, diag)
                   : rr_adapter_write_peft(adapter, path, diag);
}

uint64_t rr_adapter_matrix_bytes(const rr_weight *weight, rr_qtype type) {
    return (uint64_t)weight->rows * weight->cols * (type == RR_Q_F32 ? 4 : 2);
}

rr_status rr_adapter_write_matrix(
    rr_file_out *file, const rr_weight *weight, rr_qtype type, double factor, rr_diag *diag) {
    const size_t bytes = (size_t)rr_adapter_matrix_bytes(weight, type);
    void *values = malloc(bytes);
    if (values == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", file->label.data);
    }
    if (type == weight->type) {
        rr_weight_blocks(weight, 0, weight->rows, values);
    } else {
        rr_weight_unpack(weight, 0, weight->rows, values);
    }
    for (size_t i = 0; factor != 1.0 && i < bytes / sizeof(float); i++) {
        float *value = (float *)values + i;
        *value = (float)(factor * (double)*value);
    }
    const rr_status status = rr_file_out_write(file, values, bytes, diag);
    free(values);
    return status;
}
