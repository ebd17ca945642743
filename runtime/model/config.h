/* The configuration of a model: its sizes and constants, and which of them this program computes.
 * Owns: the limits. Where the numbers stand in a file is its reader's. */
#ifndef RR_MODEL_CONFIG_H
#define RR_MODEL_CONFIG_H

#include "runtime/base/status.h"

enum { RR_MODEL_MAX_LAYERS = 128, RR_MODEL_MAX_VOCAB = 1 << 24, RR_CONFIG_MAX_HEAD_SIZE = 128 };

/* Positions stretched as YaRN does (https://arxiv.org/abs/2309.00071), at every length of the text.
 * factor 0 = positions as they are. */
typedef struct rr_yarn {
    double factor;
    double original_context; /* tokens that the model was trained for before */
    double attention_factor; /* of cos and sin */
    double beta_fast, beta_slow;
    bool truncate; /* the borders of the ramp to whole dimensions */
} rr_yarn;

typedef struct rr_model_config {
    uint32_t n_layers;
    uint32_t d_model;
    uint32_t n_heads;    /* query heads */
    uint32_t n_kv_heads; /* n_heads is a multiple, 2 to 8 (also 1) query heads a KV head */
    uint32_t head_size;  /* 64 or 128 (smaller powers of two ≥ 16 are accepted for test models) */
    uint32_t d_ffn;
    uint32_t n_vocab;
    uint32_t n_context; /* tokens the model was trained for */
    float rope_theta;
    rr_yarn yarn;
    float rms_epsilon;
    bool tied; /* the output matrix is the embedding matrix */
} rr_model_config;

/* The sizes of a configuration that have a range of their own. A reader goes through them, so that
 * each is bounded before anything is computed from it. */
typedef struct rr_config_size {
    size_t place; /* in rr_model_config, of a uint32_t */
    uint32_t least, most;
} rr_config_size;

typedef enum rr_config_field {
    RR_CONFIG_LAYERS,
    RR_CONFIG_D_MODEL,
    RR_CONFIG_D_FFN,
    RR_CONFIG_HEADS,
    RR_CONFIG_KV_HEADS,
    RR_CONFIG_CONTEXT,
    RR_CONFIG_SIZE_COUNT
} rr_config_field;
const rr_config_size *rr_config_size_at(rr_config_field field);

/* Whether the sizes go together and the kernels can compute them; `label` names the file in
 * messages. head_size 0 = d_model / n_heads, and is set. Errors: RR_E_UNSUPPORTED, RR_E_INPUT. */
rr_status rr_config_check(rr_model_config *config, const char *label, rr_diag *diag);

#endif
