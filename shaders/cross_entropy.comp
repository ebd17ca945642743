#version 460
// Cross entropy and its gradient. Formula and layouts: cross_entropy.h. One workgroup a row, three walks over it: the largest
// logit, the sum of e^(z − largest), the gradient. Float sums: invocation i takes columns i, i + 256, … in order, then a
// fixed tree over the 256.
#include "common.glsl"
#include "cross_entropy.h"
layout(local_size_x = 256) in;
const float NONE = -3.0e38; // below every logit
shared float part[256];
uint lane;

// The largest, or the sum, of all invocations' values.
float reduce(float v, bool largest) {
    barrier();
    part[lane] = v;
    barrier();
    for (uint step = 128u; step > 0u; step >>= 1) {
        if (lane < step) {
            part[lane] = largest ? max(part[lane], part[lane + step]) : part[lane] + part[lane + step];
        }
        barrier();
    }
    return part[0];
}

bool is_admitted(uvec2 bits, uint c) {
    return p.admitted == uvec2(0u) || (rr_words(bits).at[c / 32u] >> (c % 32u) & 1u) != 0u;
}

void main() {
    lane = gl_LocalInvocationID.x;
    uint r = gl_WorkGroupID.x;
    rr_floats z = rr_floats(rr_at(p.z, r, p.cols * 4u));
    uvec2 bits = rr_at(p.admitted, r, (p.cols + 31u) / 32u * 4u);
    float v = NONE;
    for (uint c = lane; c < p.cols; c += 256u) {
        v = is_admitted(bits, c) ? max(v, z.at[c]) : v;
    }
    float largest = reduce(v, true);
    float sum = 0.0;
    for (uint c = lane; c < p.cols; c += 256u) {
        sum += is_admitted(bits, c) ? exp(z.at[c] - largest) : 0.0;
    }
    float total = reduce(sum, false);
    uint target = rr_words(p.targets).at[r];
    float weight = rr_floats(p.weights).at[r];
    if (lane == 0u) {
        rr_floats(p.log_p).at[r] = z.at[target] - largest - log(total);
    }
    barrier(); // the target's logit is read before it is overwritten
    float factor = weight / total;
    for (uint c = lane; c < p.cols; c += 256u) {
        float d = is_admitted(bits, c) ? exp(z.at[c] - largest) * factor : 0.0;
        z.at[c] = c == target ? d - weight : d;
    }
}
