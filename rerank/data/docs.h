/* Texts by id out of files that may hold millions of them: corpora and lists of queries.
 * Owns: their input formats, and which texts are kept: those that were asked for before. Everything
 * read here is hostile: messages name file, line, what was found and what was expected. One object,
 * one thread at a time. */
#ifndef RR_RERANK_DATA_DOCS_H
#define RR_RERANK_DATA_DOCS_H

#include "runtime/base/memory.h"
#include "runtime/base/text.h"

typedef struct rr_doc {
    rr_text id;    /* the asker's */
    rr_text title; /* bytes == 0: none */
    rr_text text;
    const char *label; /* of the file where it was found; NULL = not found yet */
    size_t line;       /* there */
    /* of the file where its text is null, as not every collection has all; NULL = nowhere */
    const char *null_label;
    size_t null_line; /* there */
    char *memory;     /* of title and text */
    size_t memory_bytes;
} rr_doc;

/* A text that took another's place. */
typedef struct rr_doc_replaced {
    rr_text id;
    const char *label;    /* of the file */
    size_t line, earlier; /* where the new one stands, and the old one */
} rr_doc_replaced;

/* Zero-initialise; destroy whatever happens. */
typedef struct rr_docs {
    rr_arena arena; /* titles, texts, labels */
    rr_doc *items;  /* [n] in the order in which they were asked for */
    size_t n, capacity;
    size_t n_found;
    size_t n_replaced;
    rr_doc_replaced first_replaced;
    uint32_t *slots; /* hash table: index + 1, 0 = free */
    size_t n_slots;
} rr_docs;

typedef enum rr_docs_kind {
    /* An id "_id", "id" or "docid", a text "text", "contents" or "content", perhaps a "title". */
    RR_DOCS_CORPUS,
    /* An id "_id", "id" or "qid", a text "query" or "text". */
    RR_DOCS_QUERIES
} rr_docs_kind;

/* Asks for an id, which must live as long as `docs`; asking again changes nothing. Errors:
 * RR_E_MEMORY; RR_E_INPUT past 2^31 ids. */
rr_status rr_docs_want(rr_docs *docs, rr_text id, rr_diag *diag);
const rr_doc *rr_docs_find(const rr_docs *docs, rr_text id); /* NULL when it was not asked for */

/* Takes the texts that were asked for out of a file; several files may be read one after the other.
 * Two forms, told apart by the first character that is no space:
 *   {"_id": …, "title": …, "text": …}   JSON Lines (BEIR's corpus.jsonl and queries.jsonl, BRIGHT's
 *                                       documents and examples, ours)
 *   id <tab> text                       anything else (MS MARCO's collection.tsv and queries.tsv)
 * Of members that may be the id or the text, the object's first counts. Of lines that were not
 * asked for, only the id is looked at, and a line whose id comes first is not parsed. A text that
 * is null counts as not found. If an id that was asked for comes again in the same file with
 * another text, the last text counts, as for programs that make a dictionary of the file; in
 * another file it is an error. Errors: RR_E_IO, RR_E_INPUT, RR_E_MEMORY. Cost: one pass over the
 * mapped file, or over one packed with gzip, of which a megabyte or the longest line is in memory;
 * memory for what is kept. */
rr_status rr_docs_read(rr_docs *docs, rr_docs_kind kind, const char *path, rr_diag *diag);
/* The same over memory, borrowed during the call. */
rr_status rr_docs_parse(rr_docs *docs, rr_docs_kind kind, const char *data, size_t bytes,
    const char *label, rr_diag *diag);
void rr_docs_destroy(rr_docs *docs); /* accepts a zeroed one */

#endif
