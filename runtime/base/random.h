/* Pseudo-random numbers that are the same on every machine: splitmix64 (Steele, Lea, Flood 2014).
 * Not for secrets. */
#ifndef RR_BASE_RANDOM_H
#define RR_BASE_RANDOM_H

#include <stdint.h>

/* The next number; `state` may begin anywhere. */
static inline uint64_t rr_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
