// Attention as attention_lanes.comp describes it, for one item: x = row tile (decode: row), y = KV head. The includer sets
// HEAD_SIZE, ROWS, WIDTH and RR_ATTENTION_ARGS, the struct that the addresses come in.
#include "kv.glsl"
#include "lanes_exp.glsl"
const uint KEYS = 4; // keys a lane
const uint TILE = WIDTH * KEYS;
const uint FOURS = HEAD_SIZE / 4;
const uint OUT = (FOURS + WIDTH - 1) / WIDTH; // times four dimensions a lane
const float NONE = -3.0e38;                   // below every score; a finite stand-in for −infinity

vec4 mixed[ROWS][OUT];
float weight[ROWS]; // of the lane's key in the column of keys at hand
uvec2 values;       // of the tile's first key
uint last_key, last; // that any row sees: its position, and counted from the tile's first

// Halves 4 i … 4 i + 3. (As one load of 64 bits it is slower: docs/speed-log.md.)
vec4 load4(uvec2 base, uint i) {
    rr_words row = rr_words(base);
    return vec4(unpackHalf2x16(row.at[i * 2u]), unpackHalf2x16(row.at[i * 2u + 1u]));
}

// mixed += weight of the tile's key first + from (lane `from`'s) × its values
#define ADD_KEY(from)                                                                              \
    {                                                                                              \
        uvec2 row = rr_add(values, min(first + from, last) * HEAD_SIZE * 2u);                      \
        vec4 v[OUT];                                                                               \
        [[unroll]] for (uint k = 0; k < OUT; k++) {                                                \
            v[k] = load4(row, min(lane + k * WIDTH, FOURS - 1u));                                  \
        }                                                                                          \
        [[unroll]] for (uint r = 0; r < ROWS; r++) {                                               \
            float e = subgroupBroadcast(weight[r], from);                                          \
            [[unroll]] for (uint k = 0; k < OUT; k++) {                                            \
                mixed[r][k] = fma(vec4(e), v[k], mixed[r][k]);                                     \
            }                                                                                      \
        }                                                                                          \
    }

void add_keys(uint first, uint lane) {
    ADD_KEY(0) ADD_KEY(1) ADD_KEY(2) ADD_KEY(3)
    if (WIDTH >= 8) {
        ADD_KEY(4) ADD_KEY(5) ADD_KEY(6) ADD_KEY(7)
    }
    if (WIDTH >= 16) {
        ADD_KEY(8) ADD_KEY(9) ADD_KEY(10) ADD_KEY(11) ADD_KEY(12) ADD_KEY(13) ADD_KEY(14) ADD_KEY(15)
    }
}

#ifdef RR_CODES
// Quantizes row r's result, times `factor`, in groups of 32 dimensions, of which eight neighbouring lanes have four each.
void store_codes(rr_args_lanes_attention p, uint token, uint head, uint lane, uint r, float factor) {
    uint dims = p.n_heads * HEAD_SIZE;
    rr_longs codes = rr_longs(rr_address(rr_add(rr_at(p.codes, token, dims * 2u), head * (HEAD_SIZE * 2u))));
    rr_longs groups = rr_longs(rr_address(rr_add(rr_at(p.groups, token, dims / 4u), head * (HEAD_SIZE / 4u))));
    [[unroll]] for (uint k = 0; k < OUT; k++) {
        vec4 v = mixed[r][k] * factor;
        int highest = max(max(rr_magnitude(v.x), rr_magnitude(v.y)), max(rr_magnitude(v.z), rr_magnitude(v.w)));
        float most = rr_most(intBitsToFloat(rr_max_of_eight(highest)));
        v *= most > 0.0 ? RR_MOST / most : 0.0;
        ivec4 q = ivec4(rr_code(v.x), rr_code(v.y), rr_code(v.z), rr_code(v.w));
        int sum = rr_sum_of_eight(((lane & 7u) < 4u ? 1 : 65536) * (q.x + q.y + q.z + q.w));
        uint four = lane + k * WIDTH;
        if (four < FOURS) {
            codes.at[four] = pack64(uvec2(uint(q.x & 0xFFFF) | uint(q.y) << 16, uint(q.z & 0xFFFF) | uint(q.w) << 16));
            if ((lane & 7u) == 0u) {
                groups.at[four >> 3] = pack64(uvec2(floatBitsToUint(most / RR_MOST), uint(sum)));
            }
        }
    }
}
#endif

