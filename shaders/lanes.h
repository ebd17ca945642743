/* The ops of software devices: W8A8 products with everything around them fused in, five dispatches a layer.
 * Layouts: weights as in quant/lanes.h. Activations are quantized once by whoever makes them: int8 [rows][cols], and per
 * group of 32 columns 8 bytes [rows][cols / 32]: f32 d, then the sums of the 16 first and the 16 last codes as first +
 * 65536 * last; a value is d * code, d = max |v| / 127, code = v / d to the nearest, ties to even. A group without a value
 * of 1e-30 or more is all zeros.
 * What a norm follows is quantized as x[c] * norm[c]; the factor 1 / sqrt(mean(x^2) + epsilon) of a row, `rms`, comes with
 * the product's result. Sums over a row's groups run in ascending order, so a result depends on its row alone. */
#ifndef RR_SHADERS_LANES_H
#define RR_SHADERS_LANES_H
#include "lanes_embed.h"
#include "lanes_qkv.h"
#include "lanes_out.h"
#include "lanes_gate_up.h"
#include "lanes_head.h"
#endif
