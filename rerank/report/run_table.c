#include "rerank/report/run_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/attention.h"
#include "rerank/data/clean.h"
#include "rerank/report/explain.h"

/* Cells */

/* At most `width` characters of one line, with an ellipsis where more was there; padded when
 * `pad`. */
static void write_cell(const char *text, size_t bytes, size_t width, bool pad, rr_buf *out) {
    rr_buf flat = {0}, safe = {0};
    rr_clean_spaces(text, bytes, &flat);
    rr_clean_terminal(flat.data != NULL ? flat.data : "", flat.bytes, true, &safe);
    const char *line = safe.data != NULL ? safe.data : "";
    size_t n_chars = rr_clean_count(line, safe.bytes);
    if (n_chars > width) {
        rr_buf_append(out, line, rr_clean_cut(line, safe.bytes, width - 1));
        rr_buf_text(out, "…");
    } else {
        rr_buf_append(out, line, safe.bytes);
        for (; pad && n_chars < width; n_chars++) {
            rr_buf_text(out, " ");
        }
    }
    out->failed = out->failed || flat.failed || safe.failed;
    rr_buf_destroy(&flat);
    rr_buf_destroy(&safe);
}

static void write_passage(const rr_passage *passage, size_t width, rr_buf *out) {
    if (passage->title.bytes == 0) {
        write_cell(passage->text.data, passage->text.bytes, width, false, out);
        return;
    }
    rr_buf both = {0};
    rr_buf_append(&both, passage->title.data, passage->title.bytes);
    rr_buf_text(&both, " · ");
    rr_buf_append(&both, passage->text.data, passage->text.bytes);
    write_cell(both.data != NULL ? both.data : "", both.bytes, width, false, out);
    out->failed = out->failed || both.failed;
    rr_buf_destroy(&both);
}

/* Folded text */

/* Text that is folded at a width. */
typedef struct fold {
    rr_buf *out;
    size_t columns;        /* of the terminal */
    size_t first, indent;  /* columns that are taken before the first line and before the others */
    size_t n_lines, limit; /* lines that were there; lines that are written, 0 = all */
} fold;

static void start_line(fold *f, bool is_first) {
    f->n_lines++;
    for (size_t i = 0; !is_first && i < f->indent && (f->limit == 0 || f->n_lines <= f->limit);
         i++) {
        rr_buf_text(f->out, " ");
    }
}

static void put(fold *f, const char *text, size_t bytes) {
    if (f->limit == 0 || f->n_lines <= f->limit) {
        rr_buf_append(f->out, text, bytes);
    }
}

/* One line without control characters, broken at spaces and inside of words that are wider than a
 * line. */
static void write_line(fold *f, const char *line, size_t bytes, bool is_first) {
    size_t room = f->columns - (is_first ? f->first : f->indent);
    start_line(f, is_first);
    for (size_t i = 0;;) {
        size_t cut = rr_clean_cut(line + i, bytes - i, room), end = i + cut;
        if (end < bytes && line[end] != ' ') {
            size_t space = end;
            while (space > i && line[space - 1] != ' ') {
                space--;
            }
            end = space > i ? space : end;
        }
        size_t shown = end;
        while (shown > i && line[shown - 1] == ' ') {
            shown--;
        }
        put(f, line + i, shown - i);
        put(f, "\n", 1);
        for (i = end; i < bytes && line[i] == ' ';) {
            i++;
        }
        if (i >= bytes) {
            return;
        }
        start_line(f, false);
        room = f->columns - f->indent;
    }
}

/* A text with its own lines, each folded. Returns how many lines were left out. */
static size_t write_folded(rr_text text, size_t columns, size_t indent, size_t limit, rr_buf *out) {
    rr_buf safe = {0};
    fold f = {.out = out, .columns = columns, .indent = indent, .limit = limit};
    rr_clean_terminal(text.data, text.bytes, false, &safe);
    for (size_t i = 0; i < safe.bytes;) {
        const char *end = memchr(safe.data + i, '\n', safe.bytes - i);
        size_t length = end != NULL ? (size_t)(end - safe.data) - i : safe.bytes - i;
        write_line(&f, safe.data + i, length, false);
        i += length + 1;
    }
    out->failed = out->failed || safe.failed;
    rr_buf_destroy(&safe);
    return limit > 0 && f.n_lines > limit ? f.n_lines - limit : 0;
}

