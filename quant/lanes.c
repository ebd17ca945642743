/* The weight layout of software devices: planning, packing, unpacking. The layout itself is written
 * down in lanes.h. */
#include "quant/lanes.h"

#include <assert.h>

#include "quant/codec.h"
#include "runtime/base/memory.h"

bool rr_lanes_format_of(rr_qtype type, rr_lanes_format *out) {
    switch (type) {
    case RR_Q_Q4_0:
        *out = (rr_lanes_format){4, 32, RR_LANES_F16};
        return true;
    case RR_Q_Q4_1:
    case RR_Q_Q4_K:
        *out = (rr_lanes_format){4, 32, RR_LANES_AFFINE};
        return true;
    case RR_Q_Q5_0:
    case RR_Q_Q8_0:
        *out = (rr_lanes_format){8, 32, RR_LANES_F16};
        return true;
    case RR_Q_Q5_1:
    case RR_Q_Q5_K:
        *out = (rr_lanes_format){8, 32, RR_LANES_AFFINE};
        return true;
    case RR_Q_Q6_K:
        *out = (rr_lanes_format){8, 16, RR_LANES_F32};
        return true;
    case RR_Q_F32:
    case RR_Q_F16:
    case RR_Q_BF16:
        return false;
    }
    return false;
}

uint32_t rr_lanes_code(rr_lanes_format format) {
    return format.bits | format.group << 8 | (uint32_t)format.scale << 16;
}

rr_lanes_format rr_lanes_decode(uint32_t code) {
    return (rr_lanes_format){code & 255, code >> 8 & 255, (rr_lanes_scale)(code >> 16)};
}

static rr_lanes_format join(rr_lanes_format a, rr_lanes_format b) {
    return (rr_lanes_format){.bits = a.bits > b.bits ? a.bits : b.bits,
        .group = a.group < b.group ? a.group : b.group,
        .scale = a.scale > b.scale ? a.scale : b.scale};
}

static uint32_t scale_bytes(rr_lanes_scale scale) {
    return scale == RR_LANES_F16 ? 2 : scale == RR_LANES_F32 ? 4 : 8;
}

rr_status rr_lanes_plan(const rr_lanes_part *parts, uint32_t n_parts, uint32_t cols, uint32_t width,
    rr_lanes *out, rr_diag *diag) {
    assert(n_parts >= 1 && n_parts <= RR_LANES_PARTS);
    if (width != 8 && width != 16) {
        return rr_fail(
            diag, RR_E_UNSUPPORTED, "subgroups of %u lanes, the lane layout knows 8 and 16", width);
    }
    if (cols == 0 || cols % RR_GROUP != 0) {
        return rr_fail(
            diag, RR_E_INPUT, "a matrix of %u columns: expected a multiple of %d", cols, RR_GROUP);
    }
    rr_lanes lanes = {.width = width, .cols = cols, .n_parts = n_parts};
    uint64_t rows = 0;
    for (uint32_t i = 0; i < n_parts; i++) {
        rr_lanes_format format;
        if (!rr_lanes_format_of(parts[i].type, &format)) {
            return rr_fail(diag, RR_E_UNSUPPORTED, "weight type %u has no lane layout",
                (unsigned)parts[i].type);
        }
        const rr_qtype_info *info = rr_qtype_get((uint32_t)parts[i].type);
        if (cols % info->block_weights != 0) {
            return rr_fail(diag, RR_E_INPUT, "a %s matrix of %u columns: expected a multiple of %u",
                info->name, cols, info->block_weights);
        }
        if (parts[i].rows == 0 || (i + 1 < n_parts && parts[i].rows % RR_LANES_UNIT != 0)) {
            return rr_fail(diag, RR_E_INPUT,
                "a stacked matrix of %u rows: expected a multiple of %d", parts[i].rows,
                RR_LANES_UNIT);
        }
        lanes.format = i == 0 ? format : join(lanes.format, format);
        lanes.parts[i] = parts[i];
        rows += parts[i].rows;
    }
    if (rows > UINT32_MAX - RR_LANES_UNIT) {
        return rr_fail(diag, RR_E_INPUT, "a stacked matrix of %llu rows is too large",
            (unsigned long long)rows);
    }
    lanes.rows = (uint32_t)rows;
    lanes.n_units = rr_div_up(lanes.rows, RR_LANES_UNIT);
    lanes.unit_bytes = (uint64_t)cols * lanes.format.bits / 8 * RR_LANES_UNIT;
    lanes.unit_scale_bytes =
        (uint64_t)(cols / lanes.format.group) * scale_bytes(lanes.format.scale) * RR_LANES_UNIT;
    lanes.scale_offset = rr_round_up(lanes.unit_bytes * lanes.n_units, 256);
    lanes.bytes = rr_round_up(lanes.scale_offset + lanes.unit_scale_bytes * lanes.n_units, 256);
    *out = lanes;
    return RR_OK;
}

/* A code as its signed value over the type's zero, or raw when the format is affine and the type
 * has offsets. */
static uint32_t stored_code(const rr_lanes_format *format, const rr_codec *codec, uint8_t raw) {
    int value = codec->is_signed ? (int8_t)raw : (int)raw - codec->bias;
    if (codec->bias == 0 && !codec->is_signed) {
        return raw;
    }
    return (uint32_t)(value + (format->bits == 4 ? 8 : 128));
}

