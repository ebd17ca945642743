/* Integer codes with a scale and a zero point for each group of inputs, as GPTQ and AWQ store them:
 *
 *   W[o][i] = (q[i][o] − z[g(i)][o]) scale[g(i)][o]        o output (row), i input (column)
 *
 * q and z are whole numbers of `bits` bits, the scale is F16 (BF16, F32). The product of a small
 * integer with an f16 is exact in a float, so a weight has one value however it is kept.
 *
 *   RR_GROUPED_GPTQ  codes: u32 [cols bits / 32][rows], inputs from the lowest bits up; g(i) from
 *                    `groups`. zeros: u32 [n_groups][rows bits / 32], outputs from the lowest bits
 *                    up. scales: [n_groups][rows].
 *   RR_GROUPED_AWQ   codes: u32 [cols][rows / 8], zeros: u32 [n_groups][rows / 8]: the nibble at
 *                    bits 4k of word w is output 8w + {0, 2, 4, 6, 1, 3, 5, 7}[k]. scales:
 *                    [n_groups][rows].
 *
 * Where groups are whole runs of 32 inputs and the scale is an f16, rows can be had as blocks of a
 * GGUF type that hold the same values bit for bit: Q4_0 for z = 8, Q5_0 for any z of 4 bits, Q8_0
 * for 8 bits and z = 128. Else they are floats. Owns: nothing. All functions are pure and thread
 * safe. */
#ifndef RR_QUANT_GROUPED_H
#define RR_QUANT_GROUPED_H

#include "quant/quant.h"

typedef enum rr_grouped_layout { RR_GROUPED_GPTQ, RR_GROUPED_AWQ } rr_grouped_layout;

/* What z is, given what is stored. */
typedef enum rr_zero_rule {
    RR_ZERO_AS_STORED,
    RR_ZERO_PLUS_ONE,     /* each lane plus 1, modulo 2^bits */
    RR_ZERO_PLUS_ONE_WORD /* the whole word plus 1 in each lane: a carry runs into the next lane */
} rr_zero_rule;

typedef struct rr_grouped {
    rr_grouped_layout layout;
    uint32_t bits; /* 4, or 8 (GPTQ) */
    uint32_t rows, cols;
    uint32_t group, n_groups; /* input i is in group i / group, unless `groups` says otherwise */
    /* as in the file, little endian, at any address */
    const uint8_t *codes;
    const uint8_t *zeros; /* NULL = 2^(bits − 1) everywhere */
    const uint8_t *scales;
    rr_qtype scale_type;    /* F16, BF16 or F32 */
    const uint32_t *groups; /* [cols], each below n_groups; NULL = i / group */
    rr_zero_rule zero_rule;
} rr_grouped;

/* The stored zeros, before any rule. */
typedef struct rr_zero_range {
    uint32_t least, most;
} rr_zero_range;
rr_zero_range rr_grouped_stored_zeros(const rr_grouped *grouped);

/* The type whose blocks hold the same values: F32 when no smaller one does. Reads scales and zeros,
 * not the codes. */
rr_qtype rr_grouped_type(const rr_grouped *grouped);
/* Rows [row, row + n) as blocks of rr_grouped_type's type. Best some dozens of rows at a time:
 * neighbours in a column are neighbours in memory. */
void rr_grouped_blocks(
    const rr_grouped *grouped, rr_qtype type, uint32_t row, uint32_t n, void *blocks);
/* Rows [row, row + n) as floats, [n][cols]. */
void rr_grouped_unpack(const rr_grouped *grouped, uint32_t row, uint32_t n, float *out);

#endif
