/* The device's planes, read bit by bit as quant.h words them, against the file's blocks. */
#include "quant/quant.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

enum { PAD = 0xA5 };

static uint32_t word_at(const uint8_t *from) {
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static float half_at(const uint8_t *from) {
    return rr_f16_to_f32((uint16_t)(from[0] | from[1] << 8));
}

/* The code of weight c of a row, by the words of quant.h. */
static uint32_t code_at(
    const rr_qtype_info *info, const uint8_t *lo, const uint8_t *hi, uint32_t c) {
    if (info->lo_bits == 8) {
        return lo[c];
    }
    uint32_t w = c / 8, b = c % 4;
    bool second = c % 8 >= 4;
    uint32_t byte = word_at(lo + 4 * w) >> 8 * b & 0xFF;
    uint32_t code = second ? byte >> 4 : byte & 15;
    if (info->hi_bits == 1) {
        uint32_t t = c % 32 / 8;
        uint32_t bit = 8 * b + 2 * t + (second ? 1 : 0);
        code |= (word_at(hi + c / 32 * 4) >> bit & 1) << 4;
    } else if (info->hi_bits == 2) {
        uint32_t t = c % 16 / 8;
        uint32_t bit = 8 * b + 4 * t + (second ? 2 : 0);
        code |= (word_at(hi + c / 16 * 4) >> bit & 3) << 4;
    }
    return code;
}

static float weight_at(const rr_planes *p, const uint8_t *device, uint32_t row, uint32_t c) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)p->type);
    const uint8_t *lo = device + p->lo_offset + (uint64_t)row * p->lo_stride;
    const uint8_t *hi = device + p->hi_offset + (uint64_t)row * p->hi_stride;
    const uint8_t *scale =
        device + p->scale_offset + (uint64_t)row * p->scale_stride + c / 32 * info->scale_bytes;
    const uint8_t *super =
        device + p->super_offset + (uint64_t)row * p->super_stride + c / 256 * info->super_bytes;
    float value;
    uint32_t bits;
    switch (p->type) {
    case RR_Q_F32:
        memcpy(&value, lo + 4 * (size_t)c, 4);
        return value;
    case RR_Q_F16:
        return half_at(lo + 2 * (size_t)c);
    case RR_Q_BF16:
        bits = (uint32_t)(lo[2 * (size_t)c] | lo[2 * (size_t)c + 1] << 8) << 16;
        memcpy(&value, &bits, 4);
        return value;
    default:
        break;
    }
    int q = (int)code_at(info, lo, hi, c);
    switch (p->type) {
    case RR_Q_Q4_0:
        return half_at(scale) * (float)(q - 8);
    case RR_Q_Q5_0:
        return half_at(scale) * (float)(q - 16);
    case RR_Q_Q8_0:
        return half_at(scale) * (float)(int8_t)q;
    case RR_Q_Q6_K:
        CHECK(super[2] == 0 && super[3] == 0);
        return half_at(super) * (float)(int8_t)scale[c % 32 / 16] * (float)(q - 32);
    case RR_Q_Q4_K:
    case RR_Q_Q5_K:
        return half_at(super) * (float)scale[0] * (float)q - half_at(super + 2) * (float)scale[1];
    default:
        return half_at(scale) * (float)q + half_at(scale + 2);
    }
}

static bool same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Each plane is aligned and lies behind the one before; a plane that the type lacks takes no
 * place. */
static void check_plan(const rr_planes *p, const rr_qtype_info *info) {
    const uint64_t offsets[] = {p->lo_offset, p->hi_offset, p->scale_offset, p->super_offset};
    const uint32_t strides[] = {p->lo_stride, p->hi_stride, p->scale_stride, p->super_stride};
    const uint64_t used[] = {(uint64_t)p->cols * info->lo_bits / 8,
        (uint64_t)p->cols * info->hi_bits / 8, (uint64_t)p->cols / 32 * info->scale_bytes,
        (uint64_t)p->cols / 256 * info->super_bytes};
    uint64_t end = 0;
    for (int i = 0; i < 4; i++) {
        CHECK(strides[i] % 16 == 0 && strides[i] >= used[i] && strides[i] < used[i] + 16);
        CHECK(offsets[i] % 256 == 0);
        if (strides[i] == 0) {
            CHECK_INT(offsets[i], 0);
            continue;
        }
        CHECK_MSG(offsets[i] >= end && offsets[i] < end + 256,
            "%s: plane %d at %" PRIu64 ", the last ends at %" PRIu64, info->name, i, offsets[i],
            end);
        end = offsets[i] + (uint64_t)strides[i] * p->rows;
    }
    CHECK(p->bytes % 256 == 0 && p->bytes >= end && p->bytes < end + 256);
}

/* Bytes of a row's plane behind what the row uses are zero. */
static void check_padding(
    const uint8_t *device, uint64_t offset, uint32_t stride, uint64_t used, uint32_t rows) {
    for (uint32_t r = 0; r < rows; r++) {
        for (uint64_t i = used; i < stride; i++) {
            CHECK_INT(device[offset + (uint64_t)r * stride + i], 0);
        }
    }
}

