/* to[0] = gl_SubgroupSize; to[1 + i] = sum of (index + 1) over the subgroup of invocation i. */
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x = 128) in;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words {
    uint w[];
};

layout(push_constant, std430) uniform Push {
    uvec2 to;
} p;

void main() {
    uint i = gl_LocalInvocationIndex;
    uint sum = subgroupAdd(i + 1);
    Words(p.to).w[1 + i] = sum;
    if (i == 0) {
        Words(p.to).w[0] = gl_SubgroupSize;
    }
}
