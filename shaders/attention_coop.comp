#version 460
// Attention over a prompt on matrix units. Formula and layouts: attention.h. All query heads of a group share each K/V read: a
// workgroup takes BLOCK query rows (row = token × group + head of the group) of one KV head and walks the keys in tiles from
// position 0 to the last that one of its rows sees, with a running maximum (online softmax).
// A team of MEMBERS subgroups has M rows; each member makes the scores of its share of a tile's keys and the output of its
// share of the dimensions. q × scale and the weights are rounded to f16, products are added up in f32; the sum of weights is that
// of the rounded ones. K lies in shared memory as it is, V transposed, so that all matrices load along memory; both take the
// same place in turn. Rows shrink, and are divided by their sums, by matrices that hold a factor a row.
// Keys after a row's position weigh exactly 0; every order is fixed by the row's own position alone, however the prompt was cut.
// Grid: x = block of query rows (the last, the longest, first), y = KV head.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "common.glsl"
#include "attention.h"
#include "kv.glsl"
#include "attention_end.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint M = 16;
layout(constant_id = 2) const uint N = 16;
layout(constant_id = 3) const uint K = 16;
layout(constant_id = 4) const uint TEAMS = 2;
layout(constant_id = 5) const uint LANES = 256;
layout(constant_id = 6) const uint TILE = 64; // keys a tile: a multiple of N and K, at least BLOCK
layout(constant_id = 7) const uint KEEP = 1;  // q: 1 = in registers, 0 = in shared memory
layout(constant_id = 8) const uint EARLY = 1; // 1 = the next of K and V is on its way while this one is worked on
layout(local_size_x_id = 5) in;
#include "attention_coop.glsl"

