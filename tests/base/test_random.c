/* The published first numbers of splitmix64 from 1234567. */
#include "runtime/base/random.h"
#include "tests/check.h"

int main(void) {
    static const uint64_t expected[] = {UINT64_C(6457827717110365317),
        UINT64_C(3203168211198807973), UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
        UINT64_C(16408922859458223821)};
    uint64_t state = 1234567;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        CHECK(rr_random(&state) == expected[i]);
    }
    return CHECK_END();
}
