/* The weight layout of software devices: rows on lanes, so that a subgroup's load is one run of
 * memory, and every format widened to unsigned nibbles or bytes, so that one kernel serves them
 * all.
 *
 * A matrix is cut into units of 32 rows; of a unit, lane l of `width` (8 or 16) lanes holds the
 * rows l * U … l * U + U − 1, U = 32 / width. Codes of a unit: 64-bit words [cols * bits /
 * 64][U][width], each the codes of 64 / bits neighbouring columns of one row, lowest bits first.
 * Scales of a unit: [cols / group][width] entries of a lane's U rows:
 *   RR_LANES_F16     U times f16 s          weight = s (q − zero), zero = 8 (4 bits) or 128 (8
 *                    bits)
 *   RR_LANES_F32     U times f32 s          the same
 *   RR_LANES_AFFINE  U times f32 s, then U times f32 o      weight = s q + o
 * A weight is the very float that the file's own dequantization gives, but for AFFINE and F32,
 * where s and o are its float factors and the sum is the kernel's. Several matrices with the same
 * columns can be stacked into one; their formats are then joined. Float formats (F32, F16, BF16)
 * have no such layout. All functions are pure and thread safe. */
#ifndef RR_QUANT_LANES_H
#define RR_QUANT_LANES_H

#include "quant/quant.h"

enum { RR_LANES_UNIT = 32, RR_LANES_PARTS = 3 };

typedef enum rr_lanes_scale { RR_LANES_F16, RR_LANES_F32, RR_LANES_AFFINE } rr_lanes_scale;

typedef struct rr_lanes_format {
    uint32_t bits;  /* 4 or 8 */
    uint32_t group; /* columns a scale: 16 or 32 */
    rr_lanes_scale scale;
} rr_lanes_format;

/* What a matrix is made of. */
typedef struct rr_lanes_part {
    rr_qtype type;
    uint32_t rows;      /* a multiple of 32, but for the last part */
    const void *blocks; /* the file's, row 0; only packing reads them */
} rr_lanes_part;

typedef struct rr_lanes {
    rr_lanes_format format;
    uint32_t width, rows, cols, n_units;
    uint64_t scale_offset; /* codes begin at 0 */
    uint64_t unit_bytes, unit_scale_bytes;
    uint64_t bytes; /* whole, a multiple of 256 */
    rr_lanes_part parts[RR_LANES_PARTS];
    uint32_t n_parts;
} rr_lanes;

/* The least format that holds a type; false for the float types. */
bool rr_lanes_format_of(rr_qtype type, rr_lanes_format *out);
/* As one number, never 0, for tables and specialization; and back. */
uint32_t rr_lanes_code(rr_lanes_format format);
rr_lanes_format rr_lanes_decode(uint32_t code);

/* width is 8 or 16, cols a multiple of 32 and of every part's block_weights. Errors:
 * RR_E_UNSUPPORTED (float types, other widths), RR_E_INPUT. */
rr_status rr_lanes_plan(const rr_lanes_part *parts, uint32_t n_parts, uint32_t cols, uint32_t width,
    rr_lanes *out, rr_diag *diag);
/* Packs one unit; rows past the end become zeros. Cost: one pass; units may be packed on several
 * threads. Other bytes than before: raise RR_PACKED_VERSION. */
void rr_lanes_pack_unit(const rr_lanes *lanes, uint32_t unit, void *device);
/* One row as floats: the reference of what a kernel must read. */
void rr_lanes_unpack_row(const rr_lanes *lanes, const void *device, uint32_t row, float *out);

#endif
