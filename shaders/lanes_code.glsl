// The code of a value in −127 … 127: the nearest integer, ties to even, by the float's own rounding. (A conversion would be
// right everywhere too, but software devices take it apart lane by lane.)
int rr_code(float v) {
    precise float shifted = v + 12582912.0; // 1.5 * 2^23
    return floatBitsToInt(shifted) - 0x4B400000;
}

// The largest magnitude of a group as its scale is made from it. Next to nothing counts as nothing: 127 / most stays finite.
float rr_most(float most) {
    return most < 1e-30 ? 0.0 : most;
}
