// Maximum and sums over a subgroup of WIDTH lanes, lanes ascending: by broadcasts from literal lanes, one instruction each on a
// software device, where the subgroup's own reductions are loops over the lanes.
float rr_max_of_lanes(float v) {
    float most = subgroupBroadcast(v, 0);
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
