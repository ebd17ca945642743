/* How the block types look inside, for the files of this folder only.
 * A group is 32 neighbouring weights. Its integers travel as eight "quads": byte b of quad k is the
 * raw code of weight 4k+b (two's complement in types with signed codes). Every format reads its
 * block into quads and every plane is made from quads, so that a format is one row of the codec
 * table and a plane is one function. */
#ifndef RR_QUANT_CODEC_H
#define RR_QUANT_CODEC_H

#include "quant/quant.h"

#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF blocks and the planes are little endian; this code reads them in place"
#endif

enum { RR_GROUP = 32, RR_GROUP_QUADS = 8, RR_SUPER = 256 };

/* weight = scale * (code - bias) + offset, for the weights 0…15 and 16…31 of a group. An offset of
 * -0.0 changes no product, not even its sign. */
typedef struct rr_affine {
    float scale[2];
    float offset;
} rr_affine;

typedef struct rr_codec {
    rr_qtype type;
    bool is_signed;
    int bias;
    /* the codes of a block's group */
    void (*quads)(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]);
    /* what the planes keep of a block's group and of a super-block (NULL when the type has none) */
    void (*scale)(const uint8_t *block, uint32_t group, uint8_t *out);
    void (*super)(const uint8_t *block, uint8_t *out);
    /* what those bytes mean */
    rr_affine (*affine)(const uint8_t *scale, const uint8_t *super);
} rr_codec;

/* NULL for the float types, which have no codes. */
const rr_codec *rr_codec_get(rr_qtype type);

/* The floats of a group. */
void rr_codec_decode(
    const rr_codec *codec, const uint32_t quads[RR_GROUP_QUADS], rr_affine affine, float *out);

/* `n` weights of a float type. */
void rr_floats_unpack(rr_qtype type, const uint8_t *data, uint32_t n, float *out);

static inline uint32_t rr_load_u32(const uint8_t *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}
static inline uint16_t rr_load_u16(const uint8_t *from) {
    uint16_t half;
    memcpy(&half, from, sizeof half);
    return half;
}
static inline void rr_store_u32(uint8_t *to, uint32_t word) {
    memcpy(to, &word, sizeof word);
}
static inline void rr_store_u16(uint8_t *to, uint16_t half) {
    memcpy(to, &half, sizeof half);
}
static inline float rr_load_f16(const uint8_t *from) {
    return rr_f16_to_f32(rr_load_u16(from));
}

#endif
