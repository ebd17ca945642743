#version 460
// Attention over a prompt. Formula and layouts: attention.h. All query heads of a group share each K/V read.
// A workgroup takes ROWS query rows (row = token × group + head of the group) of one KV head and walks the keys in tiles of
// 32 from position 0, with a running maximum (online softmax). 8 × 8 invocations: lane (a, b) holds query rows a + 8i and, of
// the scores, keys b + 8j, of the output, dimension pairs b + 8k. Keys after a row's position weigh exactly 0.
// Order of every sum: positions and dimensions ascending; tiles begin at multiples of 32 from position 0, so a row's result
// does not depend on how the prompt was cut. Grid: x = tile of query rows, y = KV head.
#include "common.glsl"
#include "attention.h"
#include "kv.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint ROWS = 32; // 8, 16, 24 or 32: a lane holds ROWS / 8 rows of HEAD_SIZE / 8 sums
layout(local_size_x = 64) in;
const uint TILE = 32;      // keys
const uint HELD = ROWS / 8; // query rows a lane
const uint PAIRS = HEAD_SIZE / 2;
const uint OUT = (PAIRS + 7) / 8; // dimension pairs a lane
const float NONE = -3.0e38;       // below every score; a finite stand-in for −infinity
shared vec2 query[ROWS * PAIRS];
shared uint tile[TILE * PAIRS]; // K, then V, two f16 a word
shared float weight[ROWS * TILE];
shared float top[ROWS], total[ROWS], shrink[ROWS];

uint group;
uint row_token(uint row) { return min(row / group, p.n_rows - 1u); }

void load_tile(uvec2 from, uint n) {
    for (uint i = gl_LocalInvocationID.x; i < TILE * PAIRS; i += 64u) {
        tile[i] = i < n * PAIRS ? rr_words(from).at[i] : 0u;
    }
}

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint a = lane >> 3, b = lane & 7u;
    group = p.n_heads / p.n_kv_heads;
    uint kv_head = gl_WorkGroupID.y;
    uint row0 = gl_WorkGroupID.x * ROWS;
    uvec2 pages = rr_rows(p.rows).at[0].pages;
    for (uint i = lane; i < ROWS * PAIRS; i += 64u) {
        uint row = row0 + i / PAIRS;
        uint head = kv_head * group + row % group;
        query[i] = rr_pairs(rr_at(p.q, row_token(row), p.q_stride * 4u)).at[head * PAIRS + i % PAIRS];
    }
    if (lane < ROWS) {
        top[lane] = NONE;
        total[lane] = 0.0;
    }
    uint position[HELD];
    vec2 sums[HELD][OUT];
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        position[i] = rr_rows(p.rows).at[row_token(row0 + a + 8u * i)].position;
        [[unroll]] for (uint k = 0; k < OUT; k++) {
            sums[i][k] = vec2(0.0);
        }
    }
    uint n_keys = rr_rows(p.rows).at[row_token(row0 + ROWS - 1u)].position + 1u;
    for (uint key0 = 0; key0 < n_keys; key0 += TILE) {
        barrier();
        uvec2 page = rr_kv_page(pages, key0);
        load_tile(rr_kv_row(page, p.kv_offset, kv_head, key0, HEAD_SIZE), n_keys - key0);
        barrier();
        float score[HELD][4];
        [[unroll]] for (uint i = 0; i < HELD * 4u; i++) {
            score[i / 4][i % 4] = 0.0;
        }
        for (uint d = 0; d < PAIRS; d++) {
            vec2 k[4];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                k[j] = unpackHalf2x16(tile[(b + 8u * j) * PAIRS + d]);
            }
            [[unroll]] for (uint i = 0; i < HELD; i++) {
                vec2 q = query[(a + 8u * i) * PAIRS + d];
                [[unroll]] for (uint j = 0; j < 4; j++) {
                    score[i][j] = fma(q.y, k[j].y, fma(q.x, k[j].x, score[i][j]));
                }
            }
        }
        [[unroll]] for (uint i = 0; i < HELD; i++) {
            [[unroll]] for (uint j = 0; j < 4; j++) {
                bool seen = key0 + b + 8u * j <= position[i];
                weight[(a + 8u * i) * TILE + b + 8u * j] = seen ? score[i][j] * p.scale : NONE;
            }
        }
        barrier();
        load_tile(rr_kv_row(page, p.kv_offset, p.n_kv_heads + kv_head, key0, HEAD_SIZE), n_keys - key0);
        if (lane < ROWS) {
            float before = top[lane];
            float now = before;
            for (uint j = 0; j < TILE; j++) {
                now = max(now, weight[lane * TILE + j]);
            }
            float sum = 0.0;
            for (uint j = 0; j < TILE; j++) {
                float s = weight[lane * TILE + j];
                float e = s == NONE ? 0.0 : exp(s - now);
                weight[lane * TILE + j] = e;
                sum += e;
            }
            float f = now == before ? 1.0 : exp(before - now);
            top[lane] = now;
            shrink[lane] = f;
            total[lane] = fma(total[lane], f, sum);
        }
        barrier();
        [[unroll]] for (uint i = 0; i < HELD; i++) {
            float f = shrink[a + 8u * i];
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                sums[i][k] *= f;
            }
        }
        for (uint j = 0; j < TILE; j++) {
            float e[HELD];
            [[unroll]] for (uint i = 0; i < HELD; i++) {
                e[i] = weight[(a + 8u * i) * TILE + j];
            }
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                vec2 v = unpackHalf2x16(tile[j * PAIRS + min(b + 8u * k, PAIRS - 1u)]);
                [[unroll]] for (uint i = 0; i < HELD; i++) {
                    sums[i][k] = vec2(fma(e[i], v.x, sums[i][k].x), fma(e[i], v.y, sums[i][k].y));
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        uint row = row0 + a + 8u * i;
        if (row < p.n_rows * group) {
            float scale = 1.0 / total[a + 8u * i];
            uint head = kv_head * group + row % group;
            rr_pairs y = rr_pairs(rr_at(p.y, row / group, p.n_heads * HEAD_SIZE * 4u));
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                if (b + 8u * k < PAIRS) {
                    y.at[head * PAIRS + b + 8u * k] = sums[i][k] * scale;
                }
            }
        }
    }
}
