#include "tests/support/synth.h"

#include "runtime/base/file_out.h"
#include "runtime/base/hash.h"
#include "runtime/model/gguf_source.h"
#include "runtime/model/gguf_writer.h"
#include "tests/support/folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int value_at(uint64_t start, uint64_t index) {
    uint64_t z = start + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z = z ^ z >> 31;
    return (int)((z >> 32) * 255 >> 32) - 127;
}

/* The state of one build; the first failure sticks. */
typedef struct builder {
    rr_synth p;
    rr_gguf_writer writer;
    rr_status status;
    rr_diag *diag;
} builder;

/* n / divisor + base for all values of a matrix in the type asked for. */
static void add(builder *b, const char *name, rr_qtype type, uint32_t rows, uint32_t cols,
    float divisor, float base) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    if (b->status != RR_OK) {
        return;
    }
    if (info == NULL || rows == 0 || cols == 0 || cols % info->block_weights != 0) {
        b->status =
            rr_fail(b->diag, RR_E_INPUT, "synthetic %s: type %u cannot hold %u rows of %u columns",
                name, (unsigned)type, rows, cols);
        return;
    }
    size_t row_bytes = (size_t)(cols / info->block_weights) * info->block_bytes;
    float *row = malloc(cols * sizeof *row);
    unsigned char *data = malloc(rows * row_bytes);
    if (row == NULL || data == NULL) {
        b->status = rr_fail(b->diag, RR_E_MEMORY, "synthetic %s: out of memory", name);
    } else {
        uint64_t start = rr_fnv1a(name, strlen(name)) ^ b->p.seed;
        for (uint32_t r = 0; r < rows; r++) {
            for (uint32_t c = 0; c < cols; c++) {
                row[c] = base + (float)value_at(start, (uint64_t)r * cols + c) / divisor;
            }
            rr_blocks_quantize(type, row, cols, data + r * row_bytes);
        }
        uint64_t dims[2] = {cols, rows};
        rr_gw_tensor(
            &b->writer, name, rows == 1 ? 1 : 2, dims, (uint32_t)type, data, rows * row_bytes);
    }
    free(data);
    free(row);
}

static float matrix_divisor(uint32_t cols, uint64_t gain) {
    uint64_t power = 1; /* 4^e */
    float divisor = 1.0f;
    while (power * gain * gain < 5419 * (uint64_t)cols) {
        power *= 4;
        divisor *= 2.0f;
    }
    return divisor;
}

static void add_matrix(
    builder *b, const char *name, rr_qtype type, uint32_t rows, uint32_t cols, uint64_t gain) {
    add(b, name, type, rows, cols, matrix_divisor(cols, gain), 0.0f);
}

static void add_norm(builder *b, const char *name) {
    add(b, name, b->p.vectors, 1, b->p.d_model, 512.0f, 1.0f);
}

static void add_bias(builder *b, const char *name, uint32_t n) {
    add(b, name, b->p.vectors, 1, n, 256.0f, 0.0f);
}

static void add_layer(builder *b, uint32_t layer) {
    const rr_synth *p = &b->p;
    uint32_t q_rows = p->n_heads * p->head_size, kv_rows = p->n_kv_heads * p->head_size;
    char name[64];
#define NAME(part) (snprintf(name, sizeof name, "blk.%u.%s", layer, part), name)
    add_norm(b, NAME("attn_norm.weight"));
    add_matrix(b, NAME("attn_q.weight"), p->qkv, q_rows, p->d_model, 2);
    add_bias(b, NAME("attn_q.bias"), q_rows);
    add_matrix(b, NAME("attn_k.weight"), p->qkv, kv_rows, p->d_model, 2);
    add_bias(b, NAME("attn_k.bias"), kv_rows);
    add_matrix(b, NAME("attn_v.weight"), p->qkv, kv_rows, p->d_model, 1);
    add_bias(b, NAME("attn_v.bias"), kv_rows);
    add_matrix(b, NAME("attn_output.weight"), p->o, p->d_model, q_rows, 2);
    add_norm(b, NAME("ffn_norm.weight"));
    add_matrix(b, NAME("ffn_gate.weight"), p->gate_up, p->d_ffn, p->d_model, 2);
    add_matrix(b, NAME("ffn_up.weight"), p->gate_up, p->d_ffn, p->d_model, 2);
    add_matrix(b, NAME("ffn_down.weight"), p->down, p->d_model, p->d_ffn, 2);
#undef NAME
}

