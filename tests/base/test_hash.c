/* The checksum: every byte and the length count, wherever they lie; recorded values, as files hold
 * them. */
#include "runtime/base/hash.h"
#include "tests/check.h"

int main(void) {
    enum { N = 300 };
    static uint8_t bytes[N + 1];
    for (int i = 0; i < N; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    for (uint64_t n = 0; n <= N; n++) {
        uint64_t hash = rr_hash(5, bytes, n);
        CHECK(hash != rr_hash(6, bytes, n));
        CHECK(hash != rr_hash(5, bytes, n + 1)); /* also where the byte is 0 */
        for (uint64_t at = 0; at < n; at++) {
            bytes[at] ^= 0x80;
            CHECK_MSG(rr_hash(5, bytes, n) != hash, "byte %" PRIu64 " of %" PRIu64, at, n);
            bytes[at] ^= 0x80;
        }
    }
    /* the top bits of two words of one lane do not cancel */
    uint64_t whole = rr_hash(0, bytes, 256);
    bytes[7] ^= 0x80;
    bytes[71] ^= 0x80;
    CHECK(rr_hash(0, bytes, 256) != whole);
    CHECK(rr_hash(0, "", 0) == UINT64_C(0xff536d0a0aaaab8f) &&
        rr_hash(1, "rearank", 7) == UINT64_C(0x1a561b972e9f87cf));
    /* as its authors give them */
    CHECK(rr_fnv1a("", 0) == UINT64_C(0xcbf29ce484222325) &&
        rr_fnv1a("a", 1) == UINT64_C(0xaf63dc4c8601ec8c) &&
        rr_fnv1a("foobar", 6) == UINT64_C(0x85944171f73967e8));
    return CHECK_END();
}
