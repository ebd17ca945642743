/* Weight formats: the file's block layouts, the device's plane layout, packing and exact unpacking.
 * Owns: every fact about how a weight's bits are stored. Does not own files, tensors' names or
 * devices.
 *
 * A matrix is `rows` outputs × `cols` inputs, row-major, y[r] = sum_c W[r][c] x[c]. In a file it is
 * a sequence of blocks along a row (GGUF). On the device every format becomes planes (design: one
 * kernel, the format a parameter):
 *
 *   lo     lo_bits (4, 8, 16 or 32) bits a weight
 *   hi     hi_bits (0, 1 or 2) further bits a weight
 *   scale  one entry a group of 32 weights (a format may say 64 or 128)
 *   zero   one integer zero point a group, for formats whose weight is scale (q − zero)
 *   super  one entry a super-block of 256 weights (K formats only)
 *
 * Each plane is row-major; a row's bytes are padded to a multiple of 16, a plane's start to a
 * multiple of 256.
 *
 *   lo, 4 bits:  32-bit word w holds weights 8w…8w+7: byte b = q[8w+b] | q[8w+4+b] << 4 (so that w
 *                & 0x0F0F0F0F and w >> 4 & 0x0F0F0F0F are four neighbours each, as integer dot
 *                product wants them)
 *   lo, 8 bits:  signed byte a weight (Q8_0). 16 bits: f16 or bf16. 32 bits: f32.
 *   hi, 1 bit:   one word a group of 32: of the group's lo word t (0…3), weight 8t+b has bit 8b+2t,
 *                weight 8t+4+b bit 8b+2t+1, so that (h >> 2t) & 0x01010101 goes with the low
 *                nibbles of word t
 *   hi, 2 bits:  one word a half group of 16: of its lo word t (0…1), weight 8t+b has bits
 *                8b+4t…+1, weight 8t+4+b bits 8b+4t+2…+3
 *   scale:       Q4_0, Q5_0, Q8_0: f16 d (2 bytes). Q4_1, Q5_1: f16 d, f16 m (4 bytes).
 *                Q4_K, Q5_K: u8 sc, u8 m (2 bytes). Q6_K: i8 sc of weights 0…15, i8 sc of 16…31 (2
 *                bytes).
 *   super:       Q4_K, Q5_K: f16 d, f16 dmin (4 bytes). Q6_K: f16 d, 2 bytes of zero.
 *
 *   weight = Q4_0: d (q − 8) · Q5_0: d (q − 16) · Q8_0: d q · Q4_1, Q5_1: d q + m ·
 *            Q4_K, Q5_K: (d sc) q − (dmin m) · Q6_K: (d sc) (q − 32)
 *
 * Packing loses nothing: unpacking the planes gives bit for bit the floats that unpacking the
 * file's blocks gives (of a NaN only that it is one).
 * All functions are pure and thread safe. */
#ifndef RR_QUANT_H
#define RR_QUANT_H

#include "runtime/base/status.h"

/* The numbers are those of the GGUF file format. */
typedef enum rr_qtype {
    RR_Q_F32 = 0,
    RR_Q_F16 = 1,
    RR_Q_Q4_0 = 2,
    RR_Q_Q4_1 = 3,
    RR_Q_Q5_0 = 6,
    RR_Q_Q5_1 = 7,
    RR_Q_Q8_0 = 8,
    RR_Q_Q4_K = 12,
    RR_Q_Q5_K = 13,
    RR_Q_Q6_K = 14,
    RR_Q_BF16 = 30
} rr_qtype;

typedef struct rr_qtype_info {
    rr_qtype type;
    const char *name;       /* "Q4_K" */
    uint32_t block_weights; /* weights a block of the file */
    uint32_t block_bytes;
    uint32_t lo_bits, hi_bits;         /* device planes, bits a weight */
    uint32_t scale_bytes, super_bytes; /* a group, a super-block of 256; 0 = no such plane */
    uint32_t group_weights;            /* 32, 64 or 128 */
    uint32_t zero_bits;                /* a group, 4 or 8; 0 = no such plane */
} rr_qtype_info;

