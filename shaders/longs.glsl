// 64-bit integers of memory, and addresses as such.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
layout(buffer_reference, std430, buffer_reference_align = 8) RR_COHERENT buffer rr_longs { uint64_t at[]; };
uint64_t rr_address(uvec2 a) { return pack64(a); }
