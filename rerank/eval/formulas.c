/* The formulas of the measures. `fraction`s are turned into ranks and counts with the roundings of
 * trec_eval 10: they decide in which place a value is read. Sources: trec_eval 10 (NIST; it rounds
 * recall levels to the nearest count, which 9 did not); bpref: Buckley and Voorhees 2004; infAP:
 * Yilmaz and Aslam 2006; nDCG: Järvelin and Kekäläinen 2002; RBP: Moffat and Zobel 2008. */
#include <math.h>

#include "rerank/eval/measure.h"

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static double ratio(double a, double b) {
    return b > 0.0 ? a / b : 0.0;
}

static bool is_relevant(const rr_judged *judged, size_t i) {
    return judged->levels[i] >= 0 && judged->levels[i] >= judged->relevant_from;
}

static size_t relevant_in(const rr_judged *judged, size_t cut) {
    size_t n = 0;
    for (size_t i = 0; i < judged->n && i < cut; i++) {
        n += is_relevant(judged, i);
    }
    return n;
}

RR_FORMULA(num_q) {
    (void)judged, (void)measure;
    return 1.0;
}
RR_FORMULA(num_ret) {
    (void)measure;
    return (double)judged->n;
}
RR_FORMULA(num_rel) {
    (void)measure;
    return (double)judged->n_relevant;
}
RR_FORMULA(num_rel_ret) {
    (void)measure;
    return (double)judged->n_relevant_ranked;
}
RR_FORMULA(num_nonrel_judged_ret) {
    (void)measure;
    size_t n = 0;
    for (size_t i = 0; i < judged->n; i++) {
        n += judged->levels[i] >= 0 && !is_relevant(judged, i);
    }
    return (double)n;
}

RR_FORMULA(ap) {
    double sum = 0.0;
    size_t found = 0;
    for (size_t i = 0; i < judged->n && i < measure->cut; i++) {
        if (is_relevant(judged, i)) {
            sum += (double)++found / (double)(i + 1);
        }
    }
    return ratio(sum, (double)judged->n_relevant);
}

RR_FORMULA(rprec) {
    size_t cut = (size_t)(measure->fraction * (double)judged->n_relevant + 0.9);
    return ratio((double)relevant_in(judged, cut), (double)cut);
}

RR_FORMULA(bpref) {
    (void)measure;
    size_t n_other = judged->n_ideal - judged->n_relevant, others = 0;
    double sum = 0.0;
    for (size_t i = 0; i < judged->n; i++) {
        if (is_relevant(judged, i)) {
            sum += 1.0 -
                ratio((double)least(others, judged->n_relevant),
                    (double)least(n_other, judged->n_relevant));
        } else {
            others += judged->levels[i] >= 0;
        }
    }
    return ratio(sum, (double)judged->n_relevant);
}

RR_FORMULA(rr) {
    for (size_t i = 0; i < judged->n && i < measure->cut; i++) {
        if (is_relevant(judged, i)) {
            return 1.0 / (double)(i + 1);
        }
    }
    return 0.0;
}

static double precision_from(const rr_judged *judged, double fraction) {
    size_t wanted = (size_t)lround(fraction * (double)judged->n_relevant);
    size_t found = judged->n_relevant_ranked;
    double best = 0.0;
    if (wanted > found) {
        return 0.0;
    }
    for (size_t i = judged->n; i > 0 && found > 0; i--) {
        best = fmax(best, (double)found / (double)i);
        if (is_relevant(judged, i - 1)) {
            if (found == wanted) {
                return best;
            }
            found--;
        }
    }
    return best;
}

RR_FORMULA(iprec) {
    return precision_from(judged, measure->fraction);
}
RR_FORMULA(iprec_mean) {
    (void)measure;
    double sum = 0.0;
    for (int i = 0; i <= 10; i++) {
        sum += precision_from(judged, i / 10.0);
    }
    return sum / 11.0;
}

RR_FORMULA(p) {
    return (double)relevant_in(judged, measure->cut) / (double)measure->cut;
}
RR_FORMULA(recall) {
    return ratio((double)relevant_in(judged, measure->cut), (double)judged->n_relevant);
}
RR_FORMULA(relative_p) {
    return ratio(
        (double)relevant_in(judged, measure->cut), (double)least(measure->cut, judged->n_relevant));
}
RR_FORMULA(success) {
    return relevant_in(judged, measure->cut) > 0 ? 1.0 : 0.0;
}
RR_FORMULA(unjudged) {
    size_t n = 0;
    for (size_t i = 0; i < judged->n && i < measure->cut; i++) {
        n += judged->levels[i] < 0;
    }
    return (double)n / (double)measure->cut;
}
RR_FORMULA(judged) {
    size_t n = 0, ranked = least(judged->n, measure->cut);
    for (size_t i = 0; i < ranked; i++) {
        n += judged->levels[i] >= 0;
    }
    return (double)n / (double)measure->cut;
}

double rr_dcg(const int32_t *levels, size_t n, size_t cut) {
    double sum = 0.0;
    for (size_t i = 0; i < n && i < cut; i++) {
        if (levels[i] > 0) {
            sum += levels[i] / log2((double)(i + 2));
        }
    }
    return sum;
}

RR_FORMULA(ndcg) {
    return ratio(rr_dcg(judged->levels, judged->n, measure->cut),
        rr_dcg(judged->ideal, judged->n_ideal, measure->cut));
}