#ifdef RR_CODES
// Stores A's product with row r's result, times `factor`: adapters of the output projection (lanes_lora.h).
void take_head(rr_args_lanes_attention p, uint token, uint head, uint r, float factor) {
    rr_args_lanes_lora l = rr_lanes_lora(p.lora).at;
    const uint units = HEAD_SIZE / 32;
    for (uint k0 = 0; k0 < l.out_width; k0 += BLOCK) {
        vec2 sum = vec2(0.0);
        [[unroll]] for (uint u = 0; u < units; u++) {
            rr_longs columns = rr_lora_columns(l, head * units + u, k0);
            [[unroll]] for (uint c = 0; c < 32; c++) {
                uint four = u * 8u + c / 4u;
                float v = subgroupBroadcast(mixed[r][four / WIDTH][c % 4u], four % WIDTH);
                sum = fma(rr_two(columns.at[c * WIDTH]), vec2(v * factor), sum);
            }
        }
        rr_lora_store(l, p.first_row + token, head, p.n_heads, k0, sum);
    }
}
#endif

void rr_attend(RR_ATTENTION_ARGS p, uvec2 item) {
    uint lane = gl_SubgroupInvocationID;
    uint group = p.n_heads / p.n_kv_heads;
    uint kv_head = item.y;
    uint token[ROWS], head[ROWS], position[ROWS];
    uvec2 q[ROWS];
    float top[ROWS], total[ROWS];
    last_key = 0;
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
#ifdef RR_DECODE
        token[r] = item.x;
        head[r] = kv_head * group + min(r, group - 1u);
#else
        uint row = item.x * ROWS + r;
        token[r] = min(row / group, p.n_rows - 1u);
        head[r] = kv_head * group + row % group;
#endif
        position[r] = rr_rows(p.rows).at[token[r]].position;
        last_key = max(last_key, position[r]);
        q[r] = rr_add(rr_at(p.q, token[r], p.q_stride * 4u), head[r] * HEAD_SIZE * 4u + rr_lane_bytes());
        top[r] = NONE;
        total[r] = 0.0;
        [[unroll]] for (uint k = 0; k < OUT; k++) {
            mixed[r][k] = vec4(0.0);
        }
    }
    uvec2 pages = rr_rows(p.rows).at[token[0]].pages;
    for (uint key0 = 0; key0 <= last_key; key0 += TILE) {
        uvec2 page = rr_kv_page(pages, key0);
        uvec2 keys = rr_kv_row(page, p.kv_offset, kv_head, key0, HEAD_SIZE);
        values = rr_kv_row(page, p.kv_offset, p.n_kv_heads + kv_head, key0, HEAD_SIZE);
        last = last_key - key0;
        float score[ROWS][KEYS];
        uvec2 key[KEYS];
        [[unroll]] for (uint c = 0; c < KEYS; c++) {
            key[c] = rr_add(keys, min(c * WIDTH + lane, last) * HEAD_SIZE * 2u);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                score[r][c] = 0.0;
            }
        }
        for (uint d = 0; d < HEAD_SIZE; d += 8u) {
            vec4 k[KEYS][2];
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                k[c][0] = load4(key[c], d / 4u);
                k[c][1] = load4(key[c], d / 4u + 1u);
            }
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                float x[8];
                rr_spread8(q[r], d, x);
                [[unroll]] for (uint i = 0; i < 8; i++) {
                    [[unroll]] for (uint c = 0; c < KEYS; c++) {
                        score[r][c] = fma(x[i], k[c][i / 4][i % 4], score[r][c]);
                    }
                }
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            int highest = rr_order(top[r]);
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                bool seen = key0 + c * WIDTH + lane <= position[r];
                score[r][c] = seen ? score[r][c] * p.scale : NONE;
                highest = max(highest, rr_order(score[r][c]));
            }
            float now = rr_from_order(rr_max_of_lanes(highest));
            float sum = 0.0;
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                score[r][c] = score[r][c] == NONE ? 0.0 : rr_exp(score[r][c] - now);
                sum += score[r][c];
            }
            float shrink = now == top[r] ? 1.0 : rr_exp(top[r] - now);
            top[r] = now;
            total[r] = fma(total[r], shrink, rr_sum_of_lanes(sum));
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                mixed[r][k] *= shrink;
            }
        }
        for (uint c = 0; c < KEYS && c * WIDTH <= last; c++) {
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                weight[r] = c == 0 ? score[r][0] : c == 1 ? score[r][1] : c == 2 ? score[r][2] : score[r][3];
            }
            add_keys(c * WIDTH, lane);
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
#ifdef RR_DECODE
        bool wanted = r < group;
#else
        bool wanted = item.x * ROWS + r < p.n_rows * group;
#endif
#ifdef RR_CODES
        if (wanted) {
            store_codes(p, token[r], head[r], lane, r, 1.0 / total[r]);
            if (ADAPTED != 0) {
                take_head(p, token[r], head[r], r, 1.0 / total[r]);
            }
        }
#else
        rr_floats4 y = rr_floats4(rr_at(p.y, token[r], p.n_heads * HEAD_SIZE * 4u));
        [[unroll]] for (uint k = 0; k < OUT; k++) {
            if (wanted && lane + k * WIDTH < FOURS) {
                y.at[head[r] * FOURS + lane + k * WIDTH] = mixed[r][k] / total[r];
            }
        }
#endif
    }
}
