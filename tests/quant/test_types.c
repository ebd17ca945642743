#include "quant/quant.h"
#include "tests/check.h"

int main(void) {
    /* weights and bytes a block as the GGUF specification gives them */
    static const struct {
        uint32_t number;
        const char *name;
        uint32_t weights, bytes;
    } expected[] = {{0, "F32", 1, 4}, {1, "F16", 1, 2}, {2, "Q4_0", 32, 18}, {3, "Q4_1", 32, 20},
        {6, "Q5_0", 32, 22}, {7, "Q5_1", 32, 24}, {8, "Q8_0", 32, 34}, {12, "Q4_K", 256, 144},
        {13, "Q5_K", 256, 176}, {14, "Q6_K", 256, 210}, {30, "BF16", 1, 2}};
    enum { N = sizeof expected / sizeof expected[0] };
    size_t n = 0, n_found = 0;
    const rr_qtype_info *all = rr_qtype_all(&n);
    CHECK_INT(n, N);
    for (size_t i = 0; i < N; i++) {
        const rr_qtype_info *info = rr_qtype_get(expected[i].number);
        CHECK_MSG(info != NULL, "type %u", expected[i].number);
        if (info == NULL) {
            continue;
        }
        CHECK_TEXT(info->name, expected[i].name);
        CHECK_INT(info->type, expected[i].number);
        CHECK_INT(info->block_weights, expected[i].weights);
        CHECK_INT(info->block_bytes, expected[i].bytes);
        CHECK(info >= all && info < all + n);
        /* the planes hold the bits of the file, no fewer; Q6_K pads its super-block entry, K scales
         * become whole bytes */
        double file_bits = 8.0 * info->block_bytes / info->block_weights;
        double plane_bits =
            info->lo_bits + info->hi_bits + info->scale_bytes / 4.0 + info->super_bytes / 32.0;
        CHECK_MSG(plane_bits >= file_bits && plane_bits <= file_bits + 0.13,
            "%s: %g bits in the file, %g in the planes", info->name, file_bits, plane_bits);
    }
    for (uint32_t type = 0; type < 300; type++) {
        n_found += rr_qtype_get(type) != NULL;
    }
    CHECK_INT(n_found, N);
    CHECK(rr_qtype_get(UINT32_MAX) == NULL);
    return CHECK_END();
}
