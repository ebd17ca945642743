/* The device's plane layout: planning, packing, exact unpacking. The layout itself is written down
 * in quant.h. */
#include "quant/codec.h"

#include "runtime/base/memory.h"

#include <assert.h>

enum { ROW_ALIGN = 16, PLANE_ALIGN = 256 };

/* Appends a plane of `row_bytes` a row at *end; false when it does not fit. A plane of no bytes
 * stays at 0. */
static bool place(
    uint64_t row_bytes, uint32_t rows, uint64_t *offset, uint32_t *stride, uint64_t *end) {
    *offset = 0;
    *stride = 0;
    if (row_bytes == 0) {
        return true;
    }
    uint64_t padded = rr_round_up(row_bytes, ROW_ALIGN);
    uint64_t next;
    if (padded > UINT32_MAX || !rr_add_u64(*end, padded * rows, &next) ||
        next > UINT64_MAX - PLANE_ALIGN) {
        return false;
    }
    *offset = *end;
    *stride = (uint32_t)padded;
    *end = rr_round_up(next, PLANE_ALIGN);
    return true;
}

rr_status rr_planes_plan(
    rr_qtype type, uint32_t rows, uint32_t cols, rr_planes *out, rr_diag *diag) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    if (info == NULL) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "weight type %u is not supported", (unsigned)type);
    }
    if (rows == 0 || cols == 0 || cols % RR_GROUP != 0 || cols % info->block_weights != 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s matrix of %u rows and %u columns: expected rows, and columns in multiples of %u",
            info->name, rows, cols,
            info->block_weights > RR_GROUP ? info->block_weights : RR_GROUP);
    }
    rr_planes planes = {.type = type, .rows = rows, .cols = cols};
    const uint64_t runs = cols / RR_GROUP; /* of 32 */
    const uint64_t groups = rr_div_up(cols, info->group_weights);
    uint64_t end = 0;
    bool fits = place(runs * 4 * info->lo_bits, rows, &planes.lo_offset, &planes.lo_stride, &end) &&
        place(runs * 4 * info->hi_bits, rows, &planes.hi_offset, &planes.hi_stride, &end) &&
        place(groups * info->scale_bytes, rows, &planes.scale_offset, &planes.scale_stride, &end) &&
        place((groups * info->zero_bits + 7) / 8, rows, &planes.zero_offset, &planes.zero_stride,
            &end) &&
        place((uint64_t)(cols / RR_SUPER) * info->super_bytes, rows, &planes.super_offset,
            &planes.super_stride, &end);
    if (!fits) {
        return rr_fail(diag, RR_E_INPUT,
            "%s matrix of %u rows and %u columns: its planes do not fit the address range",
            info->name, rows, cols);
    }
    planes.bytes = end;
    *out = planes;
    return RR_OK;
}

void rr_planes_advance(rr_planes *planes, uint32_t rows) {
    planes->lo_offset += (uint64_t)rows * planes->lo_stride;
    planes->hi_offset += (uint64_t)rows * planes->hi_stride;
    planes->scale_offset += (uint64_t)rows * planes->scale_stride;
    planes->zero_offset += (uint64_t)rows * planes->zero_stride;
    planes->super_offset += (uint64_t)rows * planes->super_stride;
}

static void pack_lo4(const uint32_t quads[RR_GROUP_QUADS], uint8_t *lo) {
    for (int t = 0; t < 4; t++) {
        rr_store_u32(
            lo + 4 * t, (quads[2 * t] & 0x0F0F0F0Fu) | (quads[2 * t + 1] & 0x0F0F0F0Fu) << 4);
    }
}

static void unpack_lo4(const uint8_t *lo, uint32_t quads[RR_GROUP_QUADS]) {
    for (int t = 0; t < 4; t++) {
        uint32_t word = rr_load_u32(lo + 4 * t);
        quads[2 * t] = word & 0x0F0F0F0Fu;
        quads[2 * t + 1] = word >> 4 & 0x0F0F0F0Fu;
    }
}

static void pack_hi1(const uint32_t quads[RR_GROUP_QUADS], uint8_t *hi) {
    uint32_t word = 0;
    for (int k = 0; k < RR_GROUP_QUADS; k++) {
        word |= (quads[k] >> 4 & 0x01010101u) << k;
    }
    rr_store_u32(hi, word);
}

static void unpack_hi1(const uint8_t *hi, uint32_t quads[RR_GROUP_QUADS]) {
    uint32_t word = rr_load_u32(hi);
    for (int k = 0; k < RR_GROUP_QUADS; k++) {
        quads[k] |= (word >> k & 0x01010101u) << 4;
    }
}

static void pack_hi2(const uint32_t quads[RR_GROUP_QUADS], uint8_t *hi) {
    for (int half = 0; half < 2; half++) {
        uint32_t word = 0;
        for (int k = 0; k < 4; k++) {
            word |= (quads[4 * half + k] >> 4 & 0x03030303u) << (2 * k);
        }
        rr_store_u32(hi + 4 * half, word);
    }
}

