/* Heads of tables: spreadsheets and data frames write the names of their columns first.
 * Owns: which names these are. Where a format has no head, a line of such names is not to be taken
 * for data. */
#ifndef RR_RERANK_DATA_TABLE_HEAD_H
#define RR_RERANK_DATA_TABLE_HEAD_H

#include "runtime/base/text.h"

/* Whether the line consists of two or more names of columns as data of retrieval have them ("qid",
 * "docid", "text", "score", …, without regard to case, perhaps in quotation marks), with commas,
 * semicolons or tabs between. Cost: a look at the first name for most lines. */
bool rr_table_head_is(rr_text line);

#endif
