#version 460
// A layer for one generated token. What and why: lanes_layer.h. Grid: x = workgroups that run at the same time; each takes
// every n_groups-th item of an op, so that all end about together. Constants: 0 and 1 as in lanes_common.glsl, 5 the head size, 2 … 4 and
// 6 … 14 the formats of the four matrices (bits, group, scale of each).
#define RR_COHERENT coherent // an op reads what the other workgroups wrote in the one before
#include "common.glsl"
#include "lanes_layer.h"
layout(constant_id = 5) const uint HEAD_SIZE = 64;
#include "lanes_common.glsl"
layout(constant_id = 2) const uint QKV_BITS = 8;
layout(constant_id = 3) const uint QKV_GROUP = 32;
layout(constant_id = 4) const uint QKV_SCALE = 0;
layout(constant_id = 6) const uint O_BITS = 8;
layout(constant_id = 7) const uint O_GROUP = 32;
layout(constant_id = 8) const uint O_SCALE = 0;
layout(constant_id = 9) const uint GATE_UP_BITS = 8;
layout(constant_id = 10) const uint GATE_UP_GROUP = 32;
layout(constant_id = 11) const uint GATE_UP_SCALE = 0;
layout(constant_id = 12) const uint DOWN_BITS = 8;
layout(constant_id = 13) const uint DOWN_GROUP = 32;
layout(constant_id = 14) const uint DOWN_SCALE = 0;

#define RR_PRODUCT rr_qkv_product
#define RR_PAIR rr_qkv_pair
#define RR_BITS QKV_BITS
#define RR_GROUP QKV_GROUP
#define RR_SCALE QKV_SCALE
#include "lanes_product.glsl"
#include "lanes_qkv.glsl"
#define RR_PRODUCT rr_o_product
#define RR_PAIR rr_o_pair
#define RR_BITS O_BITS
#define RR_GROUP O_GROUP
#define RR_SCALE O_SCALE
#include "lanes_product.glsl"
#define RR_OUT rr_o
#define RR_OUT_PRODUCT rr_o_product
#include "lanes_out.glsl"
#define RR_PRODUCT rr_gate_up_product
#define RR_PAIR rr_gate_up_pair
#define RR_BITS GATE_UP_BITS
#define RR_GROUP GATE_UP_GROUP
#define RR_SCALE GATE_UP_SCALE
#include "lanes_product.glsl"
#include "lanes_gate_up.glsl"
#define RR_PRODUCT rr_down_product
#define RR_PAIR rr_down_pair
#define RR_BITS DOWN_BITS
#define RR_GROUP DOWN_GROUP
#define RR_SCALE DOWN_SCALE
#include "lanes_product.glsl"
#define RR_OUT rr_down
#define RR_OUT_PRODUCT rr_down_product
#include "lanes_out.glsl"

const uint ROWS = 8; // query heads of a group, at most
#define RR_CODES 1
#define RR_DECODE 1
#define RR_ATTENTION_ARGS rr_args_lanes_attention
#include "lanes.glsl"
#include "attention_lanes.glsl"

layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer rr_layer_at { rr_layer at; };
const uint PATIENCE = 400; // turns of 4096 looks

// Waits until `target` arrivals are counted, this workgroup's among them.
void meet(uint target) {
    memoryBarrierBuffer();
    if (lane == 0u) {
        rr_shared_words words = rr_shared_words(p.meeting);
        uint seen = atomicAdd(words.at[0], 1u) + 1u;
        for (uint turn = 0; int(seen - target) < 0 && turn < PATIENCE; turn++) {
            for (uint look = 0; int(seen - target) < 0 && look < 4096u; look++) {
                seen = atomicAdd(words.at[0], 0u);
            }
        }
        if (int(seen - target) < 0) {
            atomicAdd(words.at[1], 1u);
        }
    }
    memoryBarrierBuffer();
}

void main() {
    lane = gl_SubgroupInvocationID;
    t0 = 0;
    uint me = gl_WorkGroupID.x;
    uint target = p.arrivals + p.n_groups;
    if (p.layer == uvec2(0u)) {
        for (uint i = 0; i < 4u; i++) {
            meet(target + i * p.n_groups);
        }
        return;
    }
    rr_layer layer = rr_layer_at(p.layer).at;
    uint heads = layer.qkv.n_heads + 2u * layer.qkv.n_kv_heads;
    for (uint i = me; i < heads * (HEAD_SIZE / 64u); i += p.n_groups) {
        rr_qkv(layer.qkv, i);
    }
    meet(target);
    for (uint i = me; i < layer.attention.n_kv_heads; i += p.n_groups) {
        rr_attend(layer.attention, uvec2(0u, i));
    }
    meet(target + p.n_groups);
    uint n = (layer.o.n_rows + WIDTH * 4u - 1u) / (WIDTH * 4u);
    for (uint i = me; i < n; i += p.n_groups) {
        rr_o(layer.o, i, n);
    }
    meet(target + 2u * p.n_groups);
    for (uint i = me; i < layer.gate_up.d_ffn / 32u; i += p.n_groups) {
        rr_gate_up(layer.gate_up, i);
    }
    meet(target + 3u * p.n_groups);
    for (uint i = me; i < n; i += p.n_groups) {
        rr_down(layer.down, i, n);
    }
}
