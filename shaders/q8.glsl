// Int8 activations. A row of cols values (a multiple of 32) becomes two planes, both dense and row-major:
//   values  int8 [rows][cols]
//   groups  8 bytes a group of 32: f32 d, then int16 sum of the first 16 integers, int16 sum of the other 16
// q = round half to even(x · (127 / m)), d = m · (1 / 127), m = max |x| of the group; m below 1e-30: all zeros. x ≈ d q.
// Made once by the producer; every consumer multiplies integers, exactly, and scales a group's sum by d.
// RR_Q8_STAGE: lanes that quantize at once, 4 values each, a multiple of 8; eight neighbours make a group.
layout(buffer_reference, std430, buffer_reference_align = 8) buffer rr_q8_groups { uvec2 at[]; };

#ifdef RR_Q8_STAGE
shared vec4 q8_stage[RR_Q8_STAGE];
shared int q8_sums[RR_Q8_STAGE];

// Quantizes what the lanes put into q8_stage, lane k the values 4k … 4k + 3. Called by the whole workgroup between barriers;
// lanes that are not `live` (whole groups of 8) store nothing. values, groups: the row's planes; word: the lane's four
// values' place in the row, column / 4. Returns what the lane's values have lost.
vec4 rr_q8_store(uint k, bool live, uvec2 values, uvec2 groups, uint word) {
    float most = 0.0;
    vec4 v = vec4(0.0);
    if (live) {
        [[unroll]] for (uint i = 0; i < 8; i++) {
            vec4 a = abs(q8_stage[(k & ~7u) + i]);
            most = max(most, max(max(a.x, a.y), max(a.z, a.w)));
        }
        v = q8_stage[k];
    }
    bool zero = !(most > 1e-30);
    ivec4 q = zero ? ivec4(0) : ivec4(roundEven(v * (127.0 / most)));
    float d = zero ? 0.0 : most * (1.0 / 127.0);
    if (live) {
        q8_sums[k] = q.x + q.y + q.z + q.w;
        rr_words(values).at[word] =
            uint(q.x & 255) | uint(q.y & 255) << 8 | uint(q.z & 255) << 16 | uint(q.w) << 24;
    }
    barrier();
    if (live && (k & 7u) == 0u) {
        int first = q8_sums[k] + q8_sums[k + 1] + q8_sums[k + 2] + q8_sums[k + 3];
        int second = q8_sums[k + 4] + q8_sums[k + 5] + q8_sums[k + 6] + q8_sums[k + 7];
        rr_q8_groups(groups).at[word >> 3] =
            uvec2(floatBitsToUint(d), uint(first & 0xFFFF) | uint(second) << 16);
    }
    return v - d * vec4(q);
}
#endif
