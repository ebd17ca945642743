#version 460
// q, k and v with bias, RoPE and KV write. Formula and layouts: lanes.h, rope.h.
// Grid: x = token tile, y = (head, unit of its first half); the second half's unit goes with it.
#include "common.glsl"
#include "lanes_qkv.h"
layout(constant_id = 5) const uint HEAD_SIZE = 64;
#include "lanes_common.glsl"
#include "lanes_format.glsl"
#define RR_PRODUCT rr_qkv_product
#define RR_PAIR rr_qkv_pair
#include "lanes_product.glsl"
#include "lanes_qkv.glsl"

void main() {
    rr_align_stack(p.rms, p.n_tokens);
    lane = gl_SubgroupInvocationID;
    t0 = gl_WorkGroupID.x * TOKENS;
    rr_qkv(p, gl_WorkGroupID.y);
}
