/* The ops of software devices: products of quantized activations with everything around them fused
 * in, five dispatches a layer. Layouts: weights as in quant/lanes.h, activations as in
 * lanes_code.h. What a norm follows is quantized as x[c] * norm[c]; the factor 1 / sqrt(mean(x^2) +
 * epsilon) of a row, `rms`, comes with the product's result. Sums over a row's groups run in
 * ascending order, so a result depends on its row alone. */
#ifndef RR_SHADERS_LANES_H
#define RR_SHADERS_LANES_H
#include "lanes_embed.h"
#include "lanes_gate_up.h"
#include "lanes_head.h"
#include "lanes_out.h"
#include "lanes_qkv.h"
#endif
