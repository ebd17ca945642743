/* The vocabulary of a Hugging Face folder: tokenizer.json, or vocab.json and merges.txt; and what
 * ends an answer. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/model/folder_internal.h"

static const uint64_t max_file_bytes = (uint64_t)256 << 20;

/* The pattern by which Qwen2's tokenizer cuts a text (pretokenize.c). */
#define QWEN2_PATTERN                                                                         \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+" \
    "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* The files while they are read; what the list needs of them is copied to its arena. */
typedef struct vocabulary_files {
    const rr_folder *folder;
    rr_json tokenizer, vocabulary, settings, added;
    rr_buf merges;
} vocabulary_files;

static void close_files(vocabulary_files *files) {
    rr_json_destroy(&files->tokenizer);
    rr_json_destroy(&files->vocabulary);
    rr_json_destroy(&files->settings);
    rr_json_destroy(&files->added);
    rr_buf_destroy(&files->merges);
}

static rr_status read_if_there(
    const rr_folder *folder, const char *name, rr_json *out, rr_diag *diag) {
    return rr_folder_has(folder, name)
        ? rr_json_read(folder->base.path, name, max_file_bytes, out, diag)
        : RR_OK;
}

static rr_json_object root_of(const rr_json *json) {
    return (rr_json_object){yyjson_doc_get_root(json->doc), json->label};
}

/* Another tokenizer would cut texts elsewhere and give other ids, which no later check sees. */
static rr_status other_tokenizer(
    const char *place, const char *field, rr_text found, const char *expected, rr_diag *diag) {
    return rr_fail(diag, RR_E_UNSUPPORTED,
        "%s: %s: \"%s\" found, \"%s\" expected (Qwen2 and Qwen2.5)", place, field,
        rr_text_show(found).text, expected);
}

static rr_status expect_text(
    rr_json_object object, const char *field, const char *expected, rr_diag *diag) {
    rr_text found = {"", 0};
    RR_TRY(rr_json_get_text(object, field, &found, diag));
    return rr_text_is(found, expected)
        ? RR_OK
        : other_tokenizer(object.place, field, found, expected, diag);
}

/* Fields that are false in Qwen2's tokenizer and would change what it does. */
static rr_status expect_false(rr_json_object object, const char *field, rr_diag *diag) {
    bool found = false;
    RR_TRY(rr_json_get_bool(object, field, &found, diag));
    return found ? other_tokenizer(object.place, field, (rr_text){"true", 4}, "false", diag)
                 : RR_OK;
}

static rr_status check_split(rr_json_object split, rr_diag *diag) {
    yyjson_val *pattern = NULL;
    RR_TRY(rr_json_get_object(split, "pattern", &pattern, diag));
    RR_TRY(expect_text((rr_json_object){pattern, split.place}, "Regex", QWEN2_PATTERN, diag));
    RR_TRY(expect_text(split, "behavior", "Isolated", diag));
    return expect_false(split, "invert", diag);
}

/* Cutting by the pattern, then bytes as characters. */
static rr_status check_pretokenizer(rr_json_object root, rr_diag *diag) {
    yyjson_val *outer = NULL, *list = NULL;
    RR_TRY(rr_json_get_object(root, "pre_tokenizer", &outer, diag));
    const rr_json_object sequence = {outer, root.place};
    RR_TRY(expect_text(sequence, "type", "Sequence", diag));
    RR_TRY(rr_json_get_list(sequence, "pretokenizers", &list, diag));
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item) {
        const rr_json_object one = {item, root.place};
        RR_TRY(expect_text(one, "type", i == 0 ? "Split" : "ByteLevel", diag));
        RR_TRY(i == 0 ? check_split(one, diag) : RR_OK);
        RR_TRY(i > 0 ? expect_false(one, "add_prefix_space", diag) : RR_OK);
        RR_TRY(i > 0 ? expect_false(one, "use_regex", diag) : RR_OK);
    }
    if (n != 2) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: pre_tokenizer: %zu steps found, Split and ByteLevel expected (Qwen2 and Qwen2.5)",
            root.place, n);
    }
    return RR_OK;
}

