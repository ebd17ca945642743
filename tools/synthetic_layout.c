/* Shapes, and the types of their tensors. */
#include "tools/synthetic.h"

#include <math.h>
#include <stdio.h>

static const rr_synthetic_shape shapes[] = {
    /*  name layers d_model heads kv size d_ffn context  n_vocab n_normal tied */
    {"0.5b", 24, 896, 14, 2, 64, 4864, 32768, 151936, 151643, true},
    {"1.5b", 28, 1536, 12, 2, 128, 8960, 32768, 151936, 151643, true},
    {"3b", 36, 2048, 16, 2, 128, 11008, 32768, 151936, 151643, true},
    {"7b", 28, 3584, 28, 4, 128, 18944, 32768, 152064, 151643, false},
    {"14b", 48, 5120, 40, 8, 128, 13824, 32768, 152064, 151643, false},
    {"tiny", 2, 256, 4, 2, 64, 512, 8192, 2048, 1634, true},
};

static const rr_synthetic_type types[] = {
    {"q4_0", RR_Q_Q4_0, 0, 2},
    {"q4_1", RR_Q_Q4_1, 0, 3},
    {"q5_0", RR_Q_Q5_0, 0, 8},
    {"q5_1", RR_Q_Q5_1, 0, 9},
    {"q8_0", RR_Q_Q8_0, 0, 7},
    {"q4_k_s", RR_Q_Q4_K, 'S', 14},
    {"q4_k_m", RR_Q_Q4_K, 'M', 15},
    {"q5_k_s", RR_Q_Q5_K, 0, 16},
    {"q5_k_m", RR_Q_Q5_K, 'M', 17},
    {"q6_k", RR_Q_Q6_K, 0, 18},
    {"f16", RR_Q_F16, 0, 1},
    {"bf16", RR_Q_BF16, 0, 32},
    {"f32", RR_Q_F32, 0, 0},
};

const rr_synthetic_shape *rr_synthetic_shape_at(size_t index) {
    return index < sizeof shapes / sizeof shapes[0] ? &shapes[index] : NULL;
}

const rr_synthetic_type *rr_synthetic_type_at(size_t index) {
    return index < sizeof types / sizeof types[0] ? &types[index] : NULL;
}

typedef enum tensor_role { NORM, BIAS, EMBEDDING, OUTPUT, Q, K, V, O, GATE, UP, DOWN } tensor_role;
typedef enum length { ONE, D_MODEL, Q_ROWS, KV_ROWS, D_FFN, N_VOCAB } length;

typedef struct tensor_row {
    const char *name;
    tensor_role role;
    length rows, cols;
} tensor_row;

static const tensor_row layer_rows[] = {
    {"attn_norm.weight", NORM, ONE, D_MODEL},
    {"attn_q.weight", Q, Q_ROWS, D_MODEL},
    {"attn_q.bias", BIAS, ONE, Q_ROWS},
    {"attn_k.weight", K, KV_ROWS, D_MODEL},
    {"attn_k.bias", BIAS, ONE, KV_ROWS},
    {"attn_v.weight", V, KV_ROWS, D_MODEL},
    {"attn_v.bias", BIAS, ONE, KV_ROWS},
    {"attn_output.weight", O, D_MODEL, Q_ROWS},
    {"ffn_norm.weight", NORM, ONE, D_MODEL},
    {"ffn_gate.weight", GATE, D_FFN, D_MODEL},
    {"ffn_up.weight", UP, D_FFN, D_MODEL},
    {"ffn_down.weight", DOWN, D_MODEL, D_FFN},
};
enum { N_LAYER_ROWS = sizeof layer_rows / sizeof layer_rows[0] };
static const tensor_row embedding_row = {"token_embd.weight", EMBEDDING, N_VOCAB, D_MODEL};
static const tensor_row norm_row = {"output_norm.weight", NORM, ONE, D_MODEL};
static const tensor_row output_row = {"output.weight", OUTPUT, N_VOCAB, D_MODEL};

