/* Deterministic little Qwen2 models as GGUF files: the same parameters give the same bytes on every
 * machine.
 *
 * Value i of the tensor NAME is an integer n in −127…127 times a power of two:
 *   h = FNV-1a of NAME's bytes, 64 bits (offset basis 0xcbf29ce484222325, prime 0x100000001b3)
 *   z = (h ^ seed) + (i + 1) * 0x9e3779b97f4a7c15
 *   z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;  z = (z ^ z >> 27) * 0x94d049bb133111eb;  z = z ^ z >>
 *     31   (splitmix64)
 *   n = ((z >> 32) * 255 >> 32) - 127
 * all modulo 2^64. i counts row by row, cols within a row.
 *   norms:    1 + n / 512
 *   biases:   n / 256
 *   matrices: n / 2^e, e the smallest integer ≥ 0 with 4^e * gain^2 >= 5419 * cols (5419 = the mean
 *   of n^2), that is, a
 *             standard deviation of 0.5 … 1 times gain / sqrt(cols). gain = 4 for token_embd and
 *             output, 2 for attn_q, attn_k, attn_output, ffn_gate, ffn_up, ffn_down, 1 for attn_v.
 *             An untied token_embd has e = 7.
 * Each is then stored in the type asked for (rr_blocks_quantize). */
#ifndef RR_TESTS_SYNTH_H
#define RR_TESTS_SYNTH_H

#include "runtime/model/model.h"

/* Zero means the default, given behind each field. */
typedef struct rr_synth {
    uint32_t n_layers;   /* 2 */
    uint32_t d_model;    /* 64 */
    uint32_t n_heads;    /* 4 */
    uint32_t n_kv_heads; /* 2 */
    uint32_t head_size;  /* 16 */
    uint32_t d_ffn;      /* 128 */
    uint32_t n_vocab;    /* 320; at least RR_SYNTH_MIN_VOCAB with a vocabulary */
    uint32_t n_context;  /* 512 */
    float rope_theta;    /* 1e6 */
    float rms_epsilon;   /* 1e-6 */
    /* Stored types; 0 = F32. Columns are d_model, but n_heads * head_size for attn_output and d_ffn
     * for ffn_down: a multiple of 32, and of 256 for the K types. */
    rr_qtype embedding, output, qkv, o, gate_up, down;
    rr_qtype vectors; /* norms and biases */
    bool tied;        /* no output.weight */
    bool flat;        /* output.weight is 0, and so is every logit */
    /* byte-level BPE keys: 256 bytes, merges, three special tokens, padding tokens up to n_vocab */
    bool with_vocabulary;
    uint32_t alignment; /* 32, and then without the key */
    uint64_t seed;
} rr_synth;

/* Tokens of the vocabulary before the padding: bytes, merged tokens, <|endoftext|> <|im_start|>
 * <|im_end|>. */
enum { RR_SYNTH_N_MERGES = 24, RR_SYNTH_MIN_VOCAB = 256 + RR_SYNTH_N_MERGES + 3 };

/* Appends the file. Errors: RR_E_INPUT (a shape that the stored type cannot hold), RR_E_MEMORY. */
rr_status rr_synth_build(const rr_synth *params, rr_buf *out, rr_diag *diag);
/* The same into a file. */
rr_status rr_synth_write(const rr_synth *params, const char *path, rr_diag *diag);
/* The same into a file of a test's own, whose path goes to `path`; ends the test when it cannot.
 * The caller removes it. */
void rr_synth_file(const rr_synth *params, char *path, size_t room);
/* Builds into `storage`, which must outlive the model, and opens it. */
rr_status rr_synth_open(const rr_synth *params, rr_buf *storage, rr_model **out, rr_diag *diag);

#endif
