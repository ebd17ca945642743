/* The depth of drafts. */
#include "runtime/engine/draft_depth.h"

/* Before anything is known: half of the tokens are right, by the weight of three. */
static const double PRIOR_TRIED = 3.0, PRIOR_ACCEPTED = 1.5;
/* What a pass takes from what earlier ones showed. */
static const double KEPT = 0.9;
/* A row more, in passes of one row, where no pass of several was measured yet. */
static const double ROW_SHARE = 0.25;

void rr_draft_depth_learn(rr_draft_depth *depth, uint32_t n_drafted, uint32_t n_accepted) {
    if (n_drafted == 0) {
        depth->n_idle++;
        return;
    }
    depth->n_idle = 0;
    /* the first wrong one ends the comparison */
    uint32_t n_tried = n_accepted < n_drafted ? n_accepted + 1 : n_drafted;
    depth->tried = KEPT * depth->tried + n_tried;
    depth->accepted = KEPT * depth->accepted + n_accepted;
}

void rr_draft_depth_learn_cost(rr_draft_depth *depth, uint32_t n, double took_ns) {
    double each = took_ns / n;
    depth->draft_ns = depth->draft_ns <= 0.0 ? each : KEPT * depth->draft_ns + (1.0 - KEPT) * each;
}

double rr_draft_depth_chance(const rr_draft_depth *depth) {
    return (depth->accepted + PRIOR_ACCEPTED) / (depth->tried + PRIOR_TRIED);
}

double rr_draft_depth_pass_ns(const double *pass_ns, uint32_t n_rows, uint32_t n) {
    uint32_t below = 0, before = 0, above = 0; /* the two measured ones up to n, the one behind */
    for (uint32_t i = 1; i <= n_rows; i++) {
        if (pass_ns[i] <= 0.0) {
            continue;
        }
        if (i <= n) {
            before = below;
            below = i;
        } else if (above == 0) {
            above = i;
        }
    }
    if (below == n) {
        return pass_ns[n];
    }
    if (below == 0) {
        return above == 0 ? 0.0 : pass_ns[above];
    }
    double slope = ROW_SHARE * pass_ns[below] / (1.0 + ROW_SHARE * (below - 1));
    if (above != 0) {
        slope = (pass_ns[above] - pass_ns[below]) / (above - below);
    } else if (before != 0) {
        slope = (pass_ns[below] - pass_ns[before]) / (below - before);
    }
    return pass_ns[below] + (slope > 0.0 ? slope : 0.0) * (n - below);
}

uint32_t rr_draft_depth_choose(const rr_draft_depth *depth, const double *pass_ns, uint32_t n_rows,
    uint32_t n_others, uint32_t max) {
    const double chance = rr_draft_depth_chance(depth);
    double best = 0.0, tokens = 1.0, likely = 1.0;
    uint32_t choice = 0;
    for (uint32_t n = 0; n <= max && n_others + 1 + n <= n_rows; n++) {
        double ns = rr_draft_depth_pass_ns(pass_ns, n_rows, n_others + 1 + n);
        double rate = ns > 0.0 ? (n_others + tokens) / (ns + n * depth->draft_ns) : 0.0;
        if (rate > best) {
            best = rate;
            choice = n;
        }
        likely *= chance;
        tokens += likely;
    }
    return choice < 2 && depth->n_idle >= RR_DRAFT_DEPTH_IDLE && best > 0.0 ? (max < 2 ? max : 2)
                                                                            : choice;
}
