#version 460
// Gate and up projection, SwiGLU, quantization. Formula and layouts: lanes.h. Grid: x = token tile, y = unit of d_ffn.

#include "common.glsl"
#include "lanes_gate_up.h"
#include "lanes_common.glsl"
#include "lanes_format.glsl"
#define RR_PRODUCT rr_gate_up_product
#define RR_PAIR rr_gate_up_pair
#include "lanes_product.glsl"
#include "lanes_gate_up.glsl"

void main() {
    rr_align_stack(p.out_groups, p.n_tokens);
    lane = gl_SubgroupInvocationID;
    t0 = gl_WorkGroupID.x * TOKENS;
    rr_gate_up(p, gl_WorkGroupID.y);
}
