// What the kernels of attention_grad.h for software devices share: one subgroup a workgroup, no shared memory. Query rows:
// branches.glsl.
#include "attention_grad.h"
#include "branches.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint MEMBERS = 8; // what a lane has in registers beside: query rows, or keys
layout(constant_id = 2) const uint WIDTH = 8;   // subgroup size, 8 or 16
layout(local_size_x_id = 2) in;
#include "lanes.glsl"
#include "lanes_reduce.glsl"
#include "lanes_stack.glsl"
#include "lanes_exp.glsl"
const float NONE = -3.0e38; // below every score; a finite stand-in for −infinity
const uint FOURS = HEAD_SIZE / 4;

uint lane;

void begin_lanes() {
    rr_align_stack(p.q, p.n_rows);
    lane = gl_SubgroupInvocationID;
    rr_begin_group();
}

// Halves 4 i … 4 i + 3.
vec4 load4(uvec2 base, uint i) {
    rr_words row = rr_words(base);
    return vec4(unpackHalf2x16(row.at[i * 2u]), unpackHalf2x16(row.at[i * 2u + 1u]));
}
