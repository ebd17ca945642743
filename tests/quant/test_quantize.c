/* The quantizer of tests and synthetic models: exact where a format can be exact, within half a
 * step elsewhere. */
#include "quant/quant.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

#include <float.h>
#include <math.h>

enum { N = 1024 };

/* Sums of uniform bytes: bell-shaped around 0. */
static void bell(uint64_t seed, float *out) {
    static unsigned char bytes[N * 8];
    rr_random_bytes(seed, sizeof bytes, bytes);
    for (int i = 0; i < N; i++) {
        int sum = 0;
        for (int b = 0; b < 8; b++) {
            sum += bytes[8 * i + b];
        }
        out[i] = (float)(sum - 1020) / 209.0f; /* standard deviation near 1 */
    }
}

static void round_trip(rr_qtype type, const float *in, float *out) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    size_t bytes = (size_t)(N / info->block_weights) * info->block_bytes;
    unsigned char *blocks = malloc(bytes + 1);
    blocks[bytes] = 0x5A;
    rr_blocks_quantize(type, in, N, blocks);
    CHECK_INT(blocks[bytes], 0x5A);
    rr_blocks_unpack(type, blocks, N, out);
    free(blocks);
}

static double rms_error(const float *a, const float *b) {
    double sum = 0.0;
    for (int i = 0; i < N; i++) {
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    }
    return sqrt(sum / N);
}

/* A weight that is no number, infinite or as large as can be: nothing but its own block suffers,
 * and all of it is defined (the sanitizers look at casts). One that is no number stays alone where
 * the format's scale is the peak of what has a magnitude. */
static void bears_what_is_no_weight(void) {
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX};
    static float in[N], out[N], again[N];
    size_t n_types;
    const rr_qtype_info *types = rr_qtype_all(&n_types);
    for (size_t t = 0; t < n_types; t++) {
        for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            bell(i, in);
            in[300] = odd[i];
            round_trip(types[t].type, in, out);
            round_trip(types[t].type, in, again);
            CHECK_MSG(memcmp(out, again, sizeof out) == 0, "%s with %g: another result",
                types[t].name, (double)odd[i]);
            const int begin = 300 / (int)types[t].block_weights * (int)types[t].block_weights,
                      end = begin + (int)types[t].block_weights;
            const rr_qtype type = types[t].type;
            const bool stays_alone =
                isnan(odd[i]) && (type == RR_Q_Q8_0 || type == RR_Q_Q4_0 || type == RR_Q_Q5_0);
            for (int w = 0; w < N; w++) {
                const bool suffers = stays_alone ? w == 300 : w >= begin && w < end;
                if (!suffers && !(fabsf(out[w] - in[w]) < 0.7f)) {
                    CHECK_MSG(false, "%s with %g: weight %d is %g, expected %g", types[t].name,
                        (double)odd[i], w, (double)out[w], (double)in[w]);
                    break;
                }
            }
        }
    }
}

int main(void) {
    bears_what_is_no_weight();
    /* what a format of that many bits leaves on bell-shaped weights; a misplaced code or scale is
     * off by far more */
    static const struct {
        rr_qtype type;
        double least, most;
    } bounds[] = {{RR_Q_F32, 0, 0}, {RR_Q_F16, 5e-5, 4e-4}, {RR_Q_BF16, 4e-4, 3e-3},
        {RR_Q_Q8_0, 3e-3, 8e-3}, {RR_Q_Q6_K, 0.01, 0.03}, {RR_Q_Q5_0, 0.02, 0.06},
        {RR_Q_Q5_1, 0.02, 0.05}, {RR_Q_Q5_K, 0.02, 0.05}, {RR_Q_Q4_0, 0.04, 0.12},
        {RR_Q_Q4_1, 0.04, 0.1}, {RR_Q_Q4_K, 0.04, 0.1}};
    static float in[N], out[N], again[N];
    size_t n;
    rr_qtype_all(&n);
    CHECK_INT(n, sizeof bounds / sizeof bounds[0]);
    for (size_t t = 0; t < n; t++) {
        const char *name = rr_qtype_get((uint32_t)bounds[t].type)->name;
        for (uint64_t seed = 0; seed < 5; seed++) {
            bell(seed, in);
            round_trip(bounds[t].type, in, out);
            double error = rms_error(in, out);
            CHECK_MSG(error >= bounds[t].least && error <= bounds[t].most,
                "%s: error %g, expected %g to %g", name, error, bounds[t].least, bounds[t].most);
        }
        /* zeros, constants, one spike, tiny values: finite, and near */
        for (int shape = 0; shape < 5; shape++) {
            float size = shape == 3 ? 1e-30f : shape == 4 ? 1e-6f : 0.75f;
            for (int i = 0; i < N; i++) {
                in[i] = shape == 0 ? 0.0f : shape == 2 ? (i == 37 ? -size : 0.0f) : size;
            }
            round_trip(bounds[t].type, in, out);
            for (int i = 0; i < N; i++) {
                float off = fabsf(out[i] - in[i]);
                if (!(off <= 0.02f * size || off <= 2e-6f)) {
                    CHECK_MSG(false, "%s: shape %d: weight %d is %g, expected %g", name, shape, i,
                        (double)out[i], (double)in[i]);
                    break;
                }
            }
        }
    }
    /* integers times a power of two are exact where each block's range fits the codes */
    static const struct {
        rr_qtype type;
        int low, high;
    } exact[] = {{RR_Q_Q4_0, -8, 7}, {RR_Q_Q4_1, 3, 18}, {RR_Q_Q5_0, -16, 15}, {RR_Q_Q5_1, -20, 11},
        {RR_Q_Q8_0, -127, 127}, {RR_Q_Q6_K, -32, 31}};
    for (size_t t = 0; t < sizeof exact / sizeof exact[0]; t++) {
        int span = exact[t].high - exact[t].low + 1;
        for (int i = 0; i < N; i++) {
            int code = i % 16 == 0 ? exact[t].low
                : i % 16 == 1      ? exact[t].high
                                   : exact[t].low + i * 7 % span;
            in[i] = (float)code * 0.03125f;
        }
        round_trip(exact[t].type, in, out);
        const char *name = rr_qtype_get((uint32_t)exact[t].type)->name;
        for (int i = 0; i < N; i++) {
            if (in[i] != out[i]) {
                CHECK_MSG(false, "%s: weight %d is %a, expected %a", name, i, (double)out[i],
                    (double)in[i]);
                break;
            }
        }
        round_trip(exact[t].type, out, again);
        CHECK_MSG(
            memcmp(out, again, sizeof out) == 0, "%s: a second pass changes the weights", name);
    }
    return CHECK_END();
}
