#include "runtime/base/hash.h"

#include <string.h>

enum { LANES = 8 };

static inline uint64_t step(uint64_t hash, uint64_t word) {
    hash ^= word;
    return (hash << 29 | hash >> 35) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t load(const uint8_t *from) {
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

uint64_t rr_hash(uint64_t seed, const void *data, uint64_t bytes) {
    const uint8_t *at = data;
    uint64_t left = bytes;
    uint64_t lanes[LANES];
    for (uint64_t i = 0; i < LANES; i++) {
        lanes[i] = seed + i * UINT64_C(0xbf58476d1ce4e5b9);
    }
    for (; left >= sizeof lanes; left -= sizeof lanes, at += sizeof lanes) {
        for (int i = 0; i < LANES; i++) {
            lanes[i] = step(lanes[i], load(at + 8 * i));
        }
    }
    uint64_t hash = step(seed, bytes);
    for (int i = 0; i < LANES; i++) {
        hash = step(hash, lanes[i]);
    }
    for (; left >= 8; left -= 8, at += 8) {
        hash = step(hash, load(at));
    }
    if (left > 0) {
        uint64_t word = 0;
        memcpy(&word, at, (size_t)left);
        hash = step(hash, word);
    }
    hash ^= hash >> 32;
    hash *= UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 31;
}

uint64_t rr_fnv1a(const void *data, size_t bytes) {
    const unsigned char *at = data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}
