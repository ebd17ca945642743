/* Random blocks: the moments that are promised, every code in use, the same bits whole and in
 * pieces. */
#include "quant/quant.h"
#include "runtime/base/hash.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

#include <math.h>

enum { N = 1 << 18 }; /* weights */

static void check_type(const rr_qtype_info *info, double deviation) {
    const size_t n_blocks = N / info->block_weights, bytes = n_blocks * info->block_bytes;
    unsigned char *blocks = malloc(bytes + 1), *pieces = malloc(bytes);
    float *values = malloc(N * sizeof *values);
    blocks[bytes] = 0x5A;
    rr_blocks_random(info->type, 7, deviation, 0, n_blocks, blocks);
    CHECK_INT(blocks[bytes], 0x5A);
    for (size_t first = 0, n; first < n_blocks; first += n) {
        n = n_blocks - first < 37 ? n_blocks - first : 37;
        rr_blocks_random(info->type, 7, deviation, first, n, pieces + first * info->block_bytes);
    }
    CHECK_MSG(memcmp(blocks, pieces, bytes) == 0, "%s: pieces differ from the whole", info->name);
    rr_blocks_random(info->type, 8, deviation, 0, n_blocks, pieces);
    CHECK_MSG(
        memcmp(blocks, pieces, bytes) != 0, "%s: another seed gives the same bits", info->name);

    rr_blocks_unpack(info->type, blocks, N, values);
    double sum = 0.0, squares = 0.0, highest = 0.0;
    for (int i = 0; i < N; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        highest = fmax(highest, fabs((double)values[i]));
    }
    double mean = sum / N, found = sqrt(squares / N);
    CHECK_MSG(fabs(mean) < 0.02 * deviation, "%s: mean %g, expected 0 beside a deviation of %g",
        info->name, mean, deviation);
    CHECK_MSG(fabs(found / deviation - 1.0) < 0.1, "%s: deviation %g, expected %g", info->name,
        found, deviation);
    CHECK_MSG(highest < 6.0 * deviation, "%s: a value of %g beside a deviation of %g", info->name,
        highest, deviation);
    free(values);
    free(pieces);
    free(blocks);
}

/* All codes of a type that has them occur, but for Q8_0's -128. */
static void check_codes(void) {
    static unsigned char blocks[34 * 4096];
    bool seen[256] = {false};
    rr_blocks_random(RR_Q_Q8_0, 1, 0.02, 0, 4096, blocks);
    for (int b = 0; b < 4096; b++) {
        for (int i = 2; i < 34; i++) {
            seen[blocks[34 * b + i]] = true;
        }
    }
    for (int code = 0; code < 256; code++) {
        CHECK_MSG(seen[code] == (code != 0x80), "Q8_0: code %d %s", (int8_t)code,
            seen[code] ? "occurs" : "is missing");
    }
}

int main(void) {
    size_t n;
    const rr_qtype_info *types = rr_qtype_all(&n);
    for (size_t t = 0; t < n; t++) {
        check_type(&types[t], 0.1);
        check_type(&types[t], 0.0145); /* of 18,944 columns: Q6_K has subnormal scales there */
    }
    check_codes();
    /* the same everywhere: found on x86-64 */
    unsigned char blocks[210 * 4];
    rr_blocks_random(RR_Q_Q6_K, 0, 0.03, 2, 4, blocks);
    CHECK_INT(rr_fnv1a(blocks, sizeof blocks) & 0xFFFFFFFF, 4072574345);
    return CHECK_END();
}
