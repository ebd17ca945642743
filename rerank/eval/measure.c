#include "rerank/eval/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"

typedef enum cut_kind {
    NO_CUT,
    MAY_CUT,  /* name or name@k */
    MUST_CUT, /* name@k */
    FRACTION  /* name@x, x from 0 */
} cut_kind;

typedef struct family {
    const char *names; /* ours, then the others, spaces between; compared without case */
    cut_kind cut;
    double (*compute)(const rr_judged *judged, const rr_measure *measure);
    rr_measure_mean mean;
} family;

static const family families[] = {
    {"ndcg ndcg_cut", MAY_CUT, rr_formula_ndcg, RR_MEAN},
    {"map ap map_cut", MAY_CUT, rr_formula_ap, RR_MEAN},
    {"mrr recip_rank rr", MAY_CUT, rr_formula_rr, RR_MEAN},
    {"recall r", MUST_CUT, rr_formula_recall, RR_MEAN},
    {"p precision", MUST_CUT, rr_formula_p, RR_MEAN},
    {"success hit", MUST_CUT, rr_formula_success, RR_MEAN},
    {"judged", MUST_CUT, rr_formula_judged, RR_MEAN},
    {"unj", MUST_CUT, rr_formula_unjudged, RR_MEAN},
    {"relative_P", MUST_CUT, rr_formula_relative_p, RR_MEAN},
    {"num_q", NO_CUT, rr_formula_num_q, RR_MEAN_SUM},
    {"num_ret numret", NO_CUT, rr_formula_num_ret, RR_MEAN_SUM},
    {"num_rel numrel", NO_CUT, rr_formula_num_rel, RR_MEAN_SUM},
    {"num_rel_ret numrelret", NO_CUT, rr_formula_num_rel_ret, RR_MEAN_SUM},
    {"num_nonrel_judged_ret", NO_CUT, rr_formula_num_nonrel_judged_ret, RR_MEAN_SUM},
    {"gm_map", NO_CUT, rr_formula_ap, RR_MEAN_GEOMETRIC},
    {"gm_bpref", NO_CUT, rr_formula_bpref, RR_MEAN_GEOMETRIC},
    {"Rprec", NO_CUT, rr_formula_rprec, RR_MEAN},
    {"Rprec_mult", FRACTION, rr_formula_rprec, RR_MEAN},
    {"bpref", NO_CUT, rr_formula_bpref, RR_MEAN},
    {"infAP", NO_CUT, rr_formula_inf_ap, RR_MEAN},
    {"iprec iprec_at_recall", FRACTION, rr_formula_iprec, RR_MEAN},
    {"11pt_avg", NO_CUT, rr_formula_iprec_mean, RR_MEAN},
    {"ndcg_rel", NO_CUT, rr_formula_ndcg_rel, RR_MEAN},
    {"Rndcg", NO_CUT, rr_formula_ndcg_steps, RR_MEAN},
    {"binG", NO_CUT, rr_formula_gain_binary, RR_MEAN},
    {"G", NO_CUT, rr_formula_gain, RR_MEAN},
    {"rbp", NO_CUT, rr_formula_rbp, RR_MEAN},
    {"rbp_resid", NO_CUT, rr_formula_rbp_residual, RR_MEAN},
    {"utility", NO_CUT, rr_formula_utility, RR_MEAN},
    {"set_P setp", NO_CUT, rr_formula_set_p, RR_MEAN},
    {"set_recall setr", NO_CUT, rr_formula_set_recall, RR_MEAN},
    {"set_relative_P", NO_CUT, rr_formula_set_relative_p, RR_MEAN},
    {"set_map", NO_CUT, rr_formula_set_map, RR_MEAN},
    {"set_F setf", NO_CUT, rr_formula_set_f, RR_MEAN},
};

#define CUTS(name)                                                                            \
    name "_5," name "_10," name "_15," name "_20," name "_30," name "_100," name "_200," name \
         "_500," name "_1000,"
#define TENTHS(name)                                                                         \
    name "_0.00," name "_0.10," name "_0.20," name "_0.30," name "_0.40," name "_0.50," name \
         "_0.60," name "_0.70," name "_0.80," name "_0.90," name "_1.00,"
#define OFFICIAL                                                                   \
    "num_q,num_ret,num_rel,num_rel_ret,map,gm_map,Rprec,bpref,recip_rank," TENTHS( \
        "iprec_at_recall") CUTS("P")
static const struct {
    const char *name, *list;
} sets[] = {
    {"official", OFFICIAL},
    {"all_trec",
        OFFICIAL CUTS(
            "recall") "infAP,gm_bpref,"
                      "Rprec_mult_0.20,Rprec_mult_0.40,Rprec_mult_0.60,Rprec_mult_0.80,Rprec_mult_1.00,"
                      "Rprec_mult_1.20,Rprec_mult_1.40,Rprec_mult_1.60,Rprec_mult_1.80,Rprec_mult_2.00,"
                      "utility,11pt_avg,binG,G,ndcg,ndcg_rel,Rndcg," CUTS("ndcg_cut")
                          CUTS("map_cut") CUTS(
                              "relative_P") "success_1,success_5,success_10,set_P,set_relative_P,set_recall,set_map,set_F,num_nonrel_judged_ret,"
                                            "rbp,rbp_resid,unj_5,unj_10,unj_20,"},
};

