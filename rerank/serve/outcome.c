#include "rerank/serve/outcome.h"

#include <math.h>

/* Makes the scores floats that fall strictly and stay above 0, whatever they were. */
static void make_fall(rr_serve_result *results, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float score = (float)results[i].score;
        if (i > 0 && !(score < (float)results[i - 1].score)) {
            score = nextafterf((float)results[i - 1].score, 0.0f);
        }
        results[i].score = (double)score;
    }
    if (!(results[n - 1].score > 0.0)) { /* no room left below: only the order can be told */
        for (size_t i = 0; i < n; i++) {
            results[i].score = (double)(float)((double)(n - i) / (double)n);
        }
    }
}

void rr_serve_results(
    const rr_serve_request *request, const rr_ranking *ranking, rr_serve_result *out) {
    const size_t n = request->n, n_ranked = request->query.n;
    const bool calibrated = ranking->scores != NULL;
    for (size_t i = 0; i < n_ranked; i++) {
        const double score =
            calibrated ? rr_ranking_score(ranking, i + 1) : (double)(n - i) / (double)n;
        out[i] = (rr_serve_result){request->index[ranking->order[i]], score};
    }
    const double least = n_ranked > 0 ? out[n_ranked - 1].score : 1.0;
    const size_t n_blank = n - n_ranked;
    for (size_t i = 0; i < n_blank; i++) {
        const double score = calibrated || n_ranked == 0
            ? least * (double)(n_blank - i) / (double)(n_blank + (n_ranked > 0))
            : (double)(n_blank - i) / (double)n;
        out[n_ranked + i] = (rr_serve_result){request->blank[i], score};
    }
    make_fall(out, n);
}

rr_serve_usage rr_serve_usage_of(const rr_ranking *ranking) {
    rr_serve_usage usage = {0};
    for (size_t i = 0; i < ranking->n_windows; i++) {
        const rr_window_result *window = &ranking->windows[i];
        usage.prompt_tokens += window->prompt_tokens;
        usage.computed_tokens +=
            window->prompt_tokens - window->reused_tokens - window->shared_tokens;
        usage.generated_tokens += window->generated_tokens;
        usage.window_ns += window->prompt_ns + window->generate_ns;
        usage.n_late += window->late;
    }
    return usage;
}
