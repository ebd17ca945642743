#version 460
// Output projection and down projection with residual, norm weights, quantization. Formula and layouts: lanes.h.
// Grid: x = token tile, y = units of 32 rows, as many as a pass takes.
#include "common.glsl"
#include "lanes_out.h"
#include "lanes_common.glsl"
#include "lanes_format.glsl"
#define RR_PRODUCT rr_out_product
#define RR_PAIR rr_out_pair
#include "lanes_product.glsl"
#define RR_OUT rr_out
#define RR_OUT_PRODUCT rr_out_product
#include "lanes_out.glsl"

void main() {
    lane = gl_SubgroupInvocationID;
    t0 = gl_WorkGroupID.x * TOKENS;
    rr_out(p, gl_WorkGroupID.y, gl_NumWorkGroups.y);
}