static void unpack_hi2(const uint8_t *hi, uint32_t quads[RR_GROUP_QUADS]) {
    for (int k = 0; k < RR_GROUP_QUADS; k++) {
        quads[k] |= (rr_load_u32(hi + k / 4 * 4) >> (k % 4 * 2) & 0x03030303u) << 4;
    }
}

static void pack_row(const rr_planes *planes, const rr_qtype_info *info, const rr_codec *codec,
    const uint8_t *blocks, uint8_t *lo, uint8_t *hi, uint8_t *scale, uint8_t *super) {
    uint32_t groups_a_block = info->block_weights / RR_GROUP;
    uint32_t lo_bytes = info->lo_bits * 4, hi_bytes = info->hi_bits * 4;
    for (uint32_t c = 0; c < planes->cols; c += info->block_weights, blocks += info->block_bytes) {
        for (uint32_t group = 0; group < groups_a_block; group++) {
            uint32_t quads[RR_GROUP_QUADS];
            codec->quads(blocks, group, quads);
            if (info->lo_bits == 8) {
                memcpy(lo, quads, sizeof quads);
            } else {
                pack_lo4(quads, lo);
            }
            if (info->hi_bits == 1) {
                pack_hi1(quads, hi);
            } else if (info->hi_bits == 2) {
                pack_hi2(quads, hi);
            }
            codec->scale(blocks, group, scale);
            lo += lo_bytes;
            hi += hi_bytes;
            scale += info->scale_bytes;
        }
        if (codec->super != NULL) {
            codec->super(blocks, super);
            super += info->super_bytes;
        }
    }
}

/* Zeroes what lies between the end of a row's plane and its stride. */
static void pad_row(uint8_t *row, uint64_t used, uint32_t stride) {
    if (used < stride) {
        memset(row + used, 0, (size_t)(stride - used));
    }
}

void rr_planes_pack(const rr_planes *planes, const void *blocks, uint32_t row_begin,
    uint32_t row_end, void *device) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)planes->type);
    assert(info != NULL && row_begin <= row_end && row_end <= planes->rows);
    const rr_codec *codec = rr_codec_get(planes->type);
    size_t row_bytes = (size_t)(planes->cols / info->block_weights) * info->block_bytes;
    uint64_t groups = planes->cols / RR_GROUP;
    uint8_t *base = device;
    for (uint32_t r = row_begin; r < row_end; r++) {
        const uint8_t *from = (const uint8_t *)blocks + r * row_bytes;
        uint8_t *lo = base + planes->lo_offset + (uint64_t)r * planes->lo_stride;
        uint8_t *hi = base + planes->hi_offset + (uint64_t)r * planes->hi_stride;
        uint8_t *scale = base + planes->scale_offset + (uint64_t)r * planes->scale_stride;
        uint8_t *super = base + planes->super_offset + (uint64_t)r * planes->super_stride;
        if (codec == NULL) {
            memcpy(lo, from, row_bytes);
        } else {
            pack_row(planes, info, codec, from, lo, hi, scale, super);
        }
        pad_row(lo, groups * 4 * info->lo_bits, planes->lo_stride);
        pad_row(hi, groups * 4 * info->hi_bits, planes->hi_stride);
        pad_row(scale, groups * info->scale_bytes, planes->scale_stride);
        pad_row(
            super, (uint64_t)(planes->cols / RR_SUPER) * info->super_bytes, planes->super_stride);
    }
}

void rr_planes_unpack_row(const rr_planes *planes, const void *device, uint32_t row, float *out) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)planes->type);
    assert(info != NULL && row < planes->rows);
    const rr_codec *codec = rr_codec_get(planes->type);
    const uint8_t *base = device;
    const uint8_t *lo = base + planes->lo_offset + (uint64_t)row * planes->lo_stride;
    const uint8_t *hi = base + planes->hi_offset + (uint64_t)row * planes->hi_stride;
    const uint8_t *scale = base + planes->scale_offset + (uint64_t)row * planes->scale_stride;
    const uint8_t *super = base + planes->super_offset + (uint64_t)row * planes->super_stride;
    if (codec == NULL) {
        rr_floats_unpack(planes->type, lo, planes->cols, out);
        return;
    }
    for (uint32_t g = 0; g < planes->cols / RR_GROUP; g++) {
        uint32_t quads[RR_GROUP_QUADS];
        if (info->lo_bits == 8) {
            memcpy(quads, lo + (size_t)g * 32, sizeof quads);
        } else {
            unpack_lo4(lo + (size_t)g * 16, quads);
        }
        if (info->hi_bits == 1) {
            unpack_hi1(hi + (size_t)g * 4, quads);
        } else if (info->hi_bits == 2) {
            unpack_hi2(hi + (size_t)g * 8, quads);
        }
        rr_affine affine = codec->affine(
            scale + (size_t)g * info->scale_bytes, super + (size_t)(g / 8) * info->super_bytes);
        rr_codec_decode(codec, quads, affine, out + (size_t)g * RR_GROUP);
    }
}
