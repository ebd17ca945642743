/* 64-bit hashes of bytes: against damage and for telling contents apart, not against forgery; both
 * are the same on every machine. Owns: nothing. Pure and thread safe. */
#ifndef RR_BASE_HASH_H
#define RR_BASE_HASH_H

#include "runtime/base/status.h"

/* For long runs of bytes. Takes eight words at a time, each into a lane of its own: h =
 * rotl(h ^ word, 29) * an odd constant, so that two different words never give the same h. Then it
 * folds in the lanes, the rest and the length in the same way. `seed` chains pieces. Some 10 GB/s a core. */
uint64_t rr_hash(uint64_t seed, const void *data, uint64_t bytes);

/* FNV-1a, for short texts and for what is stored with it; a byte at a time, below 1 GB/s. Its low
 * bits are weak: tables fold the high ones in. */
uint64_t rr_fnv1a(const void *data, size_t bytes);

#endif
