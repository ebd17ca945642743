// Parts of attention_split.comp: how work is dealt to lanes, shared memory, the output of a chunk, the sum over chunks.
const uint LANES = 256;
const uint HEADS = 8; // query heads a KV head, at most; unused ones repeat the last
const uint KEYS = 2;  // keys a lane
const uint QUADS = LANES / 4;
const uint TILE = RR_ATTENTION_TILE; // = QUADS * KEYS
const uint PIECES = HEAD_SIZE / 8;
const uint STEPS = (PIECES + 3) / 4; // pieces a lane
const uint DIMS4 = HEAD_SIZE / 4;
const uint OUT_LANES = DIMS4 < 8 ? 8 : DIMS4; // lanes a row of V; those past its end repeat the last
const uint SLICES = LANES / OUT_LANES;
const uint VALUES = QUADS / SLICES / 2; // times 4 keys a slice
const float NONE = -3.0e38;             // below every score; a finite stand-in for −infinity
layout(buffer_reference, std430, buffer_reference_align = 16) coherent buffer rr_records { vec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer rr_counters { uint at[]; };

shared vec4 area[512];             // q × scale [head][step][lane of four][2]; then sums of slices; then states of records
shared vec2 weight[HEADS * QUADS]; // [head][quad], its 2 keys
shared vec2 tops[QUADS * 4];       // heads i and i + 4 of lane i of four
shared vec2 tops8[8 * 4];          // of 8 quads
shared vec2 head_state[HEADS];     // maximum, sum
shared float shrink[HEADS];
shared float highest_yet[HEADS]; // the maximum; not in registers, of which the scores want all
shared bool is_last;

uint lane, group, kv_head, r;
uint sub, quad;    // scores: lane = (quad, one of its four)
uint slice, dim4;  // output: lane = (slice of the keys, 4 dimensions)
vec4 sums[HEADS];
vec2 total;        // of heads sub, sub + 4 and of the lane's own keys

// The output of heads `first` … first + n − 1 of the group: slices 0 … n − 1 have one each, a lane its 4 dimensions. Called by
// the whole workgroup.
void store(uint first, uint n, vec4 value) {
    uint width = p.n_heads * HEAD_SIZE;
    if (!rr_quantizes()) {
        if (slice < n && first + slice < group && dim4 < DIMS4) {
            rr_floats4(rr_at(p.y, r, width * 4u)).at[(kv_head * group + first + slice) * DIMS4 + dim4] = value;
        }
        return;
    }
    barrier();
    area[lane] = value;
    barrier();
    uint at = lane * 2u % LANES, head = first + at / OUT_LANES; // half of the lanes take 8 dimensions each
    bool live = lane < LANES / 2 && at / OUT_LANES < n && head < group && at % OUT_LANES < DIMS4;
    rr_store_eight(live, r, width, (kv_head * group + head) * PIECES + at % OUT_LANES / 2u, sub, area[at], area[at + 1u]);
}

rr_records record_of(uint chunk, uint head) {
    uint index = ((r * p.n_kv_heads + kv_head) * gl_NumWorkGroups.x + chunk) * group + head;
    uvec2 records = rr_add(p.scratch, RR_ATTENTION_COUNTERS(p.n_kv_heads) * 4u);
    return rr_records(rr_at(records, index, (HEAD_SIZE + 4u) * 4u));
}

// Slices of two heads, in order: to y when the row has no other chunk, else to the records.
void finish_heads(uint first, vec4 a, vec4 b, uint n_chunks) {
    barrier();
    area[lane] = a;
    area[LANES + lane] = b;
    barrier();
    vec4 sum = vec4(0.0);
    if (slice < 2u) {
        [[unroll]] for (uint s = 0; s < SLICES; s++) {
            sum += area[slice * LANES + s * OUT_LANES + dim4];
        }
    }
    uint head = min(first + slice, HEADS - 1u);
    vec2 state = head_state[head];
    if (n_chunks == 1u) {
        store(first, 2, sum / state.y);
    } else if (slice < 2u && head < group && dim4 < DIMS4) {
        rr_records record = record_of(gl_WorkGroupID.x, head);
        record.at[dim4] = sum;
        if (dim4 == 0u) {
            record.at[DIMS4] = vec4(state, 0.0, 0.0);
        }
    }
}

void finish_chunk(uint n_chunks) {
    tops[lane] = total;
    barrier();
    if (lane < 32u) {
        [[unroll]] for (uint i = 1; i < QUADS / 8; i++) {
            total += tops[i * 32u + lane];
        }
        tops8[lane] = total;
    }
    barrier();
    if (lane < 4u) {
        [[unroll]] for (uint i = 1; i < 8; i++) {
            total += tops8[i * 4u + sub];
        }
        head_state[sub] = vec2(highest_yet[sub], total.x);
        head_state[sub + 4u] = vec2(highest_yet[sub + 4u], total.y);
    }
    [[dont_unroll]] for (uint i = 0; i < HEADS; i += 2u) { // unrolled, it takes too many registers
        vec4 a = i == 0u ? sums[0] : i == 2u ? sums[2] : i == 4u ? sums[4] : sums[6];
        vec4 b = i == 0u ? sums[1] : i == 2u ? sums[3] : i == 4u ? sums[5] : sums[7];
        finish_heads(i, a, b, n_chunks);
    }
}

// True for the workgroup of a (row, KV head) that gets here last: all records are there to be read.
bool comes_last(uint n_chunks) {
    memoryBarrierBuffer();
    barrier();
    if (lane == 0u) {
        rr_counters counter = rr_counters(rr_add(p.scratch, gl_WorkGroupID.y * 4u));
        is_last = atomicAdd(counter.at[0], 1u) == n_chunks - 1u;
        if (is_last) {
            counter.at[0] = 0u; // as the next pass wants to find it
        }
    }
    barrier();
    memoryBarrierBuffer();
    return is_last;
}

// Adds up the records of all chunks, in order. Slice = head of the group.
void merge(uint n_chunks) {
    // [chunk][8 heads]: maximum, sum, factor of the chunk
    for (uint i = lane; i < n_chunks * HEADS; i += LANES) {
        area[i].xy = record_of(i / HEADS, min(i % HEADS, group - 1u)).at[DIMS4].xy;
    }
    barrier();
    float highest = NONE;
    for (uint c = 0; c < n_chunks; c++) {
        highest = max(highest, area[c * HEADS + lane % HEADS].x);
    }
    for (uint i = lane; i < n_chunks * HEADS; i += LANES) {
        area[i].z = exp(area[i].x - highest);
    }
    barrier();
    vec4 sum = vec4(0.0);
    float weights = 0.0;
    if (slice < group && dim4 < DIMS4) {
        for (uint c0 = 0; c0 < n_chunks; c0 += 8u) {
            vec4 part[8];
            [[unroll]] for (uint i = 0; i < 8; i++) {
                part[i] = record_of(min(c0 + i, n_chunks - 1u), slice).at[dim4];
            }
            [[unroll]] for (uint i = 0; i < 8; i++) {
                if (c0 + i < n_chunks) {
                    vec4 state = area[(c0 + i) * HEADS + slice];
                    sum = fma(vec4(state.z), part[i], sum);
                    weights = fma(state.z, state.y, weights);
                }
            }
        }
    }
    store(0, HEADS, sum / weights);
}