/* A sentence as one paragraph that starts behind `first` columns. */
static void write_sentence(
    rr_text text, size_t columns, size_t first, size_t indent, size_t limit, rr_buf *out) {
    rr_buf flat = {0}, safe = {0};
    rr_clean_spaces(text.data, text.bytes, &flat);
    rr_clean_terminal(flat.data != NULL ? flat.data : "", flat.bytes, true, &safe);
    size_t most = limit == 0 ? SIZE_MAX : columns - first + (limit - 1) * (columns - indent);
    fold f = {.out = out, .columns = columns, .first = first, .indent = indent};
    if (rr_clean_count(safe.data != NULL ? safe.data : "", safe.bytes) > most) {
        /* folding at words takes some room */
        safe.bytes = rr_clean_cut(safe.data, safe.bytes, most - 1 - limit * 8);
        rr_buf_text(&safe, "…");
    }
    write_line(&f, safe.data != NULL ? safe.data : "", safe.bytes, true);
    out->failed = out->failed || flat.failed || safe.failed;
    rr_buf_destroy(&flat);
    rr_buf_destroy(&safe);
}

/* Explanations */

/* The `limit` sentences that name the fewest passages, in their order: at[] gets their indices.
 * Sentences that name a crowd are chosen only where there is no other. */
static size_t choose(const rr_said *said, size_t n, size_t limit, size_t *at) {
    size_t n_chosen = 0;
    bool only_crowds = true;
    for (size_t i = 0; i < n; i++) {
        only_crowds = only_crowds && said[i].n_named > RR_EXPLAIN_CROWD;
    }
    for (size_t i = 0; i < n; i++) {
        size_t worst = 0;
        if (said[i].n_named > RR_EXPLAIN_CROWD && !only_crowds) {
            continue;
        }
        if (n_chosen < limit) {
            at[n_chosen++] = i;
            continue;
        }
        for (size_t k = 1; k < n_chosen; k++) {
            worst = said[at[k]].n_named >= said[at[worst]].n_named ? k : worst;
        }
        if (said[i].n_named < said[at[worst]].n_named) {
            memmove(&at[worst], &at[worst + 1], (n_chosen - worst - 1) * sizeof *at);
            at[n_chosen - 1] = i;
        }
    }
    return n_chosen;
}

static void write_said(
    const rr_said *said, bool many_windows, size_t columns, size_t limit, rr_buf *out) {
    char head[64];
    int length = many_windows
        ? snprintf(head, sizeof head, "      window %zu, [%u]: ", said->window + 1, said->label)
        : snprintf(head, sizeof head, "      [%u]: ", said->label);
    rr_buf_append(out, head, (size_t)length);
    write_sentence(said->text, columns, (size_t)length, 8, limit, out);
}

/* Returns how many sentences were left out. */
static size_t write_explanations(const rr_run_out *run, const rr_query *query,
    const rr_ranking *ranking, size_t columns, const rr_explanations *explanations, rr_buf *out) {
    size_t n_shown = 0, n_left_out = 0, reasoning_bytes = 0;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        reasoning_bytes += ranking->windows[i].reasoning.bytes;
    }
    for (size_t i = 0; i < ranking->n; i++) {
        const rr_passage *passage = &query->passages[ranking->order[i]];
        const rr_said *said = explanations->said + explanations->first[ranking->order[i]];
        size_t n =
            explanations->first[ranking->order[i] + 1] - explanations->first[ranking->order[i]];
        if (n == 0) {
            continue;
        }
        if (!run->explain_all && n_shown == RR_TABLE_NAMED) {
            n_left_out += n;
            continue;
        }
        rr_buf_text(out, n_shown++ == 0 ? "\nWhat the reasoning says\n" : "");
        rr_buf_printf(out, "%4zu  ", i + 1);
        write_cell(passage->id, strlen(passage->id), 24, false, out);
        rr_buf_text(out, "\n");
        size_t chosen[RR_TABLE_SAID],
            n_chosen = run->explain_all ? n : choose(said, n, RR_TABLE_SAID, chosen);
        for (size_t k = 0; k < n_chosen; k++) {
            write_said(&said[run->explain_all ? k : chosen[k]], ranking->n_windows > 1, columns,
                run->explain_all ? 0 : 3, out);
        }
        n_left_out += n - n_chosen;
    }
    if (n_shown == 0 && reasoning_bytes > 0) {
        rr_buf_text(out, "\nThe reasoning names no passage.\n");
    }
    return n_left_out;
}

/* Attention */