static void check_shape(const rr_qtype_info *info, uint32_t rows, uint32_t cols) {
    rr_diag diag = {0};
    rr_planes p = {0};
    CHECK_OK(rr_planes_plan(info->type, rows, cols, &p, &diag), diag);
    if (p.bytes == 0) {
        return;
    }
    CHECK(p.type == info->type && p.rows == rows && p.cols == cols);
    check_plan(&p, info);
    size_t row_bytes = (size_t)(cols / info->block_weights) * info->block_bytes;
    uint8_t *blocks = malloc(rows * row_bytes), *device = malloc(p.bytes), *parts = malloc(p.bytes);
    float *file = malloc(cols * sizeof *file), *plane = malloc(cols * sizeof *plane);
    rr_random_blocks(
        info->type, rows * 1000003ull + cols, rows * row_bytes / info->block_bytes, blocks);
    memset(device, PAD, p.bytes);
    rr_planes_pack(&p, blocks, 0, rows, device);
    for (uint32_t r = 0; r < rows; r++) {
        rr_blocks_unpack(info->type, blocks + r * row_bytes, cols, file);
        rr_planes_unpack_row(&p, device, r, plane);
        CHECK_MSG(memcmp(file, plane, cols * sizeof *file) == 0,
            "%s %u x %u: row %u differs from the file", info->name, rows, cols, r);
        for (uint32_t c = 0; c < cols; c++) {
            float found = weight_at(&p, device, r, c);
            if (!same(found, file[c])) {
                CHECK_MSG(false, "%s %u x %u: weight %u of row %u reads %a, expected %a",
                    info->name, rows, cols, c, r, (double)found, (double)file[c]);
                break;
            }
        }
    }
    uint64_t groups = cols / 32;
    check_padding(device, p.lo_offset, p.lo_stride, groups * 4 * info->lo_bits, rows);
    check_padding(device, p.hi_offset, p.hi_stride, groups * 4 * info->hi_bits, rows);
    check_padding(device, p.scale_offset, p.scale_stride, groups * info->scale_bytes, rows);
    check_padding(
        device, p.super_offset, p.super_stride, (uint64_t)(cols / 256) * info->super_bytes, rows);
    /* rows packed one by one, last first, touch only their own bytes and give the same */
    memset(parts, PAD, p.bytes);
    for (uint32_t r = rows; r > 0; r--) {
        rr_planes_pack(&p, blocks, r - 1, r, parts);
    }
    rr_planes_pack(&p, blocks, 0, 0, parts);
    CHECK(memcmp(parts, device, p.bytes) == 0);
    free(plane);
    free(file);
    free(parts);
    free(device);
    free(blocks);
}

static void refuses_bad_shapes(void) {
    rr_diag diag = {0};
    rr_planes p = {.rows = 77};
    CHECK_INT(rr_planes_plan(RR_Q_F32, 0, 32, &p, &diag), RR_E_INPUT);
    CHECK_INT(rr_planes_plan(RR_Q_F32, 4, 0, &p, &diag), RR_E_INPUT);
    CHECK_INT(rr_planes_plan(RR_Q_F32, 4, 33, &p, &diag), RR_E_INPUT);
    CHECK_INT(rr_planes_plan(RR_Q_Q8_0, 4, 16, &p, &diag), RR_E_INPUT);
    CHECK_INT(rr_planes_plan(RR_Q_Q4_K, 4, 288, &p, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "Q4_K") != NULL && strstr(diag.text, "288") != NULL &&
        strstr(diag.text, "256") != NULL);
    CHECK_INT(rr_planes_plan((rr_qtype)10, 4, 256, &p, &diag), RR_E_UNSUPPORTED);
    CHECK_INT(rr_planes_plan((rr_qtype)-1, 4, 256, &p, &diag), RR_E_UNSUPPORTED);
    CHECK_INT(rr_planes_plan(RR_Q_F32, 1, 1u << 30, &p, &diag), RR_E_INPUT); /* a row of 4 GiB */
    CHECK_INT(rr_planes_plan(RR_Q_F32, 1, UINT32_MAX - 31, &p, NULL), RR_E_INPUT);
    CHECK_INT(p.rows, 77);
    /* the largest that fits: no overflow inside */
    CHECK_OK(rr_planes_plan(RR_Q_F32, UINT32_MAX, (1u << 30) - 32, &p, &diag), diag);
    CHECK(p.bytes >= (uint64_t)p.lo_stride * UINT32_MAX);
    CHECK_OK(rr_planes_plan(RR_Q_Q6_K, UINT32_MAX, UINT32_MAX - 255, &p, &diag), diag);
    CHECK(p.super_offset > p.scale_offset && p.bytes > p.super_offset);
}

int main(void) {
    static const uint32_t cols[] = {32, 64, 96, 256, 288, 512, 896, 1280, 2048 + 256};
    static const uint32_t rows[] = {1, 2, 5, 17};
    size_t n, n_shapes = 0;
    const rr_qtype_info *all = rr_qtype_all(&n);
    for (size_t t = 0; t < n; t++) {
        for (size_t c = 0; c < sizeof cols / sizeof cols[0]; c++) {
            for (size_t r = 0;
                 r < sizeof rows / sizeof rows[0] && cols[c] % all[t].block_weights == 0; r++) {
                check_shape(&all[t], rows[r], cols[c]);
                n_shapes++;
            }
        }
    }
    CHECK_INT(n_shapes, 4 * (8 * 9 + 3 * 4));
    refuses_bad_shapes();
    return CHECK_END();
}
