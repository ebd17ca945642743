/* What was found, as the files of `rearank bench` add to it and ask of it. */
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"

rr_bench_point *rr_bench_add(rr_bench *bench, rr_bench_kind kind) {
    rr_bench_point *point = &bench->points[bench->n_points++];
    memset(point, 0, sizeof *point);
    point->kind = kind;
    return point;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void rr_bench_sort(rr_bench_point *point) {
    qsort(point->times_ns, point->n, sizeof *point->times_ns, by_value);
}

double rr_bench_least_ns(const rr_bench_point *point) {
    return point->times_ns[0];
}

double rr_bench_median_ns(const rr_bench_point *point) {
    uint32_t n = point->n;
    return n % 2 == 1 ? point->times_ns[n / 2]
                      : (point->times_ns[n / 2 - 1] + point->times_ns[n / 2]) / 2.0;
}

const rr_bench_roof *rr_bench_memory_roof(const rr_bench *bench) {
    return bench->n_roofs > 0 ? &bench->roofs[0] : NULL;
}

const rr_bench_roof *rr_bench_arithmetic_roof(const rr_bench *bench) {
    const rr_bench_roof *best = NULL;
    for (size_t i = 1; i < bench->n_roofs; i++) {
        best = best == NULL || bench->roofs[i].per_ns > best->per_ns ? &bench->roofs[i] : best;
    }
    return best;
}