static uint32_t size_of(const rr_synthetic_shape *shape, length which) {
    switch (which) {
    case D_MODEL:
        return shape->d_model;
    case Q_ROWS:
        return shape->n_heads * shape->head_size;
    case KV_ROWS:
        return shape->n_kv_heads * shape->head_size;
    case D_FFN:
        return shape->d_ffn;
    case N_VOCAB:
        return shape->n_vocab;
    default:
        return 1;
    }
}

/* The quantizer's word for the first and last eighth of the layers and every third between. */
static bool use_more_bits(uint32_t layer, uint32_t n_layers) {
    uint32_t eighth = n_layers / 8;
    return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
}

static rr_qtype quantizer_choice(const rr_synthetic_shape *shape, const rr_synthetic_type *type,
    tensor_role role, uint32_t layer) {
    bool floats = type->type == RR_Q_F32 || type->type == RR_Q_F16 || type->type == RR_Q_BF16;
    if (!floats && type->type != RR_Q_Q8_0 &&
        (role == OUTPUT || (role == EMBEDDING && shape->tied))) {
        return RR_Q_Q6_K;
    }
    if (role != V && role != DOWN) {
        return type->type;
    }
    if (type->mix == 'M' && use_more_bits(layer, shape->n_layers)) {
        return RR_Q_Q6_K;
    }
    if (type->mix == 'S' && layer < (role == V ? 4 : shape->n_layers / 8)) {
        return RR_Q_Q5_K;
    }
    return type->type;
}

/* Rows that are no multiple of 256 long cannot be stored in a K type. */
static rr_qtype that_fits(rr_qtype type, uint32_t cols) {
    if (cols % rr_qtype_get((uint32_t)type)->block_weights == 0) {
        return type;
    }
    return type == RR_Q_Q4_K ? RR_Q_Q5_0 : type == RR_Q_Q5_K ? RR_Q_Q5_1 : RR_Q_Q8_0;
}

/* y = W x of an x with a mean square of 1 has a deviation of about gain. */
static double gain_of(const rr_synthetic_shape *shape, tensor_role role) {
    switch (role) {
    case OUTPUT:
        return 4.0;
    case EMBEDDING:
        return shape->tied ? 4.0 : 0.5 * sqrt(shape->d_model);
    case V:
        return 1.0;
    default:
        return 2.0;
    }
}

bool rr_synthetic_tensor_at(const rr_synthetic_shape *shape, const rr_synthetic_type *type,
    size_t index, rr_synthetic_tensor *out) {
    const size_t n_in_layers = (size_t)shape->n_layers * N_LAYER_ROWS;
    const tensor_row *row;
    uint32_t layer = 0;
    bool in_layer = index > 0 && index <= n_in_layers;
    if (in_layer) {
        layer = (uint32_t)((index - 1) / N_LAYER_ROWS);
        row = &layer_rows[(index - 1) % N_LAYER_ROWS];
    } else if (index == 0) {
        row = &embedding_row;
    } else if (index == n_in_layers + 1) {
        row = &norm_row;
    } else if (index == n_in_layers + 2 && !shape->tied) {
        row = &output_row;
    } else {
        return false;
    }
    *out =
        (rr_synthetic_tensor){.rows = size_of(shape, row->rows), .cols = size_of(shape, row->cols)};
    if (in_layer) {
        snprintf(out->name, sizeof out->name, "blk.%u.%s", layer, row->name);
    } else {
        snprintf(out->name, sizeof out->name, "%s", row->name);
    }
    if (row->role == NORM || row->role == BIAS) {
        out->type = RR_Q_F32;
        out->deviation = row->role == NORM ? 0.1 : 0.3;
        out->mean = row->role == NORM ? 1.0f : 0.0f;
    } else {
        out->type = that_fits(quantizer_choice(shape, type, row->role, layer), out->cols);
        out->deviation = gain_of(shape, row->role) / sqrt(out->cols);
    }
    return true;
}
