#include "rerank/data/table_head.h"

#include <string.h>

#include "runtime/base/text.h"

static bool is_name(const char *name, size_t bytes) {
    static const char *const names[] = {
        "id",
        "_id",
        "qid",
        "query_id",
        "query-id",
        "topic",
        "docid",
        "doc_id",
        "docno",
        "pid",
        "passage_id",
        "corpus_id",
        "corpus-id",
        "query",
        "question",
        "text",
        "title",
        "contents",
        "content",
        "passage",
        "document",
        "body",
        "url",
        "iter",
        "iteration",
        "q0",
        "rank",
        "score",
        "tag",
        "run",
        "run_id",
        "relevance",
        "relevance_score",
        "rel",
        "label",
        "level",
        "grade",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == bytes && rr_ascii_same(names[i], name, bytes)) {
            return true;
        }
    }
    return false;
}

bool rr_table_head_is(rr_text line) {
    const char *at = line.data, *end = line.data + line.bytes;
    size_t n = 0;
    for (;; n++) {
        const char *stop = at;
        while (stop < end && *stop != ',' && *stop != ';' && *stop != '\t') {
            stop++;
        }
        const char *first = at, *last = stop;
        while (first < last && (*first == ' ' || *first == '"' || *first == '\'')) {
            first++;
        }
        while (last > first &&
            (last[-1] == ' ' || last[-1] == '"' || last[-1] == '\'' || last[-1] == '\r')) {
            last--;
        }
        if (!is_name(first, (size_t)(last - first))) {
            return false;
        }
        if (stop == end) {
            return n > 0;
        }
        at = stop + 1;
    }
}