/* `text`, a part of `shown`, with the words that drew attention between stars; no other words. */
static void mark_words(rr_text shown, rr_text text, const rr_passage_read *read, rr_buf *out) {
    const size_t end = (size_t)(text.data - shown.data) + text.bytes;
    size_t done = (size_t)(text.data - shown.data);
    for (uint32_t i = 0; i < read->n_words; i++) {
        const rr_read_part *word = &read->words[i];
        if (rr_attention_text(shown, *word).bytes > 0 && word->begin >= done && word->end <= end) {
            rr_buf_append(out, shown.data + done, word->begin - done);
            rr_buf_text(out, "*");
            rr_buf_append(out, shown.data + word->begin, word->end - word->begin);
            rr_buf_text(out, "*");
            done = word->end;
        }
    }
    rr_buf_append(out, shown.data + done, end - done);
}

/* The words outside of the sentence, which is a part of `shown` or empty. */
static void list_other_words(
    rr_text shown, rr_text sentence, const rr_passage_read *read, rr_buf *out) {
    for (uint32_t i = 0; i < read->n_words; i++) {
        const rr_read_part *word = &read->words[i];
        rr_text text = rr_attention_text(shown, *word);
        if (text.bytes > 0 &&
            (sentence.bytes == 0 || word->begin < read->sentence.begin ||
                word->end > read->sentence.end)) {
            rr_buf_text(out, out->bytes > 0 ? ", *" : "*");
            rr_buf_append(out, text.data, text.bytes);
            rr_buf_text(out, "*");
        }
    }
}

static void write_attention(const rr_prompt_form *form, const rr_passage *passage,
    const rr_passage_read *read, size_t columns, size_t limit, rr_buf *out) {
    rr_buf whole = {0}, marked = {0}, others = {0};
    rr_prompt_passage(form, passage, &whole);
    rr_text shown = {whole.data != NULL ? whole.data : "", whole.bytes},
            sentence = rr_attention_text(shown, read->sentence);
    if (sentence.bytes > 0) {
        mark_words(shown, sentence, read, &marked);
        rr_buf_text(out, "      ");
        write_sentence((rr_text){marked.data, marked.bytes}, columns, 6, 6, limit, out);
    }
    list_other_words(shown, sentence, read, &others);
    if (others.bytes > 0) {
        rr_buf_text(out, "      also: ");
        write_sentence((rr_text){others.data, others.bytes}, columns, 12, 8, limit, out);
    }
    out->failed = out->failed || whole.failed || marked.failed || others.failed;
    rr_buf_destroy(&whole);
    rr_buf_destroy(&marked);
    rr_buf_destroy(&others);
}

/* Returns how many passages were left out. */
static size_t write_attentions(const rr_run_out *run, const rr_query *query,
    const rr_ranking *ranking, const rr_attention *attention, size_t columns, rr_buf *out) {
    const rr_prompt_form form =
        run->params != NULL ? rr_rank_form(run->params) : (rr_prompt_form){0};
    size_t n_shown = 0, n_left_out = 0;
    for (size_t i = 0; i < ranking->n; i++) {
        const rr_passage *passage = &query->passages[ranking->order[i]];
        const rr_passage_read *read = attention[ranking->order[i]].read;
        if (read == NULL) {
            continue;
        }
        if (!run->explain_all && n_shown == RR_TABLE_NAMED) {
            n_left_out++;
            continue;
        }
        rr_buf_text(out, n_shown++ == 0 ? "\nWhat drew the attention\n" : "");
        rr_buf_printf(out, "%4zu  ", i + 1);
        write_cell(passage->id, strlen(passage->id), 24, false, out);
        rr_buf_printf(out, "  %.3f\n", rr_ranking_score(ranking, i + 1));
        write_attention(&form, passage, read, columns, run->explain_all ? 0 : 3, out);
    }
    return n_left_out;
}

/* Windows */

/* Returns how many lines of reasoning were left out; whole windows count as one. Nobody wrote the
 * answers of windows that were read. */
static size_t write_windows(
    const rr_run_out *run, const rr_ranking *ranking, size_t columns, rr_buf *out) {
    size_t n_left_out = 0;
    bool whole = run->explain_all || ranking->n_windows == 1;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        const rr_window_result *window = &ranking->windows[i];
        if (window->reads != NULL) {
            continue;
        }
        if (!whole) {
            n_left_out += window->reasoning.bytes > 0;
        }
        if (!whole && !window->truncated && !window->repaired && !window->late) {
            continue;
        }
        rr_buf_printf(out, "\nWindow %zu of %zu: ranks %zu to %zu%s%s%s\n", i + 1,
            ranking->n_windows, window->window.begin + 1, window->window.end,
            window->truncated ? ", answer cut" : "", window->repaired ? ", answer repaired" : "",
            window->late ? ", late: as it was" : "");
        if (window->late) {
            continue;
        }
        if (whole && window->reasoning.bytes > 0) {
            rr_buf_text(out, "  Reasoning\n");
            n_left_out += write_folded(
                window->reasoning, columns, 4, run->explain_all ? 0 : RR_TABLE_LINES, out);
        }
        rr_buf_text(out, "  Answer\n");
        n_left_out +=
            write_folded(window->answer, columns, 4, run->explain_all ? 0 : RR_TABLE_LINES, out);
    }
    return n_left_out;
}