static rr_status check_tokenizer(rr_json_object root, yyjson_val **model_out, rr_diag *diag) {
    static const char *const flags[] = {"ignore_merges", "byte_fallback"};
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    yyjson_val *model = NULL, *normalizer = NULL;
    RR_TRY(rr_json_get_object(root, "model", &model, diag));
    RR_TRY(rr_json_get_object(root, "normalizer", &normalizer, diag));
    const rr_json_object object = {model, root.place};
    RR_TRY(expect_text(object, "type", "BPE", diag));
    for (size_t i = 0; i < 2; i++) {
        RR_TRY(expect_false(object, flags[i], diag));
        RR_TRY(rr_json_has(object, texts[i]) ? expect_text(object, texts[i], "", diag) : RR_OK);
    }
    RR_TRY(expect_text((rr_json_object){normalizer, root.place}, "type", "NFC", diag));
    RR_TRY(check_pretokenizer(root, diag));
    *model_out = model;
    return RR_OK;
}

/* Sets the token `id`. Texts are copied, the files are closed before the list is used. */
static rr_status set_token(rr_token_list *list, const char *place, rr_text text, yyjson_val *id,
    rr_token_kind kind, rr_diag *diag) {
    const rr_shown shown = rr_text_show(text);
    if (!yyjson_is_uint(id)) {
        return rr_fail(diag, RR_E_INPUT, "%s: token \"%s\": number expected as its id, %s found",
            place, shown.text, rr_json_type(id));
    }
    const uint64_t at = yyjson_get_uint(id);
    if (at >= list->n) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: token \"%s\": id %llu found, below vocab_size %u expected", place, shown.text,
            (unsigned long long)at, list->n);
    }
    if (list->texts[at].data != NULL) {
        const bool same = rr_text_compare(list->texts[at], text) == 0;
        if (!same) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: id %llu is token \"%s\" and token \"%s\", one expected", place,
                (unsigned long long)at, rr_text_show(list->texts[at]).text, shown.text);
        }
        list->kinds[at] = (uint8_t)kind; /* an added token may stand in the vocabulary, too */
        return RR_OK;
    }
    const char *copy = rr_arena_copy(&list->arena, text.data, text.bytes);
    if (copy == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory for the vocabulary", place);
    }
    list->texts[at] = (rr_text){copy, text.bytes};
    list->kinds[at] = (uint8_t)kind;
    return RR_OK;
}

static rr_status set_vocabulary(
    rr_token_list *list, const char *place, yyjson_val *vocabulary, rr_diag *diag) {
    size_t i, n;
    yyjson_val *key, *value;
    if (vocabulary == NULL) {
        return rr_fail(diag, RR_E_INPUT, "%s: vocab: missing, object expected", place);
    }
    yyjson_obj_foreach(vocabulary, i, n, key, value) {
        RR_TRY(set_token(list, place, rr_json_string(key), value, RR_TOKEN_NORMAL, diag));
    }
    return RR_OK;
}

/* Content and whether it is special; `id` stands elsewhere in each of the files. */
static rr_status set_added(
    rr_token_list *list, rr_json_object token, yyjson_val *id, rr_diag *diag) {
    rr_text content = {"", 0};
    bool special = false;
    RR_TRY(rr_json_get_text(token, "content", &content, diag));
    RR_TRY(rr_json_get_bool(token, "special", &special, diag));
    if (content.bytes == 0) {
        return rr_fail(
            diag, RR_E_INPUT, "%s: added token without content, string expected", token.place);
    }
    if (!special && rr_token_is_chat(content)) {
        rr_log(RR_LOG_WARN,
            "%s: %s is not special, which it has to be: it is taken for a control token",
            token.place, rr_text_show(content).text);
        special = true;
    }
    return set_token(
        list, token.place, content, id, special ? RR_TOKEN_CONTROL : RR_TOKEN_USER, diag);
}