/* Each merge makes a token from two earlier ones. */
#define SPACE "\xC4\xA0" /* U+0120 stands for a space */
static const char *const merges[RR_SYNTH_N_MERGES] = {SPACE " t", "h e", "i n", "r e", "o n",
    SPACE "t he", "e r", SPACE " a", "s t", "n d", "a t", SPACE "a nd", "in g", "e n", SPACE " [",
    "o u", SPACE " o", "a n", SPACE " >", SPACE "o f", "t h", "e s", "es s", SPACE " s"};

/* GPT-2's printable stand-in of a byte. Ids 0…187 are the bytes that print as they are, 188…255 the
 * others. */
static uint32_t byte_order(uint8_t order[256]) {
    uint32_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int byte = 0; byte < 256; byte++) {
            bool prints =
                (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
            if (prints == (pass == 0)) {
                order[n++] = (uint8_t)byte;
            }
        }
    }
    return n;
}

static void add_vocabulary(builder *b) {
    enum { ROOM = 32 };
    uint32_t n = b->p.n_vocab;
    char *text = calloc(n, ROOM);
    const char **tokens = calloc(n, sizeof *tokens);
    int32_t *types = calloc(n, sizeof *types);
    if (text == NULL || tokens == NULL || types == NULL) {
        b->status = rr_fail(b->diag, RR_E_MEMORY, "synthetic vocabulary: out of memory");
        goto done;
    }
    uint8_t order[256];
    byte_order(order);
    for (uint32_t i = 0; i < n; i++) {
        static const char *const special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
        char *to = text + (size_t)i * ROOM;
        types[i] = 1; /* normal */
        if (i < 256) {
            uint32_t code = i < 188 ? order[i] : 256 + (i - 188);
            bool ascii = code < 0x80;
            snprintf(to, ROOM, "%c%c", ascii ? (int)code : (int)(0xC0 | code >> 6),
                ascii ? 0 : (int)(0x80 | (code & 63)));
        } else if (i < 256 + RR_SYNTH_N_MERGES) {
            const char *merge = merges[i - 256], *space = strchr(merge, ' ');
            snprintf(to, ROOM, "%.*s%s", (int)(space - merge), merge, space + 1);
        } else if (i < RR_SYNTH_MIN_VOCAB) {
            snprintf(to, ROOM, "%s", special[i - 256 - RR_SYNTH_N_MERGES]);
            types[i] = 3; /* control */
        } else {
            snprintf(to, ROOM, "[PAD%u]", i);
            types[i] = 5; /* unused */
        }
        tokens[i] = to;
    }
    rr_gw_string(&b->writer, "tokenizer.ggml.model", "gpt2");
    rr_gw_string(&b->writer, "tokenizer.ggml.pre", "qwen2");
    rr_gw_strings(&b->writer, "tokenizer.ggml.tokens", tokens, n);
    rr_gw_i32s(&b->writer, "tokenizer.ggml.token_type", types, n);
    rr_gw_strings(&b->writer, "tokenizer.ggml.merges", merges, RR_SYNTH_N_MERGES);
    rr_gw_u32(&b->writer, "tokenizer.ggml.eos_token_id", RR_SYNTH_MIN_VOCAB - 1);
    rr_gw_u32(&b->writer, "tokenizer.ggml.padding_token_id", RR_SYNTH_MIN_VOCAB - 3);
    rr_gw_u32(&b->writer, "tokenizer.ggml.bos_token_id", RR_SYNTH_MIN_VOCAB - 3);
    rr_gw_bool(&b->writer, "tokenizer.ggml.add_bos_token", false);
done:
    free(types);
    free(tokens);
    free(text);
}

static uint32_t or_default(uint32_t value, uint32_t other) {
    return value != 0 ? value : other;
}

