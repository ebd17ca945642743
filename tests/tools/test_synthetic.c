/* Synthetic models: sizes and types are those of the real files. */
#include "tests/check.h"
#include "tools/synthetic.h"

static const rr_synthetic_shape *shape_of(const char *name) {
    size_t i = 0;
    while (strcmp(rr_synthetic_shape_at(i)->name, name) != 0) {
        i++;
    }
    return rr_synthetic_shape_at(i);
}

static const rr_synthetic_type *type_of(const char *name) {
    size_t i = 0;
    while (strcmp(rr_synthetic_type_at(i)->name, name) != 0) {
        i++;
    }
    return rr_synthetic_type_at(i);
}

/* Parameters of all tensors as the model's card gives them, in millions, and GiB of the tensors. */
static void check_size(const char *shape, const char *type, double millions, double gib) {
    rr_synthetic_tensor t;
    double parameters = 0.0, bytes = 0.0;
    for (size_t i = 0; rr_synthetic_tensor_at(shape_of(shape), type_of(type), i, &t); i++) {
        const rr_qtype_info *info = rr_qtype_get((uint32_t)t.type);
        CHECK_MSG(t.cols % info->block_weights == 0, "%s %s: %s of %u columns as %s", shape, type,
            t.name, t.cols, info->name);
        parameters += (double)t.rows * t.cols;
        bytes += (double)t.rows * t.cols / info->block_weights * info->block_bytes;
    }
    CHECK_MSG(parameters / 1e6 > millions - 0.5 && parameters / 1e6 < millions + 0.5,
        "%s: %.1f million parameters, expected %.0f", shape, parameters / 1e6, millions);
    CHECK_MSG(bytes / 1073741824 > gib - 0.005 && bytes / 1073741824 < gib + 0.005,
        "%s %s: %.3f GiB, expected %.2f", shape, type, bytes / 1073741824, gib);
}

static void check_tensor(
    const char *shape, const char *type, const char *name, const char *expected) {
    rr_synthetic_tensor t;
    size_t i = 0;
    while (rr_synthetic_tensor_at(shape_of(shape), type_of(type), i, &t) &&
        strcmp(t.name, name) != 0) {
        i++;
    }
    CHECK_MSG(strcmp(t.name, name) == 0, "%s %s: no tensor %s", shape, type, name);
    CHECK_TEXT(rr_qtype_get((uint32_t)t.type)->name, expected);
}

int main(void) {
    /* what llama.cpp prints of files that its quantizer made from the published models */
    check_size("0.5b", "q4_0", 494, 0.32);
    check_size("0.5b", "f16", 494, 0.92);
    check_size("1.5b", "q4_k_m", 1544, 0.91);
    check_size("3b", "q4_k_m", 3086, 1.79);
    check_size("7b", "q4_0", 7616, 4.12);
    check_size("7b", "q4_k_m", 7616, 4.36);
    check_size("14b", "q4_k_m", 14770, 8.37);

    check_tensor("7b", "q4_k_m", "token_embd.weight", "Q4_K");
    check_tensor("7b", "q4_k_m", "output.weight", "Q6_K");
    check_tensor("7b", "q4_k_m", "blk.2.ffn_down.weight", "Q6_K");
    check_tensor("7b", "q4_k_m", "blk.3.ffn_down.weight", "Q4_K");
    check_tensor("7b", "q4_k_m", "blk.5.attn_v.weight", "Q6_K");
    check_tensor("7b", "q4_k_m", "blk.6.attn_v.weight", "Q4_K");
    check_tensor("7b", "q4_k_m", "blk.24.attn_v.weight", "Q6_K");
    check_tensor("7b", "q4_k_s", "blk.3.attn_v.weight", "Q5_K");
    check_tensor("7b", "q4_k_s", "blk.4.attn_v.weight", "Q4_K");
    check_tensor("7b", "q4_k_s", "blk.2.ffn_down.weight", "Q5_K");
    check_tensor("7b", "q4_k_s", "blk.3.ffn_down.weight", "Q4_K");
    check_tensor("7b", "q4_0", "token_embd.weight", "Q4_0");
    check_tensor("7b", "q4_0", "output.weight", "Q6_K");
    check_tensor("7b", "q8_0", "output.weight", "Q8_0");
    check_tensor("0.5b", "q4_0", "token_embd.weight", "Q8_0");
    check_tensor("0.5b", "q4_k_m", "blk.0.attn_q.weight", "Q5_0");
    check_tensor("0.5b", "q4_k_m", "blk.0.attn_v.weight", "Q8_0");
    check_tensor("0.5b", "q4_k_m", "blk.0.ffn_down.weight", "Q6_K");
    check_tensor("0.5b", "q4_k_m", "blk.3.ffn_down.weight", "Q4_K");
    check_tensor("0.5b", "q5_k_m", "blk.3.ffn_gate.weight", "Q5_1");
    check_tensor("0.5b", "q6_k", "blk.3.ffn_gate.weight", "Q8_0");
    check_tensor("0.5b", "bf16", "blk.0.ffn_norm.weight", "F32");
    return CHECK_END();
}