static rr_status set_added_tokens(vocabulary_files *files, rr_token_list *list, rr_diag *diag) {
    yyjson_val *items = NULL, *decoder = NULL, *item, *key;
    size_t i, n;
    const rr_json_object tokenizer = root_of(&files->tokenizer);
    RR_TRY(rr_json_get_list(tokenizer, "added_tokens", &items, diag));
    yyjson_arr_foreach(items, i, n, item) {
        RR_TRY(set_added(
            list, (rr_json_object){item, tokenizer.place}, yyjson_obj_get(item, "id"), diag));
    }
    if (tokenizer.value != NULL) {
        return RR_OK;
    }
    const rr_json_object settings = root_of(&files->settings);
    RR_TRY(rr_json_get_object(settings, "added_tokens_decoder", &decoder, diag));
    yyjson_obj_iter iter = yyjson_obj_iter_with(decoder); /* none, where it is absent */
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        /* the id is the key: a number in a text */
        char *end = NULL;
        const unsigned long long id = strtoull(yyjson_get_str(key), &end, 10);
        yyjson_val number;
        memset(&number, 0, sizeof number);
        if (end == yyjson_get_str(key) || *end != '\0' || !yyjson_set_uint(&number, id)) {
            number.tag = YYJSON_TYPE_NULL;
        }
        RR_TRY(set_added(
            list, (rr_json_object){yyjson_obj_iter_get_val(key), settings.place}, &number, diag));
    }
    const rr_json_object old = root_of(&files->added); /* text → id, all of them special */
    iter = yyjson_obj_iter_with(old.value);
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        RR_TRY(set_token(list, old.place, rr_json_string(key), yyjson_obj_iter_get_val(key),
            RR_TOKEN_CONTROL, diag));
    }
    return RR_OK;
}

/* "left right", or a pair of texts as newer files have it. */
static rr_status set_merge(
    rr_token_list *list, const char *place, uint32_t rank, yyjson_val *merge, rr_diag *diag) {
    yyjson_val *left = yyjson_arr_get_first(merge), *right = yyjson_arr_get_last(merge);
    const bool is_pair = yyjson_arr_size(merge) == 2 && yyjson_is_str(left) && yyjson_is_str(right);
    if (!yyjson_is_str(merge) && !is_pair) {
        return rr_fail(diag, RR_E_INPUT, "%s: merges: merge %u: two texts expected, %s found",
            place, rank, rr_json_type(merge));
    }
    rr_buf line = {0};
    if (is_pair) {
        rr_buf_append(&line, yyjson_get_str(left), yyjson_get_len(left));
        rr_buf_append(&line, " ", 1);
        rr_buf_append(&line, yyjson_get_str(right), yyjson_get_len(right));
    } else {
        rr_buf_append(&line, yyjson_get_str(merge), yyjson_get_len(merge));
    }
    const char *copy = line.failed
        ? NULL
        : rr_arena_copy(&list->arena, line.data != NULL ? line.data : "", line.bytes);
    list->merges[rank] = (rr_text){copy, line.bytes};
    rr_buf_destroy(&line);
    return copy != NULL ? RR_OK
                        : rr_fail(diag, RR_E_MEMORY, "%s: out of memory for the merges", place);
}

/* The next line of merges.txt that is one, from *at on; false at the end. */
static bool next_line(const rr_buf *text, size_t *at, rr_text *out) {
    while (*at < text->bytes) {
        const char *from = text->data + *at;
        const char *newline = memchr(from, '\n', text->bytes - *at);
        size_t n = newline != NULL ? (size_t)(newline - from) : text->bytes - *at;
        const bool is_head = *at == 0 && n > 8 && memcmp(from, "#version", 8) == 0;
        *at += n + 1;
        n -= n > 0 && from[n - 1] == '\r';
        if (!is_head && n > 0) {
            *out = (rr_text){from, n};
            return true;
        }
    }
    return false;
}

static rr_status set_merge_lines(rr_token_list *list, const rr_buf *text, rr_diag *diag) {
    rr_text line;
    uint32_t rank = 0;
    for (size_t at = 0; next_line(text, &at, &line); rank++) {
        const char *copy = rr_arena_copy(&list->arena, line.data, line.bytes);
        if (copy == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "%s: out of memory for the merges", list->label);
        }
        list->merges[rank] = (rr_text){copy, line.bytes};
    }
    return RR_OK;
}

static rr_status read_tokenizer_json(vocabulary_files *files, rr_token_list *list, rr_diag *diag) {
    const rr_json_object root = root_of(&files->tokenizer);
    yyjson_val *model = NULL, *vocabulary = NULL, *merges = NULL, *merge;
    RR_TRY(check_tokenizer(root, &model, diag));
    RR_TRY(rr_json_get_object((rr_json_object){model, root.place}, "vocab", &vocabulary, diag));
    RR_TRY(rr_json_get_list((rr_json_object){model, root.place}, "merges", &merges, diag));
    if (yyjson_arr_size(merges) > INT32_MAX / 4) {
        return rr_fail(diag, RR_E_INPUT, "%s: merges: too many", root.place);
    }
    RR_TRY(rr_token_list_allocate(
        list, files->folder->parsed.n_vocab, (uint32_t)yyjson_arr_size(merges), diag));
    list->tokens_label = "tokenizer.json: vocab";
    list->merges_label = "tokenizer.json: merges";
    RR_TRY(set_vocabulary(list, root.place, vocabulary, diag));
    size_t i, n;
    yyjson_arr_foreach(merges, i, n, merge) {
        RR_TRY(set_merge(list, root.place, (uint32_t)i, merge, diag));
    }
    return RR_OK;
}

