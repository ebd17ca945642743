// Attention as attention_lanes.comp describes it, for one item: x = row tile (decode: row), y = KV head. The includer sets
// HEAD_SIZE, ROWS, WIDTH and RR_ATTENTION_ARGS, the struct that the addresses come in.
const uint KEYS = 4; // keys a lane
const uint TILE = WIDTH * KEYS;
const uint PAIRS = HEAD_SIZE / 2;
const uint OUT = (PAIRS + WIDTH - 1) / WIDTH; // dimension pairs a lane
const float NONE = -3.0e38;                   // below every score; a finite stand-in for −infinity

vec2 mixed[ROWS][OUT];
float weight[ROWS]; // of the lane's key in the column of keys at hand
uvec2 values;
uint last_key;

// mixed += weight of key `key` (lane `from`'s) × its values
#define ADD_KEY(from)                                                                              \
    {                                                                                              \
        rr_words row = rr_words(rr_at(values, min(key0 + from, last_key), HEAD_SIZE * 2u));        \
        vec2 v[OUT];                                                                               \
        [[unroll]] for (uint k = 0; k < OUT; k++) {                                                \
            v[k] = unpackHalf2x16(row.at[min(lane + k * WIDTH, PAIRS - 1u)]);                      \
        }                                                                                          \
        [[unroll]] for (uint r = 0; r < ROWS; r++) {                                               \
            float e = subgroupBroadcast(weight[r], from);                                          \
            [[unroll]] for (uint k = 0; k < OUT; k++) {                                            \
                mixed[r][k] = vec2(fma(e, v[k].x, mixed[r][k].x), fma(e, v[k].y, mixed[r][k].y));     \
            }                                                                                      \
        }                                                                                          \
    }

void add_keys(uint key0, uint lane) {
    ADD_KEY(0) ADD_KEY(1) ADD_KEY(2) ADD_KEY(3)
    if (WIDTH >= 8) {
        ADD_KEY(4) ADD_KEY(5) ADD_KEY(6) ADD_KEY(7)
    }
    if (WIDTH >= 16) {
        ADD_KEY(8) ADD_KEY(9) ADD_KEY(10) ADD_KEY(11) ADD_KEY(12) ADD_KEY(13) ADD_KEY(14) ADD_KEY(15)
    }
}

#ifdef RR_CODES
// Quantizes row r's result, times `factor`, in groups of 32 dimensions (16 pairs).
void store_codes(rr_args_lanes_attention p, uint token, uint head, uint lane, uint r, float factor) {
    const uint COLUMNS = 16 / WIDTH; // pairs a lane in a group
    uint dims = p.n_heads * HEAD_SIZE;
    rr_words codes = rr_words(rr_add(rr_at(p.codes, token, dims * 2u), head * (HEAD_SIZE * 2u)));
    rr_words groups = rr_words(rr_add(rr_at(p.groups, token, dims / 4u), head * (HEAD_SIZE / 4u)));
    [[unroll]] for (uint g = 0; g < PAIRS / 16; g++) {
        float most = 0.0;
        [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
            vec2 v = abs(mixed[r][g * COLUMNS + c] * factor);
            most = max(most, max(v.x, v.y));
        }
        most = rr_most(rr_max_of_lanes(most));
        float inverse = most > 0.0 ? RR_MOST / most : 0.0;
        int sum = 0;
        [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
            vec2 v = mixed[r][g * COLUMNS + c] * factor * inverse;
            ivec2 q = ivec2(rr_code(v.x), rr_code(v.y));
            codes.at[(g * COLUMNS + c) * WIDTH + lane] = uint(q.x & 0xFFFF) | uint(q.y) << 16;
            sum += (c * WIDTH + lane < 8u ? 1 : 65536) * (q.x + q.y);
        }
        sum = rr_sum_of_lanes(sum);
        if (lane == 0u) {
            groups.at[g * 2u] = floatBitsToUint(most / RR_MOST);
            groups.at[g * 2u + 1u] = uint(sum);
        }
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
            mixed[r][k] = vec2(0.0);
        }
    }
    uvec2 slot = rr_add64(rr_rows(p.rows).at[token[0]].kv, p.kv_offset);
    uint plane = p.n_context * HEAD_SIZE * 2u;
    uvec2 keys = rr_at(slot, kv_head, plane);
    values = rr_at(slot, p.n_kv_heads + kv_head, plane);
    for (uint key0 = 0; key0 <= last_key; key0 += TILE) {
        float score[ROWS][KEYS];
        uvec2 key[KEYS];
        [[unroll]] for (uint c = 0; c < KEYS; c++) {
            key[c] = rr_at(keys, min(key0 + c * WIDTH + lane, last_key), HEAD_SIZE * 2u);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                score[r][c] = 0.0;
            }
        }
        for (uint d = 0; d < HEAD_SIZE; d += 8u) {
            vec2 k[KEYS][4];
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                [[unroll]] for (uint i = 0; i < 4; i++) {
                    k[c][i] = unpackHalf2x16(rr_words(key[c]).at[d / 2u + i]);
                }
            }
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                float x[8];
                rr_spread8(q[r], d, x);
                [[unroll]] for (uint i = 0; i < 4; i++) {
                    [[unroll]] for (uint c = 0; c < KEYS; c++) {
                        score[r][c] = fma(x[2 * i + 1], k[c][i].y, fma(x[2 * i], k[c][i].x, score[r][c]));
                    }
                }
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            float highest = NONE;
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                bool seen = key0 + c * WIDTH + lane <= position[r];
                score[r][c] = seen ? score[r][c] * p.scale : NONE;
                highest = max(highest, score[r][c]);
            }
            float now = max(top[r], rr_max_of_lanes(highest));
            float sum = 0.0;
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                score[r][c] = score[r][c] == NONE ? 0.0 : exp(score[r][c] - now);
                sum += score[r][c];
            }
            float shrink = now == top[r] ? 1.0 : exp(top[r] - now);
            top[r] = now;
            total[r] = fma(total[r], shrink, rr_sum_of_lanes(sum));
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                mixed[r][k] *= shrink;
            }
        }
        for (uint c = 0; c < KEYS && key0 + c * WIDTH <= last_key; c++) {
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                weight[r] = c == 0 ? score[r][0] : c == 1 ? score[r][1] : c == 2 ? score[r][2] : score[r][3];
            }
            add_keys(key0 + c * WIDTH, lane);
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
        }
#else
        rr_pairs y = rr_pairs(rr_at(p.y, token[r], p.n_heads * HEAD_SIZE * 4u));
        [[unroll]] for (uint k = 0; k < OUT; k++) {
            if (wanted && lane + k * WIDTH < PAIRS) {
                y.at[head[r] * PAIRS + lane + k * WIDTH] = mixed[r][k] / total[r];
            }
        }
#endif
    }
}
