// What becomes of the output of attention: f32, or int8 activations (q8.glsl) where the push block names their groups.
// Needs subgroup shuffles; four neighbouring lanes lie in one subgroup.
#include "q8.glsl"
layout(buffer_reference, std430, buffer_reference_align = 8) buffer rr_word_pairs { uvec2 at[]; };

bool rr_quantizes() { return (p.groups.x | p.groups.y) != 0u; }

// Eight dimensions of a token's row of `width`, from 8 × at8 on. When quantizing, four neighbouring lanes hold a whole group,
// `member` = the lane's place among them; they are all live or none is.
void rr_store_eight(bool live, uint token, uint width, uint at8, uint member, vec4 a, vec4 b) {
    if (!rr_quantizes()) {
        if (live) {
            rr_floats4 y = rr_floats4(rr_at(p.y, token, width * 4u));
            y.at[at8 * 2u] = a;
            y.at[at8 * 2u + 1u] = b;
        }
        return;
    }
    vec4 c = max(abs(a), abs(b));
    float most = max(max(c.x, c.y), max(c.z, c.w));
    most = max(most, subgroupShuffleXor(most, 1u));
    most = max(most, subgroupShuffleXor(most, 2u));
    bool zero = !(most > 1e-30);
    float scale = 127.0 / most;
    ivec4 qa = zero ? ivec4(0) : ivec4(roundEven(a * scale)), qb = zero ? ivec4(0) : ivec4(roundEven(b * scale));
    int sum = qa.x + qa.y + qa.z + qa.w + qb.x + qb.y + qb.z + qb.w;
    sum += subgroupShuffleXor(sum, 1u);
    int other = subgroupShuffleXor(sum, 2u);
    if (live) {
        uvec4 ua = uvec4(qa) & 255u, ub = uvec4(qb) & 255u;
        rr_word_pairs(rr_at(p.y, token, width)).at[at8] =
            uvec2(ua.x | ua.y << 8 | ua.z << 16 | ua.w << 24, ub.x | ub.y << 8 | ub.z << 16 | ub.w << 24);
        if (member == 0u) {
            rr_q8_groups(rr_at(p.groups, token, width / 4u)).at[at8 / 4u] =
                uvec2(floatBitsToUint(zero ? 0.0 : most * (1.0 / 127.0)), uint(sum & 0xFFFF) | uint(other) << 16);
        }
    }
}