/* The pattern does not stand in these files: the tokenizer's name must do. */
static rr_status check_class(vocabulary_files *files, rr_diag *diag) {
    const rr_json_object settings = root_of(&files->settings);
    rr_text name = {"", 0};
    RR_TRY(rr_json_get_text(settings, "tokenizer_class", &name, diag));
    if (!rr_text_is(name, "Qwen2Tokenizer") && !rr_text_is(name, "Qwen2TokenizerFast")) {
        return other_tokenizer(settings.place != NULL ? settings.place : files->folder->base.path,
            "tokenizer_class", name, "Qwen2Tokenizer", diag);
    }
    return RR_OK;
}

static rr_status read_vocab_json(vocabulary_files *files, rr_token_list *list, rr_diag *diag) {
    const rr_folder *folder = files->folder;
    rr_buf path = {0};
    RR_TRY(check_class(files, diag));
    RR_TRY(rr_json_read(folder->base.path, "vocab.json", max_file_bytes, &files->vocabulary, diag));
    rr_buf_printf(&path, "%s/merges.txt", folder->base.path);
    rr_status status = path.failed
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path)
        : rr_file_read(path.data, max_file_bytes, &files->merges, diag);
    rr_buf_destroy(&path);
    RR_TRY(status);
    rr_text line;
    uint32_t n_merges = 0;
    for (size_t at = 0; next_line(&files->merges, &at, &line);) {
        n_merges++;
    }
    RR_TRY(rr_token_list_allocate(list, folder->parsed.n_vocab, n_merges, diag));
    list->tokens_label = "vocab.json";
    list->merges_label = "merges.txt";
    const rr_json_object root = root_of(&files->vocabulary);
    if (!yyjson_is_obj(root.value)) {
        return rr_fail(diag, RR_E_INPUT, "%s: object expected, %s found", root.place,
            rr_json_type(root.value));
    }
    RR_TRY(set_vocabulary(list, root.place, root.value, diag));
    return set_merge_lines(list, &files->merges, diag);
}

/* What the template does with a message. This program writes the same for every model; where a
 * model was trained with something else, it must be told. */