const char *rr_measures_help(void) {
    return "Measures, with commas between; most take a cut-off as in ndcg@10, and trec_eval's names (ndcg_cut_10) work as well:\n"
           "  ndcg[@k]     gain = level, discount log2(rank + 1), ideal over all judged passages\n"
           "  map[@k], mrr[@k], recall@k, p@k, success@k, judged@k (share of the first k that is judged)\n"
           "  Rprec, bpref, infAP, rbp, iprec@x, num_q, num_ret, num_rel, num_rel_ret, set_P, set_recall, set_F, …\n"
           "  official     what trec_eval prints by default;  all_trec: all that it knows";
}

/* Whether the name is one of the words. */
static bool is_one_of(const char *words, const char *name, size_t bytes) {
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        if (length == bytes && rr_ascii_same(words, name, bytes)) {
            return true;
        }
        words += length + (words[length] == ' ');
    }
    return false;
}

/* A cut-off 1, 2, … or a fraction 0 to 100; false when the text is neither. */
static bool read_cut(const char *text, cut_kind kind, rr_measure *measure) {
    char *end;
    if ((text[0] < '0' || text[0] > '9') && text[0] != '.') {
        return false;
    }
    if (kind == FRACTION) {
        measure->fraction = strtod(text, &end);
        return *end == '\0' && measure->fraction <= 100.0;
    }
    unsigned long long cut = strtoull(text, &end, 10);
    measure->cut = (size_t)cut;
    return *end == '\0' && cut > 0 && cut <= UINT32_MAX;
}

static bool read_measure(const char *name, rr_measure *measure) {
    *measure = (rr_measure){.cut = SIZE_MAX, .fraction = 1.0};
    snprintf(measure->name, sizeof measure->name, "%s", name);
    const char *at = strchr(name, '@');
    if (at == NULL) {
        at = strrchr(name,
            '_'); /* trec_eval's "P_10"; "set_P" has an underscore too, hence both are tried */
    }
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const family *f = &families[i];
        measure->compute = f->compute;
        measure->mean = f->mean;
        if (f->cut <= MAY_CUT && is_one_of(f->names, name, strlen(name))) {
            return true;
        }
        if (f->cut != NO_CUT && at != NULL && is_one_of(f->names, name, (size_t)(at - name)) &&
            read_cut(at + 1, f->cut, measure)) {
            return true;
        }
    }
    return false;
}

static rr_status add_list(const char *list, bool in_set, rr_measures *out, rr_diag *diag);

static rr_status add_name(const char *name, bool in_set, rr_measures *out, rr_diag *diag) {
    for (size_t i = 0; !in_set && i < sizeof sets / sizeof sets[0]; i++) {
        if (rr_ascii_same(name, sets[i].name, SIZE_MAX)) {
            return add_list(sets[i].list, true, out, diag);
        }
    }
    rr_measure measure;
    if (!read_measure(name, &measure)) {
        return rr_fail(diag, RR_E_USAGE,
            "there is no measure \"%.60s\", expected ndcg@k, map, mrr, recall@k, p@k or another that "
            "`rearank eval --help` lists",
            name);
    }
    for (size_t i = 0; i < out->n; i++) {
        if (strcmp(out->items[i].name, measure.name) == 0) {
            return RR_OK; /* asked for twice */
        }
    }
    if (out->n == RR_MEASURES_MAX) {
        return rr_fail(diag, RR_E_USAGE, "more than %d measures", RR_MEASURES_MAX);
    }
    out->items[out->n++] = measure;
    return RR_OK;
}

static rr_status add_list(const char *list, bool in_set, rr_measures *out, rr_diag *diag) {
    while (*list != '\0') {
        char name[sizeof out->items[0].name];
        size_t bytes = strcspn(list, ", ");
        if (bytes >= sizeof name) {
            return rr_fail(diag, RR_E_USAGE, "there is no measure \"%.60s\"", list);
        }
        memcpy(name, list, bytes);
        name[bytes] = '\0';
        if (bytes > 0) {
            RR_TRY(add_name(name, in_set, out, diag));
        }
        list += bytes + (list[bytes] != '\0');
    }
    return RR_OK;
}

rr_status rr_measures_parse(const char *list, rr_measures *out, rr_diag *diag) {
    out->n = 0;
    RR_TRY(add_list(list, false, out, diag));
    return out->n > 0
        ? RR_OK
        : rr_fail(diag, RR_E_USAGE, "found no measure, expected names like ndcg@10,map,mrr");
}