static rr_status write_explain(const rr_run_out *run, const rr_query *query,
    const rr_ranking *ranking, const rr_attention *attention, size_t columns, rr_buf *out,
    rr_diag *diag) {
    rr_explanations explanations;
    RR_TRY(rr_explain_ranking(ranking, &explanations, diag));
    size_t n_passages =
        attention != NULL ? write_attentions(run, query, ranking, attention, columns, out) : 0;
    size_t n_sentences = write_explanations(run, query, ranking, columns, &explanations, out);
    size_t n_lines = write_windows(run, ranking, columns, out);
    rr_explanations_destroy(&explanations);
    if (n_passages > 0) {
        rr_buf_printf(out, "\n%zu more passages: --explain-all\n", n_passages);
    }
    if (n_sentences > 0) {
        rr_buf_printf(
            out, "\n%zu more sentences, and the whole reasoning: --explain-all\n", n_sentences);
    } else if (n_lines > 0) {
        rr_buf_text(out, "\nThe whole reasoning: --explain-all\n");
    }
    return RR_OK;
}

/* Table */

static void write_head(
    const rr_run_out *run, const rr_query *query, size_t index, size_t columns, rr_buf *out) {
    if (run->many) {
        rr_buf_text(out, index > 0 ? "\nQuery " : "Query ");
        write_cell(query->qid, strlen(query->qid), 24, false, out);
        rr_buf_text(out, ": ");
        write_cell(query->text.data, query->text.bytes, columns, false, out);
        rr_buf_text(out, "\n");
    }
}

/* The rows. `attention` NULL = without scores; what no window read has none. */
static void write_rows(const rr_query *query, const rr_ranking *ranking,
    const rr_attention *attention, size_t columns, rr_buf *out) {
    enum { SCORE = 7, LEAST = 3 }; /* columns of a score, of a passage */
    /* of at least 40 */
    const size_t scores = attention != NULL ? SCORE : 0, room = columns - 13 - scores - LEAST;
    size_t id_width = 2;
    for (size_t i = 0; i < query->n; i++) {
        size_t width = rr_clean_count(query->passages[i].id, strlen(query->passages[i].id));
        id_width = width > id_width ? width : id_width;
    }
    id_width = id_width > 24 ? 24 : id_width;
    id_width = id_width > room ? room : id_width;
    rr_buf_printf(out, "rank  was  %s%-*s  passage\n", attention != NULL ? "score  " : "",
        (int)id_width, "id");
    for (size_t i = 0; i < ranking->n; i++) {
        const rr_passage *passage = &query->passages[ranking->order[i]];
        rr_buf_printf(out, "%4zu  %3u  ", i + 1, ranking->order[i] + 1);
        if (attention != NULL && attention[ranking->order[i]].read != NULL) {
            rr_buf_printf(out, "%.3f  ", rr_ranking_score(ranking, i + 1));
        } else if (attention != NULL) {
            rr_buf_text(out, "    –  ");
        }
        write_cell(passage->id, strlen(passage->id), id_width, true, out);
        rr_buf_text(out, "  ");
        write_passage(passage, columns - 13 - scores - id_width, out);
        rr_buf_text(out, "\n");
    }
}

rr_status rr_run_table(const rr_run_out *run, const rr_query *query, const rr_ranking *ranking,
    size_t index, rr_buf *out, rr_diag *diag) {
    const size_t columns = run->columns == 0 ? 100 : run->columns < 40 ? 40 : run->columns;
    rr_attention *attention = NULL;
    if (ranking->scores != NULL) {
        attention = malloc(ranking->n * sizeof *attention);
        if (attention == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory while writing a ranking");
        }
        rr_attention_find(ranking, attention);
    }
    write_head(run, query, index, columns, out);
    write_rows(query, ranking, attention, columns, out);
    size_t n_late = rr_ranking_n_late(ranking);
    if (n_late > 0) {
        rr_buf_printf(out, "\nThe deadline came first: of %zu windows %zu are as they were.\n",
            ranking->n_windows, n_late);
    }
    rr_status status =
        run->explain ? write_explain(run, query, ranking, attention, columns, out, diag) : RR_OK;
    free(attention);
    return status;
}
