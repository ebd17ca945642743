// Adapters of the lanes_ kernels, which have them where ADAPTED is set: lanes_lora.h. The includer sets WIDTH.
#include "lanes_lora.h"
layout(constant_id = 15) const uint ADAPTED = 0;
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer rr_lanes_lora { rr_args_lanes_lora at; };
// what workgroups tell each other
layout(buffer_reference, std430, buffer_reference_align = 8) coherent buffer rr_lora_sums { uint64_t at[]; };
const uint BLOCK = 2 * WIDTH; // ranks that the lanes take at once, two each

vec2 rr_two(uint64_t v) { return uintBitsToFloat(unpack32(v)); }
uint64_t rr_long(vec2 v) { return pack64(floatBitsToUint(v)); }

// Where the lane's ranks of block k0 of A's columns 32 unit … lie; the next column's are WIDTH longs on.
rr_longs rr_lora_columns(rr_args_lanes_lora l, uint unit, uint k0) {
    return rr_longs(rr_address(l.a) + (uint64_t(unit) * l.a_width + k0) * 128u + gl_SubgroupInvocationID * 8u);
}

// The lane's ranks of block k0 of a row's sum number `index` of n.
void rr_lora_store(rr_args_lanes_lora l, uint row, uint index, uint n, uint k0, vec2 v) {
    uint k = k0 + gl_SubgroupInvocationID * 2u;
    if (k < l.out_width) {
        rr_lora_sums(rr_address(l.sums) + (uint64_t(row) * n + index) * l.out_width * 4u).at[k / 2u] = rr_long(v);
    }
}
