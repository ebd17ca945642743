#version 460
// RoPE and KV write. Formula and layouts: rope.h. One invocation = dimensions 2j, 2j+1 and their partners half a head
// later, of one head of one row: x = (head, j), y = row. Nothing is summed; k and v are rounded to f16.
#include "common.glsl"
#include "kv.glsl"
#include "rope.h"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(local_size_x = 64) in;
const uint HALF = HEAD_SIZE / 2;

void main() {
    uint head = gl_GlobalInvocationID.x / (HEAD_SIZE / 4u);
    uint j = gl_GlobalInvocationID.x % (HEAD_SIZE / 4u);
    uint r = gl_GlobalInvocationID.y;
    uint n_all = p.n_heads + 2u * p.n_kv_heads;
    if (head >= n_all) {
        return;
    }
    rr_row row = rr_rows(p.rows).at[r];
    rr_pairs v = rr_pairs(rr_at(p.qkv, r, n_all * HEAD_SIZE * 4u));
    uint at = (head * HEAD_SIZE) / 2u + j;
    vec2 a = v.at[at];
    vec2 b = v.at[at + HALF / 2u];
    if (head < p.n_heads + p.n_kv_heads) {
        rr_pairs table = rr_pairs(rr_at(p.table, row.position, HALF * 8u));
        vec2 t0 = table.at[2u * j];
        vec2 t1 = table.at[2u * j + 1u];
        vec2 cosine = vec2(t0.x, t1.x);
        vec2 sine = vec2(t0.y, t1.y);
        vec2 a1 = a * cosine - b * sine;
        b = b * cosine + a * sine;
        a = a1;
    }
    if (head < p.n_heads) {
        v.at[at] = a;
        v.at[at + HALF / 2u] = b;
        return;
    }
    rr_words kv = rr_words(rr_kv_row(row.page, p.kv_offset, head - p.n_heads, row.position, HEAD_SIZE));
    kv.at[j] = packHalf2x16(a);
    kv.at[j + HALF / 2u] = packHalf2x16(b);
}
