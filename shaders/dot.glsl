// sum + the dot product of four signed bytes with four signed bytes, exactly: one instruction with RR_DOT.
#ifdef RR_DOT
#extension GL_EXT_integer_dot_product : require
int rr_dot4(uint a, uint b, int sum) { return sum + dotPacked4x8EXT(int(a), int(b)); }
#else
int rr_dot4(uint a, uint b, int sum) {
    int x = int(a), y = int(b);
    sum += bitfieldExtract(x, 0, 8) * bitfieldExtract(y, 0, 8);
    sum += bitfieldExtract(x, 8, 8) * bitfieldExtract(y, 8, 8);
    sum += bitfieldExtract(x, 16, 8) * bitfieldExtract(y, 16, 8);
    return sum + (x >> 24) * (y >> 24);
}
#endif
