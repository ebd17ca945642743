#include "tests/support/blocks.h"

#include <string.h>

void rr_random_bytes(uint64_t seed, size_t n, void *out) {
    unsigned char *to = out;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t z = seed + (i / 8 + 1) * 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z = z ^ z >> 31;
        for (size_t b = 0; b < 8 && i + b < n; b++) {
            to[i + b] = (unsigned char)(z >> (8 * b));
        }
    }
}

/* Offset of the high byte of each float of a block, −1 = none. */
static void high_bytes(rr_qtype type, int places[2]) {
    places[1] = -1;
    switch (type) {
    case RR_Q_F32:
        places[0] = 3;
        break;
    case RR_Q_F16:
    case RR_Q_BF16:
    case RR_Q_Q4_0:
    case RR_Q_Q5_0:
    case RR_Q_Q8_0:
        places[0] = 1;
        break;
    case RR_Q_Q4_1:
    case RR_Q_Q5_1:
    case RR_Q_Q4_K:
    case RR_Q_Q5_K:
        places[0] = 1, places[1] = 3;
        break;
    case RR_Q_Q6_K:
        places[0] = 209;
        break;
    }
}

void rr_random_blocks(rr_qtype type, uint64_t seed, size_t n_blocks, void *out) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    unsigned char *block = out;
    int places[2] = {-1, -1};
    high_bytes(type, places);
    rr_random_bytes(seed, n_blocks * info->block_bytes, out);
    for (size_t i = 0; i < n_blocks; i++, block += info->block_bytes) {
        for (int p = 0; p < 2 && places[p] >= 0; p++) {
            block[places[p]] &= 0xBF;
        }
    }
}
