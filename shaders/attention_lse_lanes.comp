#version 460
// L and D of attention's backward pass on software devices. Formula and layouts: attention_grad.h; tiles:
// attention_grad_rows_lanes.glsl. Keys ascending with a running maximum; key tiles begin at multiples of TILE from row 0 and from
// n_prefix. Grid: x = tile of query rows, y = KV head.
#include "common.glsl"
#include "attention_grad_rows_lanes.glsl"

float top[MEMBERS], total[MEMBERS];

void walk(uint begin, uint end) {
    for (uint key0 = begin; key0 < end; key0 += TILE) {
        find_keys(key0, end);
        PRODUCT(score, query, keys)
        [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
            int highest = rr_order(top[r]);
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                score[r][c] = seen(r, key0 + c * WIDTH + lane, end) ? score[r][c] * p.scale : NONE;
                highest = max(highest, rr_order(score[r][c]));
            }
            float now = rr_from_order(rr_max_of_lanes(highest));
            float sum = 0.0;
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                sum += score[r][c] == NONE ? 0.0 : rr_exp(score[r][c] - now);
            }
            float shrink = now == top[r] ? 1.0 : rr_exp(top[r] - now);
            top[r] = now;
            total[r] = fma(total[r], shrink, rr_sum_of_lanes(sum));
        }
    }
}

void main() {
    begin_rows();
    [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
        top[r] = NONE;
        total[r] = 0.0;
    }
    uint n_keys = token[MEMBERS - 1u] + 1u;
    walk(0u, min(p.n_prefix, n_keys));
    walk(rr_own_keys(own[0], TILE), n_keys);
    [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
        uint head = rr_head_of(row0 + r, last);
        rr_floats o = rr_floats(rr_query(p.o, p.n_heads * HEAD_SIZE, token[r], head, HEAD_SIZE));
        rr_floats d_o = rr_floats(rr_query(p.d_o, p.n_heads * HEAD_SIZE, token[r], head, HEAD_SIZE));
        float d = 0.0;
        for (uint i = lane; i < HEAD_SIZE; i += WIDTH) {
            d = fma(d_o.at[i], o.at[i], d);
        }
        d = rr_sum_of_lanes(d);
        if (lane == 0u && row0 + r <= last) {
            rr_floats(rr_at(p.lse, token[r], p.n_heads * 4u)).at[head] = top[r] + log(total[r]);
            rr_floats(rr_at(p.delta, token[r], p.n_heads * 4u)).at[head] = d;
        }
    }
}
