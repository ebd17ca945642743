/* Where activations lie in their buffer. Pure. */
#ifndef RR_COMPUTE_ACTIVATIONS_H
#define RR_COMPUTE_ACTIVATIONS_H

#include "runtime/compute/lora.h"

/* In bytes from the buffer's start; all f32 but for ids. */
typedef struct rr_activations {
    uint64_t x, h; /* [rows][d_model]: the residual stream, and its norm */
    uint64_t qkv;  /* [rows][(n_heads + 2 n_kv_heads) head_size] */
    uint64_t attn; /* [rows][n_heads head_size] */
    /* attention.h: scratch of the decode family; its counters are set to zero once */
    uint64_t split;
    uint64_t gate_up; /* [rows][2 d_ffn] */
    uint64_t act;     /* [rows][d_ffn] */
    uint64_t head_in; /* [logits_rows][d_model] */
    uint64_t logits;  /* [logits_rows][n_vocab] */
    uint64_t ids;     /* u32 [logits_rows] */
    uint64_t table;   /* [n_context][head_size / 2][2]: cos, sin */
    /* Of the q8 and the lanes graph, which need no head_in, and without adapters no h, gate_up and
     * act; codes and groups as in shaders/q8.glsl or shaders/lanes_code.h. */
    uint64_t h_codes, h_groups;       /* [rows][d_model] */
    uint64_t attn_codes, attn_groups; /* [rows][n_heads head_size] */
    uint64_t act_codes, act_groups;   /* [rows][d_ffn] */
    uint64_t rms;                     /* [rows]; from here on the lanes graph */
    uint64_t squares;                 /* [d_model / 32][rows] */
    uint64_t tickets;                 /* u32 [rows], 0 between passes */
    /* Of adapters: A x [rows][rr_lora_most], or in the lanes graph (shaders/lanes_lora.h) totals of
     * each input [rows][rr_lora_width], and sums of units. */
    uint64_t lora;
    uint64_t lora_totals[RR_LORA_INPUTS]; /* but for O */
    uint64_t lora_sums[RR_LORA_INPUTS];   /* QKV and GATE_UP have one; of O those of heads */
    uint64_t bytes;
} rr_activations;

rr_activations rr_activations_plan(
    const rr_model *model, rr_graph_kind graph, const rr_compute_limits *limits);

#endif