void main() {
    lane = gl_LocalInvocationID.x;
    uint team = gl_SubgroupID / MEMBERS, member = gl_SubgroupID % MEMBERS;
    group = p.n_heads / p.n_kv_heads;
    kv_head = gl_WorkGroupID.y;
    row0 = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * BLOCK;
    uvec2 pages = rr_rows(p.rows).at[0].pages;
    uvec2 page = rr_kv_page(pages, 0u);
    n_keys = rr_rows(p.rows).at[min((row0 + BLOCK - 1u) / group, p.n_rows - 1u)].position + 1u;
    // the softmax: a row, and keys `first_key` … + ROW_KEYS − 1 of a tile
    uint row = lane / ROW_LANES, first_key = lane % ROW_LANES * ROW_KEYS;
    uint position = rr_rows(p.rows).at[min((row0 + row) / group, p.n_rows - 1u)].position;
    float top = NONE, total = 0.0;
    if (EARLY != 0) {
        load_keys(rr_kv_row(page, p.kv_offset, kv_head, 0u, HEAD_SIZE), n_keys);
    }

    for (uint i = lane; i < BLOCK * PIECES; i += LANES) {
        fetch_query(i / PIECES, i % PIECES);
    }
    MATRIX_A q[HEAD_SIZE / K];
    if (KEEP != 0) {
        barrier();
        [[unroll]] for (uint d = 0; d < HEAD_SIZE / K; d++) {
            coopMatLoad(q[d], tile, team * M * K_STRIDE + d * K / 2, K_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
        }
        barrier();
    }
    MATRIX_SUM sums[OUT];
    [[unroll]] for (uint n = 0; n < OUT; n++) {
        sums[n] = MATRIX_SUM(0.0);
    }
    MATRIX_A a;
    MATRIX_B b;
    MATRIX_SUM s;

    for (uint key0 = 0; key0 < n_keys; key0 += TILE) {
        if (EARLY == 0) {
            load_keys(rr_kv_row(page, p.kv_offset, kv_head, key0, HEAD_SIZE), n_keys - key0);
        }
        store_keys();
        barrier();
        uvec2 values = rr_kv_row(page, p.kv_offset, p.n_kv_heads + kv_head, key0, HEAD_SIZE);
        uint next = key0 + TILE < n_keys ? key0 + TILE : key0; // behind the last tile: that one again, for nothing
        page = rr_kv_page(pages, next);
        if (EARLY != 0) {
            [[unroll]] for (uint i = 0; i < V_LOADS; i++) {
                load_value(values, n_keys - key0, i, v_loaded[i]);
            }
        }
        s = MATRIX_SUM(0.0);
        [[unroll]] for (uint d = 0; d < HEAD_SIZE / K; d++) {
            coopMatLoad(b, tile, member * N * K_STRIDE + d * K / 2, K_STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
            if (KEEP != 0) {
                s = coopMatMulAdd(q[d], b, s);
            } else {
                coopMatLoad(a, query, team * M * K_STRIDE + d * K / 2, K_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
                s = coopMatMulAdd(a, b, s);
            }
        }
        coopMatStore(s, score, team * M * S_STRIDE + member * N, S_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        if (EARLY != 0) {
            [[unroll]] for (uint i = 0; i < V_LOADS; i++) {
                store_value(i, v_loaded[i]);
            }
        } else {
            uvec4 w[2];
            [[dont_unroll]] for (uint i = 0; i < V_LOADS; i++) {
                load_value(values, n_keys - key0, i, w);
                store_value(i, w);
            }
        }
        float e[ROW_KEYS], now = top, sum = 0.0;
        [[unroll]] for (uint j = 0; j < ROW_KEYS; j++) {
            float x = score[row * S_STRIDE + first_key + j];
            e[j] = key0 + first_key + j <= position ? x : NONE;
            now = max(now, e[j]);
        }
        [[unroll]] for (uint step = 1; step < ROW_LANES; step *= 2) {
            now = max(now, subgroupShuffleXor(now, step));
        }
        [[unroll]] for (uint j = 0; j < ROW_KEYS; j += 2) {
            f16vec2 w = f16vec2(UNIT * vec2(e[j] == NONE ? 0.0 : exp(e[j] - now), e[j + 1] == NONE ? 0.0 : exp(e[j + 1] - now)));
            weight[row * V_STRIDE + (first_key + j) / 2u] = w;
            sum += float(w.x) + float(w.y);
        }
        float factor = now == top ? 1.0 : exp(top - now);
        [[unroll]] for (uint j = 0; j < N / ROW_LANES; j++) {
            score[row * S_STRIDE + TILE + lane % ROW_LANES * (N / ROW_LANES) + j] = factor;
        }
        top = now;
        total = fma(total, factor, sum);
        barrier();
        if (EARLY != 0) {
            load_keys(rr_kv_row(page, p.kv_offset, kv_head, next, HEAD_SIZE), n_keys - next);
        }
        coopMatLoad(s, score, team * M * S_STRIDE + TILE, S_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint n = 0; n < OUT; n++) {
            sums[n] *= s;
        }
        [[unroll]] for (uint j = 0; j < TILE / K; j++) {
            coopMatLoad(a, weight, team * M * V_STRIDE + j * K / 2, V_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint n = 0; n < OUT; n++) {
                coopMatLoad(b, tile, (n * MEMBERS + member) * N * V_STRIDE + j * K / 2, V_STRIDE,
                            gl_CooperativeMatrixLayoutColumnMajor);
                sums[n] = coopMatMulAdd(a, b, sums[n]);
            }
        }
        barrier();
    }

    [[unroll]] for (uint step = 1; step < ROW_LANES; step *= 2) {
        total += subgroupShuffleXor(total, step);
    }
    [[unroll]] for (uint j = 0; j < N / ROW_LANES; j++) {
        score[row * S_STRIDE + TILE + lane % ROW_LANES * (N / ROW_LANES) + j] = 1.0 / total;
    }
    barrier();
    coopMatLoad(s, score, team * M * S_STRIDE + TILE, S_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint n = 0; n < OUT; n++) { // TILE dimensions at a time, by way of the place of the scores
        sums[n] *= s;
        coopMatStore(sums[n], score, team * M * S_STRIDE + member * N, S_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        [[unroll]] for (uint j = 0; j < STORES; j++) {
            uint k = lane + j * LANES, r = row0 + k / (TILE / 8u), i = k % (TILE / 8u), at = k / (TILE / 8u) * S_STRIDE + i * 8u;
            if (k < BLOCK * TILE / 8u) {
                rr_store_eight(r < p.n_rows * group, r / group, p.n_heads * HEAD_SIZE,
                               (kv_head * group + r % group) * PIECES + n * (TILE / 8u) + i, i % 4u,
                               vec4(score[at], score[at + 1u], score[at + 2u], score[at + 3u]),
                               vec4(score[at + 4u], score[at + 5u], score[at + 6u], score[at + 7u]));
            }
        }
        barrier();
    }
}
