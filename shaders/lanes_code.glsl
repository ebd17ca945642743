#include "lanes_code.h"
const float RR_MOST = float(RR_LANES_MOST);

// The code of a value in −RR_MOST … RR_MOST: the nearest integer, ties to even, by the float's own rounding. (A conversion would be
// right everywhere too, but software devices take it apart lane by lane.)
int rr_code(float v) {
    precise float shifted = v + 12582912.0; // 1.5 * 2^23
    return floatBitsToInt(shifted) - 0x4B400000;
}

// The largest magnitude of a group as its scale is made from it. Next to nothing counts as nothing: RR_MOST / most stays finite.
float rr_most(float most) {
    return most < 1e-30 ? 0.0 : most;
}
