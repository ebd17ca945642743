/* Scales that are searched lose less than those of plain rounding, and than those of the quantizers
 * in llama.cpp, whose losses on the same weights stand here. */
#include "quant/quant.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

#include <math.h>

enum { N = 8192 };

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

/* Weights that matter as squares of a bell's values do. */
static void importances(float *out) {
    bell(99, out);
    for (int i = 0; i < N; i++) {
        out[i] = out[i] * out[i] + 0.01f;
    }
}

typedef void (*packer)(rr_qtype type, const float *in, const float *importance, void *blocks);

static void searched(rr_qtype type, const float *in, const float *importance, void *blocks) {
    rr_blocks_search(type, in, importance, N, blocks);
}

static void rounded(rr_qtype type, const float *in, const float *importance, void *blocks) {
    (void)importance;
    rr_blocks_quantize(type, in, N, blocks);
}

/* sum w (x - x')^2 / sum w x^2 */
static double loss_of(packer pack, rr_qtype type, const float *in, const float *importance) {
    static unsigned char blocks[N * 4 + 1];
    static float out[N];
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    const size_t bytes = (size_t)(N / info->block_weights) * info->block_bytes;
    blocks[bytes] = 0x5A;
    pack(type, in, importance, blocks);
    CHECK_INT(blocks[bytes], 0x5A);
    rr_blocks_unpack(type, blocks, N, out);
    double lost = 0.0, whole = 0.0;
    for (int i = 0; i < N; i++) {
        const double w = importance != NULL ? (double)importance[i] : 1.0;
        const double off = (double)in[i] - (double)out[i];
        lost += w * off * off;
        whole += w * (double)in[i] * (double)in[i];
    }
    return lost / whole;
}

static void loses_less(void) {
    /* ggml_quantize_chunk of llama.cpp 0c1e570 on bell(1): without importances, with importances()
     */
    static const struct {
        rr_qtype type;
        double plain, weighted;
    } peers[] = {
        {RR_Q_Q4_0, 0.007091278, 0.005523125},
        {RR_Q_Q4_1, 0.006039703, 0.003627046},
        {RR_Q_Q5_0, 0.00174779, 0.001320333},
        {RR_Q_Q5_1, 0.001337643, 0.0008295494},
        {RR_Q_Q8_0, 2.771125e-05, 2.729989e-05},
        {RR_Q_Q4_K, 0.004965523, 0.003755072},
        {RR_Q_Q5_K, 0.00126159, 0.0009403473},
        {RR_Q_Q6_K, 0.0003023083, 0.0002242387},
    };
    static float in[N], importance[N];
    bell(1, in);
    importances(importance);
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        const rr_qtype type = peers[i].type;
        const char *name = rr_qtype_get((uint32_t)type)->name;
        const double ours = loss_of(searched, type, in, NULL);
        const double weighted = loss_of(searched, type, in, importance);
        const double plain = loss_of(rounded, type, in, NULL);
        CHECK_MSG(ours <= plain, "%s: %g, plain rounding %g", name, ours, plain);
        CHECK_MSG(ours <= peers[i].plain, "%s: %g, llama.cpp %g", name, ours, peers[i].plain);
        CHECK_MSG(weighted <= peers[i].weighted, "%s: weighted %g, llama.cpp %g", name, weighted,
            peers[i].weighted);
    }
}

/* Weights that a format can hold come back as they were. */
static void keeps_what_fits(void) {
    static float in[N], out[N];
    static unsigned char blocks[N * 4];
    size_t n_types;
    const rr_qtype_info *types = rr_qtype_all(&n_types);
    for (size_t t = 0; t < n_types; t++) {
        memset(in, 0, sizeof in);
        rr_blocks_search(types[t].type, in, NULL, N, blocks);
        rr_blocks_unpack(types[t].type, blocks, N, out);
        for (int i = 0; i < N; i++) {
            CHECK_MSG(out[i] == 0.0f, "%s: zero %d became %g", types[t].name, i, (double)out[i]);
        }
        for (int i = 0; i < N; i++) {
            in[i] = (float)(i % 16 - 8) * 0.25f;
        }
        rr_blocks_search(types[t].type, in, NULL, N, blocks);
        rr_blocks_unpack(types[t].type, blocks, N, out);
        /* steps that are no power of two are rounded to f16, and in K formats to a 63rd */
        for (int i = 0; i < N; i++) {
            CHECK_MSG(fabsf(out[i] - in[i]) < 0.02f, "%s: %g became %g", types[t].name,
                (double)in[i], (double)out[i]);
        }
    }
}

/* Groups of one value, of one sign, of a single large weight and of very small ones. */
static void bears_odd_groups(void) {
    static float in[N], out[N];
    static unsigned char blocks[N * 4];
    size_t n_types;
    const rr_qtype_info *types = rr_qtype_all(&n_types);
    for (size_t t = 0; t < n_types; t++) {
        for (int i = 0; i < N; i++) {
            const int kind = i / 256 % 5;
            in[i] = kind == 0 ? 0.7f
                : kind == 1   ? -0.5f - (float)(i % 7) * 0.1f
                : kind == 2   ? 0.5f + (float)(i % 7) * 0.1f
                : kind == 3   ? (i % 256 == 9 ? 100.0f : 0.001f * (float)(i % 5))
                              : 1e-9f * (float)(i % 11 - 5);
        }
        rr_blocks_search(types[t].type, in, NULL, N, blocks);
        rr_blocks_unpack(types[t].type, blocks, N, out);
        for (int i = 0; i < N; i++) {
            const float bound = i / 256 % 5 == 3 ? 1.0f : 0.1f;
            CHECK_MSG(fabsf(out[i] - in[i]) <= bound, "%s: weight %d: %g became %g", types[t].name,
                i, (double)in[i], (double)out[i]);
        }
    }
}

int main(void) {
    loses_less();
    keeps_what_fits();
    bears_odd_groups();
    return CHECK_END();
}
