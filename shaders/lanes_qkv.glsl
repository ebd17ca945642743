// q, k and v with bias, RoPE and KV write. Formula and layouts: lanes.h, rope.h.
// Item: (head, unit of its first half); the second half's unit goes with it.
#include "kv.glsl"
const uint HALF = HEAD_SIZE / 2;

void rr_qkv(rr_args_lanes_qkv p, uint item) {
    uint head = item / (HALF / 32u);
    uint half_unit = item % (HALF / 32u);
    uint unit = head * (HEAD_SIZE / 32u) + half_unit;
    rr_qkv_pair(p.w, p.s, p.codes, p.groups, p.cols, p.n_tokens, unit, unit + HALF / 32u);
    if (ADAPTED != 0) {
        rr_args_lanes_lora l = rr_lanes_lora(p.lora).at;
        bool is_q = head < p.n_heads, is_k = !is_q && head < p.n_heads + p.n_kv_heads;
        uvec2 b = is_q ? l.b0 : is_k ? l.b1 : l.b2;
        uint first = is_q ? l.first0 : is_k ? l.first1 : l.first2;
        uint rank = is_q ? l.rank0 : is_k ? l.rank1 : l.rank2;
        uint at = unit - (is_q ? 0u : is_k ? p.n_heads : p.n_heads + p.n_kv_heads) * (HEAD_SIZE / 32u);
        [[unroll]] for (uint half_of = 0; half_of < 2; half_of++) {
            rr_lora_add(l, b, first, rank, at + half_of * (HALF / 32u), 0u, p.n_tokens);
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                [[unroll]] for (uint u = 0; u < HELD; u++) {
                    pair[half_of][t][u] += added[t][u];
                }
            }
        }
    }
    uint i = half_unit * 32u + lane * HELD; // first of the lane's dimensions in the half
    float bias[2][HELD];
    [[unroll]] for (uint u = 0; u < HELD; u++) {
        bias[0][u] = rr_floats(p.bias).at[head * HEAD_SIZE + i + u];
        bias[1][u] = rr_floats(p.bias).at[head * HEAD_SIZE + HALF + i + u];
    }
    bool rotated = head < p.n_heads + p.n_kv_heads;
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        if (t0 + t < p.n_tokens) {
            float rms = rr_floats(p.rms).at[t0 + t];
            rr_row row = rr_rows(p.rows).at[t0 + t];
            rr_pairs table = rr_pairs(rr_at(p.table, row.position, HALF * 8u));
            float a[HELD], b[HELD];
            [[unroll]] for (uint u = 0; u < HELD; u++) {
                a[u] = fma(pair[0][t][u], rms, bias[0][u]);
                b[u] = fma(pair[1][t][u], rms, bias[1][u]);
                if (rotated) {
                    vec2 angle = table.at[i + u];
                    float turned = a[u] * angle.x - b[u] * angle.y;
                    b[u] = b[u] * angle.x + a[u] * angle.y;
                    a[u] = turned;
                }
            }
            if (head < p.n_heads) {
                rr_floats q = rr_floats(rr_add(rr_at(p.q, t0 + t, p.n_heads * HEAD_SIZE * 4u), (head * HEAD_SIZE + i) * 4u));
                [[unroll]] for (uint u = 0; u < HELD; u++) {
                    q.at[u] = a[u];
                    q.at[HALF + u] = b[u];
                }
            } else {
                rr_words kv = rr_words(rr_kv_row(row.page, p.kv_offset, head - p.n_heads, row.position, HEAD_SIZE));
                [[unroll]] for (uint u = 0; u < HELD; u += 2) {
                    kv.at[(i + u) / 2u] = packHalf2x16(vec2(a[u], a[u + 1]));
                    kv.at[(HALF + i + u) / 2u] = packHalf2x16(vec2(b[u], b[u + 1]));
                }
            }
        }
    }
}