static bool is_chatml(rr_text text) {
    static const char *const parts[] = {"<|im_start|>", "<|im_end|>", "<|im_start|>assistant"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const size_t n = strlen(parts[i]);
        bool found = false;
        for (size_t at = 0; !found && at + n <= text.bytes; at++) {
            found = memcmp(text.data + at, parts[i], n) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* The text of the folder's template: chat_template.jinja wins; else tokenizer_config.json's, a text
 * or a list of {name, template}. `place` is where it stands; empty and NULL without one. */
static rr_status find_template(
    vocabulary_files *files, rr_buf *place, rr_buf *text, rr_diag *diag) {
    const rr_folder *folder = files->folder;
    if (rr_folder_has(folder, "chat_template.jinja")) {
        rr_buf_printf(place, "%s/chat_template.jinja", folder->base.path);
        return place->failed ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path)
                             : rr_file_read(place->data, max_file_bytes, text, diag);
    }
    const rr_json_object settings = root_of(&files->settings);
    yyjson_val *found = yyjson_obj_get(settings.value, "chat_template"), *item;
    size_t i, n;
    yyjson_arr_foreach(found, i, n, item) {
        const rr_text name = rr_json_string(yyjson_obj_get(item, "name"));
        if (name.data != NULL && rr_text_is(name, "default")) {
            found = yyjson_obj_get(item, "template");
            break;
        }
    }
    if (yyjson_is_str(found)) {
        rr_buf_text(place, settings.place);
        rr_buf_append(text, yyjson_get_str(found), yyjson_get_len(found));
    }
    return place->failed || text->failed
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path)
        : RR_OK;
}

static rr_status check_template(vocabulary_files *files, rr_diag *diag) {
    rr_buf place = {0}, text = {0};
    rr_status status = find_template(files, &place, &text, diag);
    if (status == RR_OK && place.bytes > 0 &&
        !is_chatml((rr_text){text.data != NULL ? text.data : "", text.bytes})) {
        rr_log(RR_LOG_WARN,
            "%s: chat_template: none of Qwen's: it lacks <|im_start|>, <|im_end|> or the assistant's turn; "
            "prompts are written in Qwen's form (ChatML) all the same",
            place.data);
    }
    rr_buf_destroy(&place);
    rr_buf_destroy(&text);
    return status;
}

rr_status rr_folder_template(const rr_folder *folder, rr_buf *out, rr_diag *diag) {
    vocabulary_files files = {.folder = folder};
    rr_buf place = {0};
    rr_status status = read_if_there(folder, "tokenizer_config.json", &files.settings, diag);
    if (status == RR_OK) {
        status = find_template(&files, &place, out, diag);
    }
    rr_buf_destroy(&place);
    close_files(&files);
    return status;
}

/* eos_token_id: a number or a list of some. */
static rr_status read_stops(
    rr_json_object object, rr_token_list *list, bool *found, rr_diag *diag) {
    yyjson_val *value = yyjson_obj_get(object.value, "eos_token_id");
    const size_t n = yyjson_is_arr(value) ? yyjson_arr_size(value) : value != NULL;
    *found = value != NULL && !yyjson_is_null(value);
    if (!*found) {
        return RR_OK;
    }
    if (n > RR_SOURCE_MAX_STOPS) {
        return rr_fail(diag, RR_E_INPUT, "%s: eos_token_id: %zu found, at most %d expected",
            object.place, n, RR_SOURCE_MAX_STOPS);
    }
    for (size_t i = 0; i < n; i++) {
        yyjson_val *id = yyjson_is_arr(value) ? yyjson_arr_get(value, i) : value;
        if (!yyjson_is_uint(id) || yyjson_get_uint(id) >= list->n) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: eos_token_id: numbers below vocab_size %u expected", object.place, list->n);
        }
        list->stops[list->n_stops++] = (int32_t)yyjson_get_uint(id);
    }
    return RR_OK;
}

/* generation_config.json comes first. */
static rr_status set_stops(const rr_folder *folder, rr_token_list *list, rr_diag *diag) {
    rr_json generation = {0};
    bool found = false;
    rr_status status = read_if_there(folder, "generation_config.json", &generation, diag);
    if (status == RR_OK) {
        status = read_stops(root_of(&generation), list, &found, diag);
    }
    if (status == RR_OK && !found) {
        status = read_stops(root_of(&folder->config), list, &found, diag);
    }
    rr_json_destroy(&generation);
    return status;
}

/* Rows of the embedding without a token: padding. */
static void fill_gaps(rr_token_list *list) {
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->texts[i].data == NULL) {
            list->texts[i] = (rr_text){"", 0};
            list->kinds[i] = RR_TOKEN_UNUSED;
        }
    }
}

rr_status rr_folder_tokens(const rr_source *source, rr_token_list *out, rr_diag *diag) {
    const rr_folder *folder = (const rr_folder *)source;
    vocabulary_files files = {.folder = folder};
    rr_status status = RR_OK;
    out->label = source->path;
    RR_TRY_GOTO(read_if_there(folder, "tokenizer_config.json", &files.settings, diag));
    RR_TRY_GOTO(read_if_there(folder, "tokenizer.json", &files.tokenizer, diag));
    if (files.tokenizer.doc != NULL) {
        RR_TRY_GOTO(read_tokenizer_json(&files, out, diag));
    } else if (rr_folder_has(folder, "vocab.json")) {
        RR_TRY_GOTO(read_if_there(folder, "added_tokens.json", &files.added, diag));
        RR_TRY_GOTO(read_vocab_json(&files, out, diag));
    } else {
        RR_TRY_GOTO(rr_fail(diag, RR_E_INPUT,
            "%s: no vocabulary: neither tokenizer.json nor vocab.json found", source->path));
    }
    RR_TRY_GOTO(set_added_tokens(&files, out, diag));
    fill_gaps(out);
    RR_TRY_GOTO(set_stops(folder, out, diag));
    RR_TRY_GOTO(check_template(&files, diag));
fail:
    close_files(&files);
    return status;
}
