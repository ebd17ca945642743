#include "quant/put.h"

void rr_put_codes(const uint8_t codes[RR_GROUP], uint8_t *high, uint8_t *qs) {
    uint32_t bits = 0;
    for (int j = 0; j < 16; j++) {
        qs[j] = (uint8_t)((codes[j] & 15) | (codes[j + 16] & 15) << 4);
    }
    if (high != NULL) {
        for (int j = 0; j < RR_GROUP; j++) {
            bits |= (uint32_t)(codes[j] >> 4) << j;
        }
        rr_store_u32(high, bits);
    }
}

void rr_put_k_scales(const uint8_t scales[8], const uint8_t minima[8], uint8_t sc[12]) {
    memset(sc, 0, 12);
    for (int g = 0; g < 4; g++) {
        sc[g] = (uint8_t)(scales[g] | scales[g + 4] >> 4 << 6);
        sc[g + 4] = (uint8_t)(minima[g] | minima[g + 4] >> 4 << 6);
        sc[g + 8] = (uint8_t)((scales[g + 4] & 15) | (minima[g + 4] & 15) << 4);
    }
}

void rr_put_k_codes(const uint8_t codes[RR_SUPER], uint8_t *qh, uint8_t *qs) {
    memset(qs, 0, 128);
    if (qh != NULL) {
        memset(qh, 0, 32);
    }
    for (int g = 0; g < RR_SUPER / RR_GROUP; g++) {
        for (int i = 0; i < RR_GROUP; i++) {
            const uint8_t code = codes[g * RR_GROUP + i];
            qs[g / 2 * 32 + i] |= (uint8_t)((code & 15) << (g % 2 * 4));
            if (qh != NULL) {
                qh[i] |= (uint8_t)((code >> 4) << g);
            }
        }
    }
}

void rr_put_q6k_codes(const uint8_t codes[RR_SUPER], uint8_t *block) {
    memset(block, 0, 192);
    for (int w = 0; w < RR_SUPER; w++) {
        const int half = w / 128, j = w % 128 / 32, l = w % 32;
        block[half * 64 + j % 2 * 32 + l] |= (uint8_t)((codes[w] & 15) << (j / 2 * 4));
        block[128 + half * 32 + l] |= (uint8_t)((codes[w] >> 4) << (2 * j));
    }
}
