#include "runtime/compute/fast_path.h"

/* The first run of anything may hold the driver's compilation: the better of two counts. */
enum { TIMED = 2, SLOW = 2, HOLD_LEAST = 8, HOLD_MOST = 128 };

static bool is_known(const rr_fast_path *path) {
    return path->n_timed >= TIMED;
}

bool rr_fast_path_is_taken(const rr_fast_path *path) {
    return is_known(path) && path->n_left == 0;
}

static void took_safe(rr_fast_path *path, double ns) {
    if (!is_known(path)) {
        path->safe_ns = path->n_timed == 0 || ns < path->safe_ns ? ns : path->safe_ns;
        path->n_timed++;
        return;
    }
    path->safe_ns += (ns - path->safe_ns) / 4.0; /* contexts grow, machines get busy */
    path->n_left--;
    path->trying = path->n_left == 0;
}

static void took_fast(rr_fast_path *path, double ns) {
    if (ns <= path->safe_ns) {
        *path = (rr_fast_path){.safe_ns = path->safe_ns, .n_timed = path->n_timed};
        return;
    }
    path->n_slow++;
    if (path->trying || path->n_slow == SLOW) {
        path->hold = path->hold == 0 ? HOLD_LEAST
            : path->hold < HOLD_MOST ? path->hold * 2
                                     : HOLD_MOST;
        path->n_left = path->hold;
        path->n_slow = 0;
        path->trying = false;
    }
}

void rr_fast_path_took(rr_fast_path *path, double ns) {
    if (rr_fast_path_is_taken(path)) {
        took_fast(path, ns);
    } else {
        took_safe(path, ns);
    }
}
