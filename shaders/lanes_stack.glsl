// A software device compiles a kernel with many live values to one that keeps some on the stack, 64 bytes each with 16 lanes.
// LLVM aligns that stack to 64 only if it sees a vector there before it assigns registers (X86RegisterInfo::canRealignStack); else
// every such value lies across two cache lines, and prompts take up to half as long again. An atomic operation puts one there:
// Mesa runs it lane by lane and collects the results in memory. This one is never reached.
layout(buffer_reference, std430, buffer_reference_align = 4) buffer rr_stack_words { uint at[]; };

void rr_align_stack(uvec2 address, uint n_tokens) {
    if (n_tokens == 0u) {
        atomicAdd(rr_stack_words(address).at[0], 0u);
    }
}
