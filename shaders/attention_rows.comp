#version 460
// Attention over a prompt, for GPUs with subgroups. Formula and layouts: attention.h. All query heads of a group share each
// K/V read: a workgroup takes BLOCK query rows (row = token × group + head of the group) of one KV head and walks the keys in
// tiles of 32 from position 0 to the last that one of its rows sees, with a running maximum (online softmax).
// SPREAD neighbouring lanes share ROWS rows: q and the output stay in their registers, dimensions in pieces of 8 dealt round;
// each adds up its own dimensions of SPREAD scores, then a tree over the lanes leaves one key's score in each of them.
// EARLY: while a tile's scores are made its V is on the way, while its output is made the next tile's K. Keys after a row's
// position weigh exactly 0. All sums are f32; every order is fixed by the row's own position alone, however the prompt was cut.
// Grid: x = block of query rows (the last, the longest, first), y = KV head.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "attention.h"
#include "kv.glsl"
#include "attention_end.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint SPREAD = 8; // 2, 4 or 8 lanes; divides HEAD_SIZE / 8
layout(constant_id = 2) const uint ROWS = 2;   // rows a lane
layout(constant_id = 3) const uint EARLY = 1;  // 0 or 1; costs 4 words a lane for each 16 dimensions
layout(local_size_x = 128) in;
const uint LANES = 128;
const uint TILE = 32;
const uint BLOCK = LANES / SPREAD * ROWS;
const uint PIECES = HEAD_SIZE / 8;
const uint OWN = PIECES / SPREAD;       // pieces a lane
const uint BATCHES = TILE / SPREAD;     // keys a lane has the scores of
const uint LOADS = (TILE * PIECES + LANES - 1) / LANES;
const uint WEIGHTS = TILE / 4 + 1;      // of a row, in fours, and a gap against bank conflicts
const float NONE = -3.0e38;             // below every score; a finite stand-in for −infinity
shared uvec4 k_tile[TILE * PIECES], v_tile[TILE * PIECES];
shared float weight[BLOCK * WEIGHTS * 4];

uint lane, part, member; // lane = (part of the rows, member of SPREAD)
float query[ROWS][OWN * 8], sums[ROWS][OWN * 8];
float top[ROWS], total[ROWS]; // total: of the lane's own keys
uint position[ROWS], n_keys;
uvec4 loaded[LOADS];

// A tile of K or V (`plane`), from key0 on.
void load(bool now, uvec2 page, uint plane, uint key0) {
    rr_words4 from = rr_words4(rr_kv_row(page, p.kv_offset, plane, key0, HEAD_SIZE));
    uint last = min(TILE, n_keys - key0) * PIECES - 1u;
    [[unroll]] for (uint i = 0; now && i < LOADS; i++) {
        loaded[i] = from.at[min(lane + i * LANES, last)];
    }
}

#define STORE(tile)                                                                                \
    [[unroll]] for (uint i = 0; i < LOADS; i++) {                                                  \
        if (LOADS * LANES == TILE * PIECES || lane + i * LANES < TILE * PIECES) {                  \
            tile[lane + i * LANES] = loaded[i];                                                    \
        }                                                                                          \
    }

void unpack(uvec4 w, out float v[8]) {
    vec2 a = unpackHalf2x16(w.x), b = unpackHalf2x16(w.y), c = unpackHalf2x16(w.z), d = unpackHalf2x16(w.w);
    v = float[8](a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y);
}

uint weight_at(uint r) { return (part * ROWS + r) * WEIGHTS * 4u; }

// Of SPREAD keys from `first`, the one whose number is the lane's: its score for each row.
void make_scores(uint first) {
    float own[ROWS][SPREAD];
    [[unroll]] for (uint j = 0; j < SPREAD; j++) {
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            own[r][j] = 0.0;
        }
        [[unroll]] for (uint i = 0; i < OWN; i++) {
            float k[8];
            unpack(k_tile[(first + j) * PIECES + i * SPREAD + member], k);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                [[unroll]] for (uint d = 0; d < 8; d++) {
                    own[r][j] = fma(query[r][i * 8 + d], k[d], own[r][j]);
                }
            }
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        [[unroll]] for (uint step = SPREAD / 2; step > 0; step /= 2) {
            bool high = (member & step) != 0u;
            [[unroll]] for (uint j = 0; j < step; j++) {
                float a = own[r][j], b = own[r][j + step];
                own[r][j] = (high ? b : a) + subgroupShuffleXor(high ? a : b, step);
            }
        }
        weight[weight_at(r) + first + member] = own[r][0];
    }
}

