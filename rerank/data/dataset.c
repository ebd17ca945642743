#include "rerank/data/dataset.h"

#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"

enum { MAX_NAMES = 8 };

static const char *const names[][MAX_NAMES] = {
    [RR_DATASET_CORPUS] = {"corpus.jsonl", "documents.jsonl", "collection.tsv", "corpus.tsv"},
    [RR_DATASET_QUERIES] = {"queries.jsonl", "examples.jsonl", "queries.tsv", "topics.tsv"},
    [RR_DATASET_QRELS] = {"qrels/test.tsv", "qrels/dev.tsv", "qrels.tsv", "qrels.txt", "qrels",
        "examples.jsonl"},
    [RR_DATASET_RUN] = {"run.trec", "bm25.trec", "run.tsv", "run.txt", "bm25.tsv", "bm25.txt"},
    [RR_DATASET_CANDIDATES] = {"candidates.jsonl"},
};

bool rr_dataset_is_folder(const char *path) {
    return rr_file_look(path, NULL) == RR_FILE_FOLDER;
}

void rr_dataset_names(rr_dataset_part part, rr_buf *out) {
    for (size_t i = 0; i < MAX_NAMES && names[part][i] != NULL; i++) {
        rr_buf_printf(out, "%s%s", i > 0 ? ", " : "", names[part][i]);
    }
}

/* As it is published, or packed. */
static const char *const endings[] = {"", ".gz"};
enum { N_ENDINGS = sizeof endings / sizeof endings[0] };

static rr_status find_part(
    const char *folder, rr_dataset_part part, rr_arena *arena, const char **out, rr_diag *diag) {
    rr_buf path = {0};
    rr_status status = RR_OK;
    *out = NULL;
    for (size_t i = 0; i < MAX_NAMES * N_ENDINGS && names[part][i / N_ENDINGS] != NULL &&
         *out == NULL && status == RR_OK;
         i++) {
        rr_buf_clear(&path);
        rr_buf_printf(&path, "%s%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/",
            names[part][i / N_ENDINGS], endings[i % N_ENDINGS]);
        const rr_file_kind kind = path.failed ? RR_FILE_NONE : rr_file_look(path.data, NULL);
        if (kind == RR_FILE_REGULAR || kind == RR_FILE_OTHER) {
            *out = rr_arena_copy(arena, path.data, path.bytes);
            path.failed = *out == NULL;
        }
        status = path.failed ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder) : RR_OK;
    }
    rr_buf_destroy(&path);
    return status;
}

rr_status rr_dataset_find(const char *folder, rr_dataset *out, rr_diag *diag) {
    *out = (rr_dataset){0};
    if (!rr_dataset_is_folder(folder)) {
        return rr_fail(diag, RR_E_IO,
            "%s: found no folder of this name, expected one that holds a data set", folder);
    }
    RR_TRY(rr_folder_check(folder, diag));
    RR_TRY(find_part(folder, RR_DATASET_CORPUS, &out->arena, &out->corpus, diag));
    RR_TRY(find_part(folder, RR_DATASET_QUERIES, &out->arena, &out->queries, diag));
    RR_TRY(find_part(folder, RR_DATASET_QRELS, &out->arena, &out->qrels, diag));
    RR_TRY(find_part(folder, RR_DATASET_RUN, &out->arena, &out->run, diag));
    return find_part(folder, RR_DATASET_CANDIDATES, &out->arena, &out->candidates, diag);
}

void rr_dataset_destroy(rr_dataset *dataset) {
    rr_arena_destroy(&dataset->arena);
    *dataset = (rr_dataset){0};
}
