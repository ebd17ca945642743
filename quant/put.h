/* Codes and scales put into the file's blocks: the inverse of blocks.c.
 * Owns: nothing; for the files of this folder that choose codes. Pure, thread safe. */
#ifndef RR_QUANT_PUT_H
#define RR_QUANT_PUT_H

#include "quant/codec.h"

/* 32 codes as nibbles (Q4_0, Q4_1, Q5_0, Q5_1), and their fifth bits where `high` is given. */
void rr_put_codes(const uint8_t codes[RR_GROUP], uint8_t *high, uint8_t *qs);
/* Q4_K, Q5_K: scales and minima of six bits. */
void rr_put_k_scales(const uint8_t scales[8], const uint8_t minima[8], uint8_t sc[12]);
/* Q4_K, Q5_K: 256 codes, their fifth bits where `qh` is given. */
void rr_put_k_codes(const uint8_t codes[RR_SUPER], uint8_t *qh, uint8_t *qs);
/* Q6_K: 256 codes of six bits, as the first 192 bytes of the block. */
void rr_put_q6k_codes(const uint8_t codes[RR_SUPER], uint8_t *block);

#endif
