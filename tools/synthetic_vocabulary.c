/* The keys of a synthetic model. The tokens after the 256 bytes, in this order until n_normal is
 * reached:
 *   two letters (26²), a space and a letter (26), a space and two letters (26²), three letters
 *   (26³), a space and three letters (26³), four letters; a, b, … stand for bytes 'a', 'b', … and
 *   each token's merge joins two earlier tokens. */
#include "tools/synthetic.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ROOM = 24,
    LETTERS = 26,
    PAIRS = LETTERS * LETTERS,
    TRIPLES = PAIRS * LETTERS,
    N_BYTES = 256
};
#define SPACE "\xC4\xA0" /* U+0120 stands for a space */

/* Qwen2.5's, from the first token that is not normal. */
static const char *const specials[] = {
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
};
enum { N_SPECIALS = sizeof specials / sizeof specials[0] };
/* tokenizer.ggml.token_type */
enum { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_USER = 4, TOKEN_UNUSED = 5 };

/* The byte alphabet of GPT-2: what prints stands for itself, the other bytes for U+0100 and up; in
 * this order. */
static void byte_token(uint32_t index, char out[ROOM]) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0x21, 0x7E}, {0xA1, 0xAC}, {0xAE, 0xFF}, {0x100, 0x143}};
    uint32_t code = index;
    for (int r = 0; r < 4; r++) {
        uint32_t n = ranges[r].last - ranges[r].first + 1;
        if (code < n) {
            code += ranges[r].first;
            break;
        }
        code -= n;
    }
    if (code < 0x80) {
        snprintf(out, ROOM, "%c", (int)code);
    } else {
        snprintf(out, ROOM, "%c%c", (int)(0xC0 | code >> 6), (int)(0x80 | (code & 63)));
    }
}

/* `n` letters that count in base 26. */
static void letters(uint32_t value, int n, char *out) {
    out[n] = '\0';
    for (int i = n - 1; i >= 0; i--, value /= LETTERS) {
        out[i] = (char)('a' + value % LETTERS);
    }
}

/* Token N_BYTES + index as the two tokens that it is made of. */
static void merged_token(uint32_t index, char left[ROOM], char right[ROOM]) {
    static const struct {
        uint32_t n;
        bool space;
        int left, right;
    } classes[] = {{PAIRS, false, 1, 1}, {LETTERS, true, 0, 1}, {PAIRS, true, 0, 2},
        {TRIPLES, false, 2, 1}, {TRIPLES, true, 2, 1}, {PAIRS * PAIRS, false, 2, 2}};
    size_t c = 0;
    while (index >= classes[c].n) {
        index -= classes[c++].n;
    }
    char text[8];
    letters(index, classes[c].left + classes[c].right, text);
    snprintf(left, ROOM, "%s%.*s", classes[c].space ? SPACE : "", classes[c].left, text);
    snprintf(right, ROOM, "%s", text + classes[c].left);
}

typedef struct text_table { /* texts of ROOM bytes each */
    char *text;
    const char **items;
} text_table;

static bool table_make(uint32_t n, text_table *out) {
    out->text = calloc(n, ROOM);
    out->items = calloc(n, sizeof *out->items);
    for (uint32_t i = 0; out->text != NULL && out->items != NULL && i < n; i++) {
        out->items[i] = out->text + (size_t)i * ROOM;
    }
    return out->text != NULL && out->items != NULL;
}

static void table_free(text_table *table) {
    free(table->text);
    free(table->items);
}

static void fill(
    const rr_synthetic_shape *shape, text_table *tokens, text_table *merges, int32_t *types) {
    for (uint32_t i = 0; i < shape->n_vocab; i++) {
        char *to = tokens->text + (size_t)i * ROOM;
        types[i] = TOKEN_NORMAL;
        if (i < N_BYTES) {
            byte_token(i, to);
        } else if (i < shape->n_normal) {
            char left[ROOM], right[ROOM];
            merged_token(i - N_BYTES, left, right);
            /* left and right have six letters at most, and a space two bytes */
            snprintf(to, ROOM, "%.11s%.11s", left, right);
            snprintf(merges->text + (size_t)(i - N_BYTES) * ROOM, ROOM, "%.11s %.11s", left, right);
        } else if (i < shape->n_normal + N_SPECIALS) {
            const char *special = specials[i - shape->n_normal];
            snprintf(to, ROOM, "%s", special);
            types[i] = special[1] == '|' ? TOKEN_CONTROL : TOKEN_USER;
        } else {
            snprintf(to, ROOM, "[PAD%u]", i);
            types[i] = TOKEN_UNUSED;
        }
    }
}

static rr_status put_vocabulary(
    const rr_synthetic_shape *shape, rr_gguf_writer *writer, rr_diag *diag) {
    text_table tokens = {0}, merges = {0};
    int32_t *types = calloc(shape->n_vocab, sizeof *types);
    bool ok = types != NULL && table_make(shape->n_vocab, &tokens) &&
        table_make(shape->n_normal - N_BYTES, &merges);
    if (ok) {
        fill(shape, &tokens, &merges, types);
        rr_gw_string(writer, "tokenizer.ggml.model", "gpt2");
        rr_gw_string(writer, "tokenizer.ggml.pre", "qwen2");
        rr_gw_strings(writer, "tokenizer.ggml.tokens", tokens.items, shape->n_vocab);
        rr_gw_i32s(writer, "tokenizer.ggml.token_type", types, shape->n_vocab);
        rr_gw_strings(writer, "tokenizer.ggml.merges", merges.items, shape->n_normal - N_BYTES);
        rr_gw_u32(writer, "tokenizer.ggml.eos_token_id", shape->n_normal + 2);
        rr_gw_u32(writer, "tokenizer.ggml.padding_token_id", shape->n_normal);
        rr_gw_u32(writer, "tokenizer.ggml.bos_token_id", shape->n_normal);
        rr_gw_bool(writer, "tokenizer.ggml.add_bos_token", false);
        ok = !writer->keys.failed;
    }
    table_free(&tokens);
    table_free(&merges);
    free(types);
    return ok
        ? RR_OK
        : rr_fail(diag, RR_E_MEMORY, "out of memory for a vocabulary of %u tokens", shape->n_vocab);
}

rr_status rr_synthetic_keys(const rr_synthetic_shape *shape, const rr_synthetic_type *type,
    rr_gguf_writer *writer, rr_diag *diag) {
    char name[64];
    snprintf(name, sizeof name, "Qwen2.5 %s with random weights", shape->name);
    rr_gw_string(writer, "general.architecture", "qwen2");
    rr_gw_string(writer, "general.type", "model");
    rr_gw_string(writer, "general.name", name);
    rr_gw_u32(writer, "general.file_type", type->file_type);
    rr_gw_u32(writer, "general.quantization_version", 2);
    rr_gw_u32(writer, "qwen2.block_count", shape->n_layers);
    rr_gw_u32(writer, "qwen2.context_length", shape->n_context);
    rr_gw_u32(writer, "qwen2.embedding_length", shape->d_model);
    rr_gw_u32(writer, "qwen2.feed_forward_length", shape->d_ffn);
    rr_gw_u32(writer, "qwen2.attention.head_count", shape->n_heads);
    rr_gw_u32(writer, "qwen2.attention.head_count_kv", shape->n_kv_heads);
    rr_gw_f32(writer, "qwen2.rope.freq_base", 1e6f);
    rr_gw_f32(writer, "qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
    return put_vocabulary(shape, writer, diag);
}
