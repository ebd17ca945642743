#include "runtime/model/weight.h"

#include <string.h>

enum { PIECE = 256 }; /* weights that are rounded at once: a block of every type */

uint64_t rr_weight_row_bytes(const rr_weight *weight) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)weight->type);
    return (uint64_t)(weight->cols / info->block_weights) * info->block_bytes;
}

static uint64_t float_bytes(rr_qtype type) {
    return rr_qtype_get((uint32_t)type)->block_bytes;
}

/* A row of floats rounded, piece by piece: a row may be longer than a stack is deep. */
static void round_row(const rr_weight *weight, const uint8_t *from, uint8_t *out) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)weight->type);
    float piece[PIECE];
    for (uint32_t c = 0; c < weight->cols; c += PIECE) {
        const uint32_t n = weight->cols - c < PIECE ? weight->cols - c : PIECE;
        rr_blocks_unpack(weight->float_type, from + c * float_bytes(weight->float_type), n, piece);
        rr_blocks_quantize(weight->type, piece, n, out);
        out += (size_t)(n / info->block_weights) * info->block_bytes;
    }
}

void rr_weight_blocks(const rr_weight *weight, uint32_t row, uint32_t n, void *out) {
    const uint64_t row_bytes = rr_weight_row_bytes(weight);
    if (weight->data != NULL) {
        memcpy(out, weight->data + row * row_bytes, (size_t)(n * row_bytes));
        return;
    }
    if (weight->grouped != NULL) {
        rr_grouped_blocks(weight->grouped, weight->type, row, n, out);
        return;
    }
    const uint64_t from_bytes = weight->cols * float_bytes(weight->float_type);
    for (uint32_t r = 0; r < n; r++) {
        round_row(weight, weight->floats + (row + r) * from_bytes, (uint8_t *)out + r * row_bytes);
    }
}

/* A row of rounded floats as floats again. */
static void unpack_rounded(const rr_weight *weight, const uint8_t *from, float *out) {
    uint8_t blocks[PIECE * sizeof(float)];
    for (uint32_t c = 0; c < weight->cols; c += PIECE) {
        const uint32_t n = weight->cols - c < PIECE ? weight->cols - c : PIECE;
        rr_blocks_unpack(
            weight->float_type, from + c * float_bytes(weight->float_type), n, out + c);
        rr_blocks_quantize(weight->type, out + c, n, blocks);
        rr_blocks_unpack(weight->type, blocks, n, out + c);
    }
}

void rr_weight_unpack(const rr_weight *weight, uint32_t row, uint32_t n, float *out) {
    if (weight->grouped != NULL) {
        rr_grouped_unpack(weight->grouped, row, n, out);
        return;
    }
    const uint64_t row_bytes = weight->data != NULL
        ? rr_weight_row_bytes(weight)
        : weight->cols * float_bytes(weight->float_type);
    for (uint32_t r = 0; r < n; r++) {
        float *to = out + (size_t)r * weight->cols;
        if (weight->data != NULL) {
            rr_blocks_unpack(weight->type, weight->data + (row + r) * row_bytes, weight->cols, to);
        } else {
            unpack_rounded(weight, weight->floats + (row + r) * row_bytes, to);
        }
    }
}

bool rr_weight_quantize(rr_weight *weight, rr_qtype type) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    const bool is_float = weight->data != NULL && weight->rows > 1 &&
        (weight->type == RR_Q_F32 || weight->type == RR_Q_F16 || weight->type == RR_Q_BF16);
    if (!is_float || info == NULL || weight->cols % info->block_weights != 0) {
        return false;
    }
    weight->floats = weight->data;
    weight->float_type = weight->type;
    weight->data = NULL;
    weight->type = type;
    weight->bytes = rr_weight_row_bytes(weight) * weight->rows;
    return true;
}