// The tile's scores become weights; what was added up so far shrinks as the maximum grows.
void softmax(uint key0) {
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        float now = top[r];
        float score[BATCHES];
        [[unroll]] for (uint b = 0; b < BATCHES; b++) {
            float s = weight[weight_at(r) + b * SPREAD + member]; // as the lane itself left it
            score[b] = key0 + b * SPREAD + member <= position[r] ? s : NONE;
            now = max(now, score[b]);
        }
        [[unroll]] for (uint step = 1; step < SPREAD; step *= 2) {
            now = max(now, subgroupShuffleXor(now, step));
        }
        float factor = now == top[r] ? 1.0 : exp(top[r] - now);
        float sum = 0.0;
        [[unroll]] for (uint b = 0; b < BATCHES; b++) {
            float e = score[b] == NONE ? 0.0 : exp(score[b] - now);
            weight[weight_at(r) + b * SPREAD + member] = e;
            sum += e;
        }
        top[r] = now;
        total[r] = fma(total[r], factor, sum);
        [[unroll]] for (uint d = 0; d < OWN * 8; d++) {
            sums[r][d] *= factor;
        }
    }
}

void add_values() {
    [[dont_unroll]] for (uint j0 = 0; j0 < TILE; j0 += 4u) {
        float e[ROWS][4];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            [[unroll]] for (uint j = 0; j < 4; j++) {
                e[r][j] = weight[weight_at(r) + j0 + j];
            }
        }
        [[unroll]] for (uint j = 0; j < 4; j++) {
            [[unroll]] for (uint i = 0; i < OWN; i++) {
                float v[8];
                unpack(v_tile[(j0 + j) * PIECES + i * SPREAD + member], v);
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    [[unroll]] for (uint d = 0; d < 8; d++) {
                        sums[r][i * 8 + d] = fma(e[r][j], v[d], sums[r][i * 8 + d]);
                    }
                }
            }
        }
    }
}

void main() {
    lane = gl_LocalInvocationID.x;
    part = lane / SPREAD;
    member = lane % SPREAD;
    uint group = p.n_heads / p.n_kv_heads;
    uint kv_head = gl_WorkGroupID.y;
    uint row0 = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * BLOCK;
    uint keys = kv_head, values = p.n_kv_heads + kv_head;
    uvec2 pages = rr_rows(p.rows).at[0].pages, page = rr_kv_page(pages, 0u);
    n_keys = rr_rows(p.rows).at[min((row0 + BLOCK - 1u) / group, p.n_rows - 1u)].position + 1u;
    load(EARLY != 0, page, keys, 0u);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = row0 + part * ROWS + r;
        uint token = min(row / group, p.n_rows - 1u), head = kv_head * group + row % group;
        position[r] = rr_rows(p.rows).at[token].position;
        rr_floats4 q = rr_floats4(rr_add(rr_at(p.q, token, p.q_stride * 4u), head * HEAD_SIZE * 4u));
        [[unroll]] for (uint i = 0; i < OWN * 2; i++) {
            vec4 a = q.at[(i / 2 * SPREAD + member) * 2u + i % 2] * p.scale;
            [[unroll]] for (uint d = 0; d < 4; d++) {
                query[r][i * 4 + d] = a[d];
                sums[r][i * 4 + d] = 0.0;
            }
        }
        top[r] = NONE;
        total[r] = 0.0;
    }
    for (uint key0 = 0; key0 < n_keys; key0 += TILE) {
        load(EARLY == 0, page, keys, key0);
        STORE(k_tile)
        barrier();
        load(EARLY != 0, page, values, key0);
        uint next = key0 + TILE < n_keys ? key0 + TILE : key0; // behind the last tile: that one again, for nothing
        uvec2 next_page = rr_kv_page(pages, next);
        [[dont_unroll]] for (uint first = 0; first < TILE; first += SPREAD) {
            make_scores(first);
        }
        softmax(key0);
        load(EARLY == 0, page, values, key0);
        STORE(v_tile)
        barrier();
        page = next_page;
        load(EARLY != 0, page, keys, next);
        add_values();
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        float sum = total[r];
        [[unroll]] for (uint step = 1; step < SPREAD; step *= 2) {
            sum += subgroupShuffleXor(sum, step);
        }
        uint row = row0 + part * ROWS + r;
        uint head = kv_head * group + row % group;
        [[unroll]] for (uint i = 0; i < OWN; i++) {
            uint d = i * 8;
            rr_store_eight(row < p.n_rows * group, row / group, p.n_heads * HEAD_SIZE,
                           head * PIECES + i * SPREAD + member, member % 4u,
                           vec4(sums[r][d], sums[r][d + 1], sums[r][d + 2], sums[r][d + 3]) / sum,
                           vec4(sums[r][d + 4], sums[r][d + 5], sums[r][d + 6], sums[r][d + 7]) / sum);
        }
    }
}
