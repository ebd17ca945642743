/* A weight of a model: a matrix, or a vector (a norm, a bias), as it can be read row by row.
 * Owns: what a weight consists of, and its rows. Does not own the bytes, which are its source's. */
#ifndef RR_MODEL_WEIGHT_H
#define RR_MODEL_WEIGHT_H

#include "quant/grouped.h"
#include "quant/quant.h"
#include "runtime/base/text.h"

/* What a weight is for. Those from RR_ROLE_ATTN_NORM on are there once a layer. */
typedef enum rr_role {
    RR_ROLE_EMBEDDING,
    RR_ROLE_OUTPUT_NORM,
    RR_ROLE_OUTPUT, /* not of a tied model */
    RR_ROLE_ATTN_NORM,
    RR_ROLE_Q,
    RR_ROLE_K,
    RR_ROLE_V,
    RR_ROLE_Q_BIAS,
    RR_ROLE_K_BIAS,
    RR_ROLE_V_BIAS,
    RR_ROLE_O,
    RR_ROLE_FFN_NORM,
    RR_ROLE_GATE,
    RR_ROLE_UP,
    RR_ROLE_DOWN,
    RR_ROLE_COUNT
} rr_role;

/* Its rows are blocks of `type`. A file may hold them as they are; or in several tensors (codes,
 * scales, zero points) of which they are made without loss; or as floats, of which they are made by
 * rounding. Vectors have rows = 1, are F32, F16 or BF16, and are held as they are. */
typedef struct rr_weight {
    rr_text name; /* in its file */
    rr_qtype type;
    uint32_t rows, cols;
    const uint8_t *data;       /* the blocks, row by row, at any address; NULL = they are made */
    uint64_t bytes;            /* of the blocks */
    const rr_grouped *grouped; /* what they are made of; NULL = of `floats` */
    const uint8_t *floats;
    rr_qtype float_type;
} rr_weight;

/* Bytes of a row in blocks of the weight's type. */
uint64_t rr_weight_row_bytes(const rr_weight *weight);
/* Copies or makes the blocks of rows [row, row + n). Thread safe. Cost: best some dozens of rows at
 * a time. */
void rr_weight_blocks(const rr_weight *weight, uint32_t row, uint32_t n, void *out);
/* Rows [row, row + n) as floats, [n][cols]. */
void rr_weight_unpack(const rr_weight *weight, uint32_t row, uint32_t n, float *out);

/* Makes a matrix that its file holds as floats one whose rows are rounded to `type` where they are
 * read (rr_blocks_quantize). False, with nothing changed, for one that is no float matrix or whose
 * columns the type cannot hold. */
bool rr_weight_quantize(rr_weight *weight, rr_qtype type);

#endif
