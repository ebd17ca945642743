/* How fast the pairs of a head turn with the position (RoPE), stretched or not.
 * Source: https://arxiv.org/abs/2104.09864; the stretching is that of transformers'
 * modeling_rope_utils.py. */
#ifndef RR_MODEL_ROPE_H
#define RR_MODEL_ROPE_H

#include "runtime/model/config.h"

/* cos and sin of every angle: [n_context][head_size / 2][2]. In double, then rounded: the precision
 * of devices' own functions is not enough. Pure. */
void rr_rope_table(const rr_model_config *config, uint32_t n_context, float *table);

#endif
