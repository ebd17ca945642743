#version 460
// lm_head. Formula and layouts: lanes.h. Grid: x = token tile, y = units of 32 rows, as many as a pass takes.

#include "common.glsl"
#include "lanes_head.h"
#include "lanes_common.glsl"
#include "lanes_format.glsl"
#define RR_PRODUCT rr_head_product
#define RR_PAIR rr_head_pair
#include "lanes_product.glsl"
#include "lanes_head.glsl"

void main() {
    rr_align_stack(p.rms, p.n_tokens);
    lane = gl_SubgroupInvocationID;
    t0 = gl_WorkGroupID.x * TOKENS;
    rr_head(p, gl_WorkGroupID.y);
}
