// Maximum and sums over a subgroup of WIDTH lanes, lanes ascending: by broadcasts from literal lanes, one instruction each on a
// software device, where the subgroup's own reductions are loops over the lanes. Maxima are taken of integers: a float one is
// ten instructions there, for NaN.

// An integer that is ordered as the float is (−0 below 0), and back again.
int rr_order(float v) {
    int i = floatBitsToInt(v);
    return i ^ int(uint(i >> 31) >> 1);
}

float rr_from_order(int i) {
    return intBitsToFloat(i ^ int(uint(i >> 31) >> 1));
}

// The same of a magnitude, which intBitsToFloat() turns back.
int rr_magnitude(float v) {
    return floatBitsToInt(v) & 0x7FFFFFFF;
}

int rr_max_of_lanes(int v) {
    int most = subgroupBroadcast(v, 0);
    [[unroll]] for (uint i = 1; i < WIDTH; i++) {
        most = max(most, subgroupBroadcast(v, i));
    }
    return most;
}

float rr_sum_of_lanes(float v) {
    float sum = subgroupBroadcast(v, 0);
    [[unroll]] for (uint i = 1; i < WIDTH; i++) {
        sum += subgroupBroadcast(v, i);
    }
    return sum;
}

int rr_sum_of_lanes(int v) {
    int sum = subgroupBroadcast(v, 0);
    [[unroll]] for (uint i = 1; i < WIDTH; i++) {
        sum += subgroupBroadcast(v, i);
    }
    return sum;
}

// The same over each eight neighbouring lanes; WIDTH is 8 or 16.
int rr_max_of_eight(int v) {
    int low = subgroupBroadcast(v, 0), high = subgroupBroadcast(v, WIDTH - 8u);
    [[unroll]] for (uint i = 1; i < 8; i++) {
        low = max(low, subgroupBroadcast(v, i));
        if (WIDTH == 16) {
            high = max(high, subgroupBroadcast(v, i + WIDTH - 8u));
        }
    }
    return WIDTH == 8 || gl_SubgroupInvocationID < 8u ? low : high;
}

int rr_sum_of_eight(int v) {
    int low = subgroupBroadcast(v, 0), high = subgroupBroadcast(v, WIDTH - 8u);
    [[unroll]] for (uint i = 1; i < 8; i++) {
        low += subgroupBroadcast(v, i);
        if (WIDTH == 16) {
            high += subgroupBroadcast(v, i + WIDTH - 8u);
        }
    }
    return WIDTH == 8 || gl_SubgroupInvocationID < 8u ? low : high;
}
