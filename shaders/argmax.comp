#version 460
// Arg max. Formula and layouts: argmax.h. One workgroup a row: strided scan, then a tree; ties go to the smaller column.
#include "common.glsl"
#include "argmax.h"
layout(local_size_x = 256) in;
const uint NOTHING = 0xFFFFFFFFu;
shared float best_value[256];
shared uint best_column[256];

bool better(float x, uint c, float than, uint than_c) {
    return x > than || (x == than && c < than_c) || (than_c == NOTHING && !isnan(x));
}

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint r = gl_WorkGroupID.x;
    rr_floats x = rr_floats(rr_at(p.x, r, p.cols * 4u));
    rr_floats more = rr_floats(rr_at(p.x, p.n_rows + r, p.cols * 4u));
    float value = 0.0;
    uint column = NOTHING;
    for (uint c = lane; c < p.cols; c += 256u) {
        float v = x.at[c];
        if (p.n_terms == 2u) {
            v += more.at[c];
            x.at[c] = v;
        }
        if (column == NOTHING ? !isnan(v) : v > value) {
            value = v;
            column = c;
        }
    }
    best_value[lane] = value;
    best_column[lane] = column;
    barrier();
    for (uint step = 128u; step > 0u; step >>= 1) {
        if (lane < step && best_column[lane + step] != NOTHING &&
            better(best_value[lane + step], best_column[lane + step], best_value[lane], best_column[lane])) {
            best_value[lane] = best_value[lane + step];
            best_column[lane] = best_column[lane + step];
        }
        barrier();
    }
    if (lane == 0u) {
        rr_words(p.y).at[r] = best_column[0] == NOTHING ? 0u : best_column[0];
    }
}
