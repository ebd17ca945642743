// What the lanes_ kernels share: lanes, addresses, results, quantization. The product itself: lanes_product.glsl.
// One subgroup a workgroup, no shared memory: on a software device a load costs the same however many lanes take part and
// barriers are dear, a broadcast from a literal lane is one instruction, and an integer product of two values that are known
// to fit 16 bits, added to a sum, is one or two (a float one always two). Layouts: lanes.h, quant/lanes.h.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "longs.glsl"
layout(constant_id = 0) const uint WIDTH = 8; // subgroup size, 8 or 16
layout(constant_id = 1) const uint TOKENS = 8;
layout(local_size_x_id = 0) in;
// what workgroups tell each other
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer rr_shared_floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer rr_shared_words { uint at[]; };

const uint HELD = 32 / WIDTH;        // rows of a unit a lane
const uint UNITS = 4 / HELD;         // units a pass

uint lane, t0;
float sums[TOKENS][4];           // of a pass: [token][unit of the pass * HELD + row of the lane]
float pair[2][TOKENS][HELD];     // of two units: [first or second][token][row of the lane]

// Where a row of activations of `bytes` a row begins for token t0 + t; tokens past the end repeat the last.
uint64_t rr_row_at(uvec2 base, uint t, uint n_tokens, uint bytes) {
    return rr_address(base) + uint64_t(min(t0 + t, n_tokens - 1u)) * bytes;
}

#include "lanes_code.glsl"
#include "lanes_reduce.glsl"
#include "lanes_stack.glsl"
#include "lanes_lora_tile.glsl"

// Quantizes values [0, HELD) of each lane, a unit of 32 neighbouring columns of a row of `cols`, and stores them.
void rr_store_codes(uint64_t codes, uint64_t groups, uint unit, float v[HELD]) {
    int highest = 0;
    [[unroll]] for (uint u = 0; u < HELD; u++) {
        highest = max(highest, rr_magnitude(v[u]));
    }
    float most = rr_most(intBitsToFloat(rr_max_of_lanes(highest)));
    float inverse = most > 0.0 ? RR_MOST / most : 0.0;
    uint packed[HELD / 2];
    int sum = 0;
    [[unroll]] for (uint u = 0; u < HELD; u += 2) {
        int a = rr_code(v[u] * inverse);
        int b = rr_code(v[u + 1] * inverse);
        packed[u / 2] = uint(a & 0xFFFF) | uint(b) << 16;
        sum += a + b;
    }
    sum = rr_sum_of_lanes(lane < WIDTH / 2u ? sum : sum * 65536);
    uint64_t to = codes + unit * 64u;
    if (HELD == 4) {
        rr_longs(to).at[lane] = pack64(uvec2(packed[0], packed[HELD / 2 - 1]));
    } else {
        rr_words(uvec2(unpack32(to))).at[lane] = packed[0];
    }
    if (lane == 0u) {
        rr_longs(groups + unit * 8u).at[0] = pack64(uvec2(floatBitsToUint(most / RR_MOST), uint(sum)));
    }
}
