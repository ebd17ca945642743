// Shared by every kernel: extensions, buffer references, 64-bit addresses as uvec2 (low, high).
// The floor: no 8/16/64-bit types (but RR_INT64), no subgroup operations, no descriptors.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#ifdef RR_INT64
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#include "push.h"

// A kernel whose workgroups hand each other results within a dispatch sets this to `coherent`, for all that it reads and writes.
#ifndef RR_COHERENT
#define RR_COHERENT
#endif
layout(buffer_reference, std430, buffer_reference_align = 4) RR_COHERENT buffer rr_words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) RR_COHERENT buffer rr_words4 { uvec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) RR_COHERENT buffer rr_floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) RR_COHERENT buffer rr_floats4 { vec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) RR_COHERENT buffer rr_pairs { vec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) RR_COHERENT buffer rr_rows { rr_row at[]; };

// base + bytes
uvec2 rr_add(uvec2 base, uint bytes) {
#ifdef RR_INT64
    return unpackUint2x32(packUint2x32(base) + uint64_t(bytes)); // compilers see one base and a 32-bit offset
#else
    uint carry;
    uint low = uaddCarry(base.x, bytes, carry);
    return uvec2(low, base.y + carry);
#endif
}

uvec2 rr_add64(uvec2 base, uvec2 bytes) {
    uvec2 sum = rr_add(base, bytes.x);
    return uvec2(sum.x, sum.y + bytes.y);
}

// base + index * stride, both 32 bits, product 64 bits
uvec2 rr_at(uvec2 base, uint index, uint stride) {
    uint high, low;
    umulExtended(index, stride, high, low);
    return rr_add64(base, uvec2(low, high));
}
