#include "rerank/report/card.h"

#include <string.h>

#include "rerank/data/clean.h"

enum {
    /* of a passage before the rest is folded away: what REARANK's prompt shows of it */
    SHOWN_CHARS = 400,
    QUOTED = 8, /* sentences on a card; the windows have all of them */
    SHADES = 4  /* of words that drew attention */
};

static void write(const rr_report_query *query, const char *part, const rr_values *values) {
    rr_parts_write(query->parts, part, values, query->out);
}

static void write_text(const rr_report_query *query, const char *text, size_t bytes) {
    if (bytes > 0) {
        rr_values v = {0};
        rr_values_text(&v, "text", text, bytes);
        write(query, "text", &v);
    }
}

/* Texts */

/* What is folded away; `what` says why. */
static void write_rest(const rr_report_query *query, rr_text text, const char *what) {
    if (text.bytes > 0) {
        char count[32];
        rr_values v = {0};
        rr_values_printf(&v, "count", "%s more characters%s",
            rr_report_count(rr_clean_count(text.data, text.bytes), count), what);
        rr_values_text(&v, "text", text.data, text.bytes);
        write(query, "card-rest", &v);
    }
}

static void write_plain(const rr_report_query *query, const rr_passage *passage) {
    if (passage->title.bytes > 0) {
        write(query, "card-title", NULL);
        write_text(query, passage->title.data, passage->title.bytes);
        write(query, "card-title-end", NULL);
    }
    if (passage->text.bytes > 0) {
        size_t cut = rr_clean_cut(passage->text.data, passage->text.bytes, SHOWN_CHARS);
        write(query, "card-text", NULL);
        write_text(query, passage->text.data, cut);
        write(query, "card-text-end", NULL);
        write_rest(query, (rr_text){passage->text.data + cut, passage->text.bytes - cut}, "");
    }
}

/* A passage as the prompt showed it, and what of it drew the attention. */
typedef struct marked {
    rr_text whole, shown;             /* all of it on one line; the beginning that was shown */
    size_t title, title_end, content; /* where the title stands, and the text begins */
    const rr_passage_read *read;
} marked;

static bool is_in(const marked *m, const rr_read_part *part, size_t at) {
    return rr_attention_text(m->shown, *part).bytes > 0 && at >= part->begin && at < part->end;
}

/* The nearest place behind `at` and up to `end` where a part begins or ends. */
static size_t next_edge(const marked *m, size_t at, size_t end) {
    size_t edge = end;
    for (uint32_t i = 0; i <= m->read->n_words; i++) {
        const rr_read_part *part = i == 0 ? &m->read->sentence : &m->read->words[i - 1];
        if (rr_attention_text(m->shown, *part).bytes > 0) {
            edge = part->begin > at && part->begin < edge ? part->begin : edge;
            edge = part->end > at && part->end < edge ? part->end : edge;
        }
    }
    return edge;
}

static const rr_read_part *word_at(const marked *m, size_t at) {
    for (uint32_t i = 0; i < m->read->n_words; i++) {
        if (is_in(m, &m->read->words[i], at)) {
            return &m->read->words[i];
        }
    }
    return NULL;
}

/* A word in the shade of its share: the passage's strongest has the darkest. */
static void write_word(const rr_report_query *query, const marked *m, const rr_read_part *word,
    size_t begin, size_t end) {
    float most = 0.0f;
    for (uint32_t i = 0; i < m->read->n_words; i++) {
        most = m->read->words[i].share > most ? m->read->words[i].share : most;
    }
    const int shade = most > 0.0f ? (int)(word->share / most * (float)SHADES) : 0;
    rr_values v = {0};
    rr_values_printf(&v, "shade", "%d", shade + 1 > SHADES ? SHADES : shade + 1);
    rr_values_printf(&v, "share", "%.1f", 100.0 * (double)word->share);
    rr_values_text(&v, "text", m->whole.data + begin, end - begin);
    write(query, "drawn", &v);
}

/* Bytes [begin, end) of the whole text. */
static void write_marked(const rr_report_query *query, const marked *m, size_t begin, size_t end) {
    bool in_sentence = false;
    for (size_t at = begin; at < end;) {
        const size_t edge = next_edge(m, at, end);
        const rr_read_part *word = word_at(m, at);
        if (is_in(m, &m->read->sentence, at) && !in_sentence) {
            rr_values v = {0};
            rr_values_printf(&v, "share", "%.1f", 100.0 * (double)m->read->sentence.share);
            write(query, "drew", &v);
            in_sentence = true;
        }
        if (word != NULL) {
            write_word(query, m, word, at, edge);
        } else {
            write_text(query, m->whole.data + at, edge - at);
        }
        if (in_sentence && !is_in(m, &m->read->sentence, edge)) {
            write(query, "drew-end", NULL);
            in_sentence = false;
        }
        at = edge;
    }
    if (in_sentence) {
        write(query, "drew-end", NULL);
    }
}

/* Finds the title and the text in the form of rr_prompt_passage: "Title: t Content: c", or the text
 * alone. */
