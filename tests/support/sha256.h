/* SHA-256 (FIPS 180-4), for comparing with digests that other programs made. */
#ifndef RR_TESTS_SHA256_H
#define RR_TESTS_SHA256_H

#include <stddef.h>

/* The digest as 64 hex digits and a NUL. */
void rr_sha256_hex(const void *data, size_t bytes, char out[65]);

#endif
