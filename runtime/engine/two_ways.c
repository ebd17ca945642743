#include "runtime/engine/two_ways.h"

/* The first run of anything may hold the driver's compilation: the better of two counts. */
enum { TIMED = 2, SLOW = 2, HOLD_LEAST = 8, HOLD_MOST = 128 };

static bool is_known(const rr_two_ways *ways) {
    return ways->n_timed >= TIMED;
}

bool rr_two_ways_risk(const rr_two_ways *ways) {
    return is_known(ways) && ways->n_left == 0;
}

static void took_safe(rr_two_ways *ways, double ns) {
    if (!is_known(ways)) {
        ways->safe_ns = ways->n_timed == 0 || ns < ways->safe_ns ? ns : ways->safe_ns;
        ways->n_timed++;
        return;
    }
    ways->safe_ns += (ns - ways->safe_ns) / 4.0; /* contexts grow, machines get busy */
    ways->n_left--;
    ways->trying = ways->n_left == 0;
}

static void took_risk(rr_two_ways *ways, double ns) {
    if (ns <= ways->safe_ns) {
        *ways = (rr_two_ways){.safe_ns = ways->safe_ns, .n_timed = ways->n_timed};
        return;
    }
    ways->n_slow++;
    if (ways->trying || ways->n_slow == SLOW) {
        ways->hold = ways->hold == 0 ? HOLD_LEAST
            : ways->hold < HOLD_MOST ? ways->hold * 2
                                     : HOLD_MOST;
        ways->n_left = ways->hold;
        ways->n_slow = 0;
        ways->trying = false;
    }
}

void rr_two_ways_took(rr_two_ways *ways, double ns) {
    if (rr_two_ways_risk(ways)) {
        took_risk(ways, ns);
    } else {
        took_safe(ways, ns);
    }
}
