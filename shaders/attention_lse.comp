#version 460
// L and D of attention's backward pass. Formula and layouts: attention_grad.h; tiles: attention_grad.glsl. A workgroup takes SIDE query
// rows of one KV head and walks the keys with a running maximum. Order: dimensions and keys ascending, key tiles begin at multiples
// of SIDE from row 0 and from n_prefix. Grid: x = tile of query rows, y = KV head.
#include "common.glsl"
#include "attention_grad.glsl"
const float NONE = -3.0e38; // below every score; a finite stand-in for −infinity
shared float top[SIDE], total[SIDE];

// Lane i < SIDE: row i's weights of the tile.
void add_weights(uint row) {
    float before = top[row], now = before;
    for (uint j = 0; j < SIDE; j++) {
        now = max(now, factor[row * SIDE + j]);
    }
    float sum = 0.0;
    for (uint j = 0; j < SIDE; j++) {
        float s = factor[row * SIDE + j];
        sum += s == NONE ? 0.0 : exp(s - now);
    }
    top[row] = now;
    total[row] = fma(total[row], now == before ? 1.0 : exp(before - now), sum);
}

void walk(uint row0, uint last, uint begin, uint end) {
    for (uint key0 = begin; key0 < end; key0 += SIDE) {
        barrier();
        load_keys(key0, end);
        barrier();
        PRODUCT(score, query, k_tile)
        [[unroll]] for (uint i = 0; i < HELD; i++) {
            uint token = rr_token_of(row0 + a + 8u * i, last), own = rr_segment(token).x;
            [[unroll]] for (uint j = 0; j < HELD; j++) {
                uint key = key0 + b + 8u * j;
                factor[(a + 8u * i) * SIDE + b + 8u * j] = key < end && rr_sees(token, own, key) ? score[i][j] * p.scale : NONE;
            }
        }
        barrier();
        if (lane < SIDE) {
            add_weights(lane);
        }
    }
}

void main() {
    begin_tiles();
    uint row0 = p.first * group + gl_WorkGroupID.x * SIDE, last = (p.first + p.n_listed) * group - 1u;
    uint n_keys = rr_token_of(row0 + SIDE - 1u, last) + 1u;
    load_rows(row0, last);
    if (lane < SIDE) {
        top[lane] = NONE;
        total[lane] = 0.0;
    }
    walk(row0, last, 0u, min(p.n_prefix, n_keys));
    walk(row0, last, rr_own_keys(rr_segment(rr_token_of(row0, last)).x, SIDE), n_keys);
    barrier();
    if (lane < SIDE && row0 + lane <= last) {
        uint token = rr_token_of(row0 + lane, last), head = rr_head_of(row0 + lane, last);
        rr_pairs o = rr_pairs(rr_query(p.o, p.n_heads * HEAD_SIZE, token, head, HEAD_SIZE));
        float d = 0.0;
        for (uint i = 0; i < PAIRS; i++) {
            vec2 x = d_out[lane * PAIRS + i], y = o.at[i];
            d = fma(x.y, y.y, fma(x.x, y.x, d));
        }
        rr_floats(rr_at(p.lse, token, p.n_heads * 4u)).at[head] = top[lane] + log(total[lane]);
        rr_floats(rr_at(p.delta, token, p.n_heads * 4u)).at[head] = d;
    }
}
