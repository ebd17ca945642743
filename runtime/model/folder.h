/* The reader of Hugging Face folders: config.json, the tokenizer's files, and weights in one
 * safetensors file or in shards with an index. */
#ifndef RR_MODEL_FOLDER_H
#define RR_MODEL_FOLDER_H

#include "runtime/model/source.h"

/* Whether `path` is a folder at all. */
bool rr_is_folder(const char *path);
/* Opens all files of weights and checks that they agree with each other. Errors: RR_E_IO,
 * RR_E_INPUT, RR_E_UNSUPPORTED (another architecture), RR_E_MEMORY; the message names file and
 * field or tensor. */
rr_status rr_source_open_folder(const char *path, rr_source **out, rr_diag *diag);

#endif
