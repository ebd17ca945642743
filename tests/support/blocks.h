/* Random blocks of the file's weight formats: every code, every scale bit, all scales finite.
 * The bytes are splitmix64 outputs from `seed`, eight at a time, little endian; then bit 14 of each
 * half (bit 30 of each F32) is cleared, which keeps magnitudes below 2. */
#ifndef RR_TESTS_BLOCKS_H
#define RR_TESTS_BLOCKS_H

#include "quant/quant.h"

void rr_random_blocks(rr_qtype type, uint64_t seed, size_t n_blocks, void *out);
void rr_random_bytes(uint64_t seed, size_t n, void *out);

#endif