static void fill_defaults(rr_synth *p) {
    p->n_layers = or_default(p->n_layers, 2);
    p->d_model = or_default(p->d_model, 64);
    p->n_heads = or_default(p->n_heads, 4);
    p->n_kv_heads = or_default(p->n_kv_heads, 2);
    p->head_size = or_default(p->head_size, 16);
    p->d_ffn = or_default(p->d_ffn, 128);
    p->n_vocab = or_default(p->n_vocab, 320);
    p->n_context = or_default(p->n_context, 512);
    p->rope_theta = p->rope_theta != 0.0f ? p->rope_theta : 1e6f;
    p->rms_epsilon = p->rms_epsilon != 0.0f ? p->rms_epsilon : 1e-6f;
}

rr_status rr_synth_build(const rr_synth *params, rr_buf *out, rr_diag *diag) {
    builder b = {.p = *params, .diag = diag};
    rr_synth *p = &b.p;
    fill_defaults(p);
    if (p->with_vocabulary && p->n_vocab < RR_SYNTH_MIN_VOCAB) {
        return rr_fail(diag, RR_E_INPUT,
            "synthetic vocabulary: %u tokens asked for, at least %d needed", p->n_vocab,
            RR_SYNTH_MIN_VOCAB);
    }
    b.writer.alignment = p->alignment;
    rr_gw_string(&b.writer, "general.architecture", "qwen2");
    rr_gw_string(&b.writer, "general.name", "synthetic");
    rr_gw_u32(&b.writer, "qwen2.block_count", p->n_layers);
    rr_gw_u32(&b.writer, "qwen2.context_length", p->n_context);
    rr_gw_u32(&b.writer, "qwen2.embedding_length", p->d_model);
    rr_gw_u32(&b.writer, "qwen2.feed_forward_length", p->d_ffn);
    rr_gw_u32(&b.writer, "qwen2.attention.head_count", p->n_heads);
    rr_gw_u32(&b.writer, "qwen2.attention.head_count_kv", p->n_kv_heads);
    rr_gw_f32(&b.writer, "qwen2.rope.freq_base", p->rope_theta);
    rr_gw_f32(&b.writer, "qwen2.attention.layer_norm_rms_epsilon", p->rms_epsilon);
    if (p->n_heads * p->head_size != p->d_model) {
        rr_gw_u32(&b.writer, "qwen2.attention.key_length", p->head_size);
        rr_gw_u32(&b.writer, "qwen2.attention.value_length", p->head_size);
    }
    if (p->with_vocabulary) {
        add_vocabulary(&b);
    }
    if (p->tied) {
        add_matrix(&b, "token_embd.weight", p->embedding, p->n_vocab, p->d_model, 4);
    } else {
        add(&b, "token_embd.weight", p->embedding, p->n_vocab, p->d_model, 128.0f, 0.0f);
    }
    for (uint32_t layer = 0; layer < p->n_layers; layer++) {
        add_layer(&b, layer);
    }
    add_norm(&b, "output_norm.weight");
    if (!p->tied && p->flat) {
        add(&b, "output.weight", p->output, p->n_vocab, p->d_model, INFINITY, 0.0f);
    } else if (!p->tied) {
        add_matrix(&b, "output.weight", p->output, p->n_vocab, p->d_model, 4);
    }
    rr_status written = rr_gw_finish(&b.writer, out);
    return b.status != RR_OK ? b.status
        : written != RR_OK   ? rr_fail(diag, written, "synthetic model: out of memory")
                             : RR_OK;
}

rr_status rr_synth_write(const rr_synth *params, const char *path, rr_diag *diag) {
    rr_buf file = {0};
    rr_status status = rr_synth_build(params, &file, diag);
    if (status == RR_OK) {
        status = rr_file_write_atomic(path, file.data, file.bytes, diag);
    }
    rr_buf_destroy(&file);
    return status;
}

void rr_synth_file(const rr_synth *params, char *path, size_t room) {
    rr_diag diag = {0};
    rr_test_file(path, room);
    if (rr_synth_write(params, path, &diag) != RR_OK) {
        fprintf(stderr, "%s: %s\n", path, diag.text);
        exit(1);
    }
}

rr_status rr_synth_open(const rr_synth *params, rr_buf *storage, rr_model **out, rr_diag *diag) {
    rr_source *source = NULL;
    RR_TRY(rr_synth_build(params, storage, diag));
    RR_TRY(rr_source_parse_gguf(storage->data, storage->bytes, "synthetic model", &source, diag));
    return rr_model_from_source(&source, out, diag);
}
