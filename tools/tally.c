#include "tools/tally.h"

#include "runtime/base/log.h"

static bool is_as_shown(const rr_window_result *window) {
    for (uint32_t i = 0; i < window->n; i++) {
        if (window->permutation[i] != i + 1) {
            return false;
        }
    }
    return true;
}

static bool is_turned_round(const rr_window_result *window) {
    for (uint32_t i = 0; i < window->n; i++) {
        if (window->permutation[i] != window->n - i) {
            return false;
        }
    }
    return true;
}

void rr_tally_add(rr_tally *tally, const rr_ranking *ranking) {
    size_t n_late = rr_ranking_n_late(ranking);
    tally->n_queries++;
    tally->n_windows += ranking->n_windows;
    tally->n_late += n_late;
    tally->n_late_queries += n_late > 0;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        const rr_window_result *window = &ranking->windows[i];
        const bool as_shown = is_as_shown(window),
                   is_written = !window->late && window->reads == NULL;
        tally->n_echoes += as_shown && is_written && window->n_listed >= RR_TALLY_LISTED;
        tally->n_moved += !as_shown;
        const bool is_long = is_written && window->n_listed >= RR_TALLY_LONG;
        tally->n_long += is_long;
        tally->n_long_echoes += is_long && as_shown;
        tally->n_mirrors += is_long && is_turned_round(window);
    }
}

bool rr_tally_echoes(const rr_tally *tally) {
    return tally->n_moved == 0 && tally->n_echoes >= RR_TALLY_ECHOES;
}

bool rr_tally_hardly_ranks(const rr_tally *tally) {
    return tally->n_long >= RR_TALLY_ECHOES &&
        2 * (tally->n_long_echoes + tally->n_mirrors) >= tally->n_long;
}

void rr_tally_tell(const rr_tally *tally, double deadline_s, bool by_logits) {
    if (tally->n_late > 0) {
        rr_log(RR_LOG_WARN,
            "queries that met their --deadline of %g s: %zu of %zu; windows that stay as they were: %zu of %zu",
            deadline_s, tally->n_late_queries, tally->n_queries, tally->n_late, tally->n_windows);
    }
    const char *advice = by_logits ? ", or fit a readout and try --score-mode read"
                                   : ", or try --score-mode read or logits";
    if (rr_tally_echoes(tally)) {
        rr_log(RR_LOG_WARN,
            "all %zu answers repeat the order in which the passages were shown ([1] > [2] > [3] ...): this model ranked nothing; take "
            "another model%s (docs/quality.md)",
            tally->n_echoes, advice);
    } else if (rr_tally_hardly_ranks(tally)) {
        rr_log(RR_LOG_WARN,
            "of %zu answers %zu repeat the order in which the passages were shown and %zu turn it round: this model hardly ranks; take "
            "another model%s (docs/quality.md)",
            tally->n_long, tally->n_long_echoes, tally->n_mirrors, advice);
    }
}
