// For kernels of software devices: one subgroup a workgroup, WIDTH lanes (at least 4), no shared memory. A load costs the
// same however many lanes take part, so a lane loads one of eight neighbours and all lanes get all of them by broadcast.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require

// What to add to an address so that rr_spread8 can use it.
uint rr_lane_bytes() { return (gl_SubgroupInvocationID & (WIDTH >= 8 ? 7u : 3u)) * 4u; }

// v = floats at … at + 7 of the array whose address, plus rr_lane_bytes(), is `base`.
void rr_spread8(uvec2 base, uint at, out float v[8]) {
    float a = rr_floats(base).at[at];
    v[0] = subgroupBroadcast(a, 0);
    v[1] = subgroupBroadcast(a, 1);
    v[2] = subgroupBroadcast(a, 2);
    v[3] = subgroupBroadcast(a, 3);
    if (WIDTH >= 8) {
        v[4] = subgroupBroadcast(a, 4);
        v[5] = subgroupBroadcast(a, 5);
        v[6] = subgroupBroadcast(a, 6);
        v[7] = subgroupBroadcast(a, 7);
    } else {
        float b = rr_floats(base).at[at + 4u];
        v[4] = subgroupBroadcast(b, 0);
        v[5] = subgroupBroadcast(b, 1);
        v[6] = subgroupBroadcast(b, 2);
        v[7] = subgroupBroadcast(b, 3);
    }
}