static void put_scale(const rr_lanes *lanes, const rr_codec *codec, rr_affine affine, uint32_t half,
    uint8_t *entry, uint32_t u) {
    const uint32_t held = RR_LANES_UNIT / lanes->width;
    float scale = affine.scale[half];
    if (lanes->format.scale == RR_LANES_F16) {
        rr_store_u16(entry + 2 * u, rr_f32_to_f16(scale)); /* was f16 in the file */
        return;
    }
    memcpy(entry + 4 * u, &scale, sizeof scale);
    if (lanes->format.scale == RR_LANES_AFFINE) {
        bool raw = codec->bias == 0 && !codec->is_signed;
        float zero = lanes->format.bits == 4 ? 8.0f : 128.0f;
        float offset = raw ? affine.offset : affine.offset - zero * scale;
        memcpy(entry + 4 * (held + u), &offset, sizeof offset);
    }
}

static void pack_row(const rr_lanes *lanes, const rr_lanes_part *part, uint32_t part_row,
    uint32_t at, uint8_t *codes, uint8_t *scales) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)part->type);
    const rr_codec *codec = rr_codec_get(part->type);
    const rr_lanes_format *format = &lanes->format;
    const uint32_t width = lanes->width, held = RR_LANES_UNIT / width;
    const uint32_t lane = at / held, u = at % held;
    const uint32_t per_word = 64 / format->bits, halves = 32 / format->group;
    const uint64_t entry_bytes = (uint64_t)scale_bytes(format->scale) * held;
    const uint8_t *block = (const uint8_t *)part->blocks +
        (uint64_t)part_row * (lanes->cols / info->block_weights) * info->block_bytes;
    const uint32_t groups_a_block = info->block_weights / RR_GROUP;
    for (uint32_t g = 0; g < lanes->cols / RR_GROUP; g++) {
        uint32_t quads[RR_GROUP_QUADS];
        uint8_t scale[8] = {0}, super[8] = {0};
        codec->quads(block, g % groups_a_block, quads);
        codec->scale(block, g % groups_a_block, scale);
        if (codec->super != NULL) {
            codec->super(block, super);
        }
        rr_affine affine = codec->affine(scale, super);
        for (uint32_t w = 0; w < RR_GROUP / per_word; w++) {
            uint64_t word = 0;
            for (uint32_t k = 0; k < per_word; k++) {
                uint32_t c = w * per_word + k;
                uint8_t raw = (uint8_t)(quads[c / 4] >> (c % 4 * 8));
                word |= (uint64_t)stored_code(format, codec, raw) << (k * format->bits);
            }
            uint64_t index = ((uint64_t)(g * (RR_GROUP / per_word) + w) * held + u) * width + lane;
            memcpy(codes + index * 8, &word, sizeof word);
        }
        for (uint32_t h = 0; h < halves; h++) {
            uint64_t index = (uint64_t)(g * halves + h) * width + lane;
            put_scale(lanes, codec, affine, halves == 2 ? h : 0, scales + index * entry_bytes, u);
        }
        if ((g + 1) % groups_a_block == 0) {
            block += info->block_bytes;
        }
    }
}

void rr_lanes_pack_unit(const rr_lanes *lanes, uint32_t unit, void *device) {
    uint8_t *codes = (uint8_t *)device + unit * lanes->unit_bytes;
    uint8_t *scales = (uint8_t *)device + lanes->scale_offset + unit * lanes->unit_scale_bytes;
    memset(codes, 0, (size_t)lanes->unit_bytes);
    memset(scales, 0, (size_t)lanes->unit_scale_bytes);
    for (uint32_t at = 0; at < RR_LANES_UNIT; at++) {
        uint32_t row = unit * RR_LANES_UNIT + at;
        for (uint32_t i = 0; i < lanes->n_parts; i++) {
            if (row < lanes->parts[i].rows) {
                pack_row(lanes, &lanes->parts[i], row, at, codes, scales);
                break;
            }
            row -= lanes->parts[i].rows;
        }
    }
}

void rr_lanes_unpack_row(const rr_lanes *lanes, const void *device, uint32_t row, float *out) {
    const rr_lanes_format *format = &lanes->format;
    const uint32_t width = lanes->width, held = RR_LANES_UNIT / width;
    const uint32_t unit = row / RR_LANES_UNIT, at = row % RR_LANES_UNIT, lane = at / held,
                   u = at % held;
    const uint32_t per_word = 64 / format->bits;
    const uint8_t *codes = (const uint8_t *)device + unit * lanes->unit_bytes;
    const uint8_t *scales =
        (const uint8_t *)device + lanes->scale_offset + unit * lanes->unit_scale_bytes;
    const uint64_t entry_bytes = (uint64_t)scale_bytes(format->scale) * held;
    for (uint32_t c = 0; c < lanes->cols; c++) {
        uint64_t index = ((uint64_t)(c / per_word) * held + u) * width + lane;
        uint64_t word;
        memcpy(&word, codes + index * 8, sizeof word);
        int code = (int)(word >> (c % per_word * format->bits) & ((1u << format->bits) - 1));
        const uint8_t *entry =
            scales + ((uint64_t)(c / format->group) * width + lane) * entry_bytes;
        float scale, offset;
        if (format->scale == RR_LANES_F16) {
            out[c] = rr_load_f16(entry + 2 * u) * (float)(code - (format->bits == 4 ? 8 : 128));
            continue;
        }
        memcpy(&scale, entry + 4 * u, sizeof scale);
        if (format->scale == RR_LANES_F32) {
            out[c] = scale * (float)(code - (format->bits == 4 ? 8 : 128));
            continue;
        }
        memcpy(&offset, entry + 4 * (held + u), sizeof offset);
        out[c] = scale * (float)code + offset;
    }
}