/* How many of the ideal order bring a gain. */
static size_t gainful(const rr_judged *judged) {
    size_t n = 0;
    while (n < judged->n_ideal && judged->ideal[n] > 0) {
        n++;
    }
    return n;
}

RR_FORMULA(ndcg_rel) {
    (void)measure;
    size_t n_gains = gainful(judged), found = 0;
    double sum = 0.0, dcg = 0.0, ideal = 0.0;
    for (size_t i = 0; i < judged->n; i++) {
        double discount = log2((double)(i + 2));
        ideal += i < n_gains ? judged->ideal[i] / discount : 0.0;
        if (judged->levels[i] > 0) {
            dcg += judged->levels[i] / discount;
            sum += dcg / ideal;
            found++;
        }
    }
    /* those that were not found count with the value at the end */
    sum += (double)(n_gains - found) * ratio(dcg, rr_dcg(judged->ideal, judged->n_ideal, SIZE_MAX));
    return ratio(sum, (double)n_gains);
}

RR_FORMULA(ndcg_steps) {
    (void)measure;
    size_t n_gains = gainful(judged), n_steps = 0, at = 0;
    double sum = 0.0, dcg = 0.0, ideal = 0.0;
    if (judged->n_relevant == 0) {
        return 0.0;
    }
    for (size_t i = 0; i < n_gains; i++) {
        ideal += judged->ideal[i] / log2((double)(i + 2));
        for (; at <= i && at < judged->n; at++) {
            dcg += judged->levels[at] > 0 ? judged->levels[at] / log2((double)(at + 2)) : 0.0;
        }
        if (i + 1 == n_gains || judged->ideal[i + 1] != judged->ideal[i]) {
            sum += dcg / ideal;
            n_steps++;
        }
    }
    if (judged->n > n_gains + 1) { /* the end of the ranking is a step too */
        sum += ratio(rr_dcg(judged->levels, judged->n, SIZE_MAX), ideal);
        n_steps++;
    }
    return ratio(sum, (double)n_steps);
}

RR_FORMULA(inf_ap) {
    (void)measure;
    const double epsilon = 0.00001;
    double sum = 0.0, others = 0.0, found = 0.0, unjudged = 0.0;
    for (size_t i = 0; i < judged->n; i++) {
        if (judged->levels[i] == RR_UNPOOLED) {
            continue;
        }
        if (judged->levels[i] < 0) {
            unjudged++;
        } else if (!is_relevant(judged, i)) {
            others++;
        } else {
            double above = (double)i;
            sum += i == 0 ? 1.0
                          : 1.0 / (above + 1.0) +
                    (found + others + unjudged) / (above + 1.0) *
                        ((found + epsilon) / (found + others + 2.0 * epsilon));
            found++;
        }
    }
    return ratio(sum, (double)judged->n_relevant);
}

RR_FORMULA(gain) {
    (void)measure;
    double sum = 0.0, cost = 0.0, gained = 0.0, ideal = 0.0;
    for (size_t i = 0; i < judged->n_ideal; i++) {
        ideal += judged->ideal[i];
    }
    for (size_t i = 0; i < judged->n; i++) {
        cost += i < judged->n_ideal && judged->ideal[i] > 1 ? judged->ideal[i] : 1.0;
        if (judged->levels[i] > 0) {
            gained += judged->levels[i];
            sum += judged->levels[i] / log2(2.0 + cost - gained);
        }
    }
    return ratio(sum, ideal);
}

RR_FORMULA(gain_binary) {
    (void)measure;
    double sum = 0.0;
    size_t found = 0;
    for (size_t i = 0; i < judged->n; i++) {
        if (is_relevant(judged, i)) {
            sum += 1.0 / log2((double)(3 + i - ++found));
        }
    }
    return ratio(sum, (double)judged->n_relevant);
}

RR_FORMULA(rbp) {
    (void)measure;
    double top = judged->n_ideal > 0 && judged->ideal[0] > 1 ? judged->ideal[0] : 1.0, sum = 0.0,
           weight = 1.0;
    for (size_t i = 0; i < judged->n; i++, weight *= 0.9) {
        sum += judged->levels[i] > 0 ? judged->levels[i] / top * weight : 0.0;
    }
    return 0.1 * sum;
}

RR_FORMULA(rbp_residual) {
    (void)measure;
    double sum = 0.0, weight = 1.0;
    for (size_t i = 0; i < judged->n; i++, weight *= 0.9) {
        sum += judged->levels[i] < 0 ? weight : 0.0;
    }
    return sum > 0.0 ? weight + 0.1 * sum : 0.0;
}

RR_FORMULA(utility) {
    (void)measure;
    return 2.0 * (double)judged->n_relevant_ranked - (double)judged->n;
}
RR_FORMULA(set_p) {
    (void)measure;
    return ratio((double)judged->n_relevant_ranked, (double)judged->n);
}
RR_FORMULA(set_recall) {
    (void)measure;
    return ratio((double)judged->n_relevant_ranked, (double)judged->n_relevant);
}
RR_FORMULA(set_relative_p) {
    (void)measure;
    return ratio((double)judged->n_relevant_ranked, (double)least(judged->n, judged->n_relevant));
}
RR_FORMULA(set_map) {
    return rr_formula_set_p(judged, measure) * rr_formula_set_recall(judged, measure);
}
RR_FORMULA(set_f) {
    double p = rr_formula_set_p(judged, measure), recall = rr_formula_set_recall(judged, measure);
    return ratio(2.0 * p * recall, p + recall);
}
