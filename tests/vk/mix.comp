/* to[i] = f^rounds(from[i]) with f(x) = x * FACTOR + p.add, one invocation a word; p.rounds makes it last. */
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FACTOR = 1;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words {
    uint w[];
};

layout(push_constant, std430) uniform Push {
    uvec2 from;
    uvec2 to;
    uint n;
    uint add;
    uint rounds;
} p;

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < p.n) {
        uint x = Words(p.from).w[i];
        for (uint r = 0; r < p.rounds; r++) {
            x = x * FACTOR + p.add;
        }
        Words(p.to).w[i] = x;
    }
}
