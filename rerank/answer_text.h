/* What the text of an answer is made of: tags, numbers and brackets.
 * Owns: what counts as a tag, as a digit, as a bracket and as a letter, and where a number ends.
 * Shared by the parser of the whole text (answer.c) and by the one that hears it while it is
 * written (handover.c), so that both find the same ids. Pure. */
#ifndef RR_RERANK_ANSWER_TEXT_H
#define RR_RERANK_ANSWER_TEXT_H

#include "runtime/base/memory.h"

#define RR_THINK_OPEN "<think>"
#define RR_THINK_CLOSE "</think>"
#define RR_ANSWER_OPEN "<answer>"
#define RR_ANSWER_CLOSE "</answer>"

typedef enum rr_tag {
    RR_TAG_NONE,
    RR_TAG_PART, /* the text ends inside what may become one */
    RR_TAG_THINK_OPEN,
    RR_TAG_THINK_CLOSE,
    RR_TAG_ANSWER_OPEN,
    RR_TAG_ANSWER_CLOSE
} rr_tag;

/* The tag that begins at `text`, of which `bytes` (1 or more) are there, and how long it is. */
rr_tag rr_tag_at(const char *text, size_t bytes, size_t *length);

typedef enum rr_mark {
    RR_MARK_OTHER,
    RR_MARK_PART, /* the text ends inside a character */
    RR_MARK_LETTER,
    RR_MARK_DIGIT,  /* of any script, full-width, superscript, subscript: "３", "³" */
    RR_MARK_NUMBER, /* a whole number in one character: "③", "⑫", "❸" */
    RR_MARK_OPEN,   /* "[", and the full-width and lenticular ones: "［", "【" */
    RR_MARK_CLOSE
} rr_mark;

/* What the character at `text` is, its length, and the value of a digit or number (else 0). `bytes`
 * is 1 or more. */
rr_mark rr_mark_at(const char *text, size_t bytes, size_t *length, uint32_t *value);

/* Puts numbers together. Zero-initialise, but for `n`. */
typedef struct rr_number_reader {
    uint32_t n;      /* numbers above it are cut to some number above it */
    uint32_t number; /* that is being read, or has just ended */
    bool in_number;
    bool is_whole;    /* no digit goes on with it */
    bool in_brackets; /* the text is */
    bool bracketed;   /* the number began in brackets */
} rr_number_reader;

/* Goes on by a mark; true when that ended a number: see `number` and `bracketed` of *ended.
 * RR_MARK_OTHER ends any. */
bool rr_number_reader_take(
    rr_number_reader *reader, rr_mark mark, uint32_t value, rr_number_reader *ended);

#endif