static void find_parts(const rr_passage *passage, marked *m) {
    static const char title[] = "Title: ", content[] = " Content: ";
    rr_buf flat = {0};
    rr_clean_spaces(
        passage->title.data != NULL ? passage->title.data : "", passage->title.bytes, &flat);
    if (flat.bytes > 0) {
        m->title = strlen(title);
        m->title_end = m->title + flat.bytes;
        m->content = m->title_end + strlen(content);
        /* no text: the last space is gone */
        m->content = m->content < m->whole.bytes ? m->content : m->whole.bytes;
    }
    rr_buf_destroy(&flat);
}

/* A passage that was read: as the prompt showed it, but for its words "Title:" and "Content:". */
static void write_read(
    const rr_report_query *query, const rr_passage *passage, const rr_passage_read *read) {
    const rr_prompt_form form = rr_rank_form(&query->item->params);
    rr_buf whole = {0}, shown = {0};
    rr_prompt_passage(&(rr_prompt_form){form.style, UINT32_MAX}, passage, &whole);
    rr_prompt_passage(&form, passage, &shown);
    marked m = {.whole = {whole.data != NULL ? whole.data : "", whole.bytes}, .read = read};
    m.shown = (rr_text){m.whole.data, shown.bytes};
    find_parts(passage, &m);
    if (m.title_end > 0) {
        write(query, "card-title", NULL);
        write_marked(query, &m, m.title, m.title_end);
        write(query, "card-title-end", NULL);
    }
    const size_t end = m.shown.bytes > m.content ? m.shown.bytes : m.content;
    if (end > m.content) {
        write(query, "card-text", NULL);
        write_marked(query, &m, m.content, end);
        write(query, "card-text-end", NULL);
    }
    write_rest(
        query, (rr_text){m.whole.data + end, m.whole.bytes - end}, ", not shown to the model");
    query->out->failed = query->out->failed || whole.failed || shown.failed;
    rr_buf_destroy(&whole);
    rr_buf_destroy(&shown);
}

/* Cards */

static void write_said(const rr_report_query *query, const rr_said *said, size_t n) {
    size_t n_crowds = 0, n_quoted = 0, n_more = 0;
    if (n == 0) {
        return;
    }
    write(query, "said", NULL);
    for (size_t i = 0; i < n; i++) {
        if (said[i].n_named > RR_EXPLAIN_CROWD) {
            n_crowds++;
            continue;
        }
        if (n_quoted == QUOTED) {
            n_more++;
            continue;
        }
        rr_values v = {0};
        rr_values_printf(&v, "q", "%zu", query->q);
        rr_values_printf(&v, "w", "%zu", said[i].window + 1);
        rr_values_printf(&v, "label", "%u", said[i].label);
        rr_values_text(&v, "text", said[i].text.data, said[i].text.bytes);
        write(query, "sentence", &v);
        n_quoted++;
    }
    if (n_more > 0) {
        rr_values v = {0};
        rr_values_printf(&v, "text", "%zu more in the windows", n_more);
        write(query, "said-rest", &v);
    }
    if (n_crowds > 0) {
        rr_values v = {0};
        rr_values_printf(&v, "text", "%s in %zu sentence%s about more than %d passages",
            n_quoted > 0 ? "Also" : "Named", n_crowds, n_crowds == 1 ? "" : "s",
            (int)RR_EXPLAIN_CROWD);
        write(query, "said-rest", &v);
    }
    write(query, "said-end", NULL);
}

static void write_card(const rr_report_query *query, size_t rank,
    const rr_explanations *explanations, const rr_attention *attention) {
    const rr_ranking *ranking = &query->item->ranking;
    size_t passage = ranking->order[rank], first = explanations->first[passage];
    const rr_passage *it = &query->item->query.passages[passage];
    const rr_passage_read *read = attention != NULL ? attention[passage].read : NULL;
    rr_values v = {0}, score = {0};
    rr_values_printf(&v, "q", "%zu", query->q);
    rr_values_printf(&v, "p", "%zu", passage);
    rr_values_printf(&v, "way", "%s", rr_report_way(query, passage));
    rr_values_printf(&v, "rank", "%zu", rank + 1);
    rr_values_printf(&v, "was", "%zu", passage + 1);
    rr_values_text(&v, "id", it->id, strlen(it->id));
    write(query, "card", &v);
    if (read != NULL) {
        rr_values_printf(&score, "score", "%.3f", rr_ranking_score(ranking, rank + 1));
        write(query, "card-score", &score);
    }
    rr_report_level(query, passage);
    write(query, "card-head-end", NULL);
    if (read != NULL) {
        write_read(query, it, read);
    } else {
        write_plain(query, it);
    }
    write_said(query, explanations->said + first, explanations->first[passage + 1] - first);
    write(query, "card-end", NULL);
}

/* Whether any words of what was read are known: a run that was written without --explain has
 * none. */
static bool has_words(const rr_report_query *query, const rr_attention *attention) {
    bool found = false;
    for (size_t i = 0; attention != NULL && i < query->item->query.n && !found; i++) {
        found = attention[i].read != NULL && attention[i].read->n_words > 0;
    }
    return found;
}

void rr_report_cards_write(const rr_report_query *query, const rr_explanations *explanations,
    const rr_attention *attention) {
    write(query, "passages", NULL);
    if (has_words(query, attention)) {
        write(query, "passages-legend", NULL);
    }
    write(query, "cards", NULL);
    for (size_t i = 0; i < query->item->query.n; i++) {
        write_card(query, i, explanations, attention);
    }
}
