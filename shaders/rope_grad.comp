#version 460
// RoPE's backward op. Formula and layouts: rope_grad.h. One invocation = dimensions 2j, 2j+1 and their partners half a head
// later, of one head of one row: x = (head, j), y = row. Nothing is summed.
#include "common.glsl"
#include "rope_grad.h"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(local_size_x = 64) in;
const uint HALF = HEAD_SIZE / 2;

void main() {
    uint head = gl_GlobalInvocationID.x / (HEAD_SIZE / 4u);
    uint j = gl_GlobalInvocationID.x % (HEAD_SIZE / 4u);
    uint r = gl_GlobalInvocationID.y;
    if (head >= p.n_heads + p.n_kv_heads) {
        return;
    }
    rr_pairs v = rr_pairs(rr_at(p.d_qkv, r, (p.n_heads + 2u * p.n_kv_heads) * HEAD_SIZE * 4u));
    rr_pairs table = rr_pairs(rr_at(p.table, rr_rows(p.rows).at[r].position, HALF * 8u));
    uint at = (head * HEAD_SIZE) / 2u + j;
    vec2 a = v.at[at], b = v.at[at + HALF / 2u];
    vec2 t0 = table.at[2u * j], t1 = table.at[2u * j + 1u];
    vec2 cosine = vec2(t0.x, t1.x), sine = vec2(t0.y, t1.y);
    v.at[at] = a * cosine + b * sine;
    v.at[at + HALF / 2u] = b * cosine - a * sine;
}
