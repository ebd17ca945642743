#version 460
// Arithmetic roof. Formula: roof.h. Eight registers' worth of independent chains hide the latency of one step; steps are
// unrolled so that the loop itself costs little. Grid: n_groups workgroups. RR_KIND: 0 = f32, 1 = f16, 2 = dot.
#include "common.glsl"
#include "roof.h"
#if RR_KIND == 1
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define CHAIN f16vec4
#define N_CHAINS 8
#define STEP(v) fma(v, CHAIN(p.a), CHAIN(p.b))
#elif RR_KIND == 2
#extension GL_EXT_integer_dot_product : require
#define CHAIN ivec4
#define N_CHAINS 4
#define DOT(v) dotPacked4x8EXT(v, floatBitsToInt(p.a))
#define STEP(v) (v + ivec4(DOT((v).x), DOT((v).y), DOT((v).z), DOT((v).w)))
#else
#define CHAIN vec4
#define N_CHAINS 4
#define STEP(v) fma(v, CHAIN(p.a), CHAIN(p.b))
#endif
layout(local_size_x = RR_ROOF_LANES) in;

void main() {
    uint lane = gl_GlobalInvocationID.x;
    CHAIN x[N_CHAINS];
    [[unroll]] for (int c = 0; c < N_CHAINS; c++) {
        x[c] = CHAIN(uvec4(0u, 1u, 2u, 3u) + uint(4 * c) + lane % 8u);
    }
    for (uint i = 0u; i < p.n_loops; i++) {
        [[unroll]] for (int s = 0; s < RR_ROOF_STEPS; s++) {
            [[unroll]] for (int c = 0; c < N_CHAINS; c++) {
                x[c] = STEP(x[c]);
            }
        }
    }
#if RR_KIND == 2
    int sum = 0;
    [[unroll]] for (int c = 0; c < N_CHAINS; c++) {
        sum += x[c].x + x[c].y + x[c].z + x[c].w;
    }
    rr_words(p.y).at[lane] = uint(sum);
#else
    float sum = 0.0;
    [[unroll]] for (int c = 0; c < N_CHAINS; c++) {
        sum += dot(vec4(x[c]), vec4(1.0));
    }
    rr_floats(p.y).at[lane] = sum;
#endif
}