/* The row of a type, NULL when the type is not supported. */
const rr_qtype_info *rr_qtype_get(uint32_t gguf_type);
/* The type of a name as in the table, in any case; false when there is none. */
bool rr_qtype_named(const char *name, rr_qtype *out);
/* All rows, for tables and tests. */
const rr_qtype_info *rr_qtype_all(size_t *n);

/* Half precision, bit exact (subnormals, infinities, NaN kept). */
float rr_f16_to_f32(uint16_t half);
uint16_t rr_f32_to_f16(float value); /* round to nearest even */
float rr_bf16_to_f32(uint16_t half);

/* Unpacks `cols` weights (a multiple of block_weights) of a row of the file's blocks. */
void rr_blocks_unpack(rr_qtype type, const void *blocks, uint32_t cols, float *out);

/* Packs floats into the file's blocks by the plain rounding of the GGUF reference quantizers
 * (search-free). For tests and synthetic models; every type. cols is a multiple of
 * block_weights. */
void rr_blocks_quantize(rr_qtype type, const float *weights, uint32_t cols, void *blocks);

/* The same with scales (and minima) searched for the least sum of importance * error^2, for models
 * to be kept. importance: [cols], not negative, in any unit; NULL = the same for all. F32, F16 and
 * BF16 are rounded. Weights must lie within ±65504. Cost: 3 (Q8_0) to 40 (K formats) ns a weight. */
void rr_blocks_search(
    rr_qtype type, const float *weights, const float *importance, uint32_t cols, void *blocks);

/* Blocks of pseudo-random weights, their bits drawn directly and not by way of floats: mean 0,
 * standard deviation within a tenth of `deviation` (scales vary from block to block as in real
 * files), every code of the type in use, all values finite. A block depends on type, seed,
 * deviation and its index alone, and is the same on every machine: a tensor may be made in pieces
 * and from several threads. deviation: 1e-6 to 1, the size that a real model's weights have. Cost:
 * about a nanosecond for eight bytes. */
void rr_blocks_random(rr_qtype type, uint64_t seed, double deviation, uint64_t first_block,
    size_t n_blocks, void *blocks);

/* Of the bytes that rr_planes_pack and rr_lanes_pack_unit write: packed weights are kept on disk.
 * To be raised whenever either changes; tests/quant/test_packed.c tells. */
enum { RR_PACKED_VERSION = 1 };

/* Where a matrix's planes lie on the device, in bytes from its start. A plane that the type lacks
 * has offset and stride 0. */
typedef struct rr_planes {
    rr_qtype type;
    uint32_t rows, cols;
    uint64_t lo_offset, hi_offset, scale_offset, super_offset, zero_offset;
    uint32_t lo_stride, hi_stride, scale_stride, super_stride, zero_stride; /* bytes a row */
    uint64_t bytes; /* whole matrix, a multiple of 256 */
} rr_planes;

/* cols must be a multiple of 32 and of block_weights, rows > 0. Errors: RR_E_UNSUPPORTED,
 * RR_E_INPUT (does not fit 64 bits or the strides 32). */
rr_status rr_planes_plan(
    rr_qtype type, uint32_t rows, uint32_t cols, rr_planes *out, rr_diag *diag);

/* Makes the planes those of the rows from `rows` on; how many there are is left to the caller. */
void rr_planes_advance(rr_planes *planes, uint32_t rows);

/* Packs rows [row_begin, row_end) from the file's blocks (`blocks` = row 0) into the planes at
 * `device`. Padding bytes of those rows are zeroed. Cost: one pass over the bytes; call from
 * several threads on disjoint rows. Other bytes than before: raise RR_PACKED_VERSION. */
void rr_planes_pack(const rr_planes *planes, const void *blocks, uint32_t row_begin,
    uint32_t row_end, void *device);

/* The exact reference of what a kernel must read: one row of the planes as floats. */
void rr_planes_unpack_row(const rr_planes *planes, const void *device, uint32_t row, float *out);

#endif
