#include "runtime/model/weight.h"

uint64_t rr_weight_row_bytes(const rr_weight *weight) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)weight->type);
    return (uint64_t)(weight->cols / info->block_weights) * info->block_bytes;
}

void rr_weight_unpack(const rr_weight *weight, uint32_t row, uint32_t n, float *out) {
    const uint64_t row_bytes = rr_weight_row_bytes(weight);
    for (uint32_t r = 0; r < n; r++) {
        rr_blocks_unpack(weight->type, weight->data + (row + r) * row_bytes, weight->cols,
            out + (size_t)r * weight->cols);
    }
}
