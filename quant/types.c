/* The table of weight formats. */
#include "quant/quant.h"
#include "runtime/base/text.h"

static const rr_qtype_info all_types[] = {
    /*           name  weights bytes  lo hi  scale super  group zero */
    {RR_Q_F32, "F32", 1, 4, 32, 0, 0, 0, 32, 0},
    {RR_Q_F16, "F16", 1, 2, 16, 0, 0, 0, 32, 0},
    {RR_Q_BF16, "BF16", 1, 2, 16, 0, 0, 0, 32, 0},
    {RR_Q_Q4_0, "Q4_0", 32, 18, 4, 0, 2, 0, 32, 0},
    {RR_Q_Q4_1, "Q4_1", 32, 20, 4, 0, 4, 0, 32, 0},
    {RR_Q_Q5_0, "Q5_0", 32, 22, 4, 1, 2, 0, 32, 0},
    {RR_Q_Q5_1, "Q5_1", 32, 24, 4, 1, 4, 0, 32, 0},
    {RR_Q_Q8_0, "Q8_0", 32, 34, 8, 0, 2, 0, 32, 0},
    {RR_Q_Q4_K, "Q4_K", 256, 144, 4, 0, 2, 4, 32, 0},
    {RR_Q_Q5_K, "Q5_K", 256, 176, 4, 1, 2, 4, 32, 0},
    {RR_Q_Q6_K, "Q6_K", 256, 210, 4, 2, 2, 4, 32, 0},
};

const rr_qtype_info *rr_qtype_get(uint32_t gguf_type) {
    for (size_t i = 0; i < sizeof all_types / sizeof all_types[0]; i++) {
        if ((uint32_t)all_types[i].type == gguf_type) {
            return &all_types[i];
        }
    }
    return NULL;
}

bool rr_qtype_named(const char *name, rr_qtype *out) {
    for (size_t i = 0; i < sizeof all_types / sizeof all_types[0]; i++) {
        if (rr_ascii_same(all_types[i].name, name, SIZE_MAX)) {
            *out = all_types[i].type;
            return true;
        }
    }
    return false;
}

const rr_qtype_info *rr_qtype_all(size_t *n) {
    *n = sizeof all_types / sizeof all_types[0];
    return all_types;
}
