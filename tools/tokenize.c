/* `rearank tokenize`: text or chat messages to token ids. Reads the vocabulary of the model's file;
 * needs no GPU. */
#include <string.h>

#include "runtime/base/text_file.h"
#include "runtime/model/chat.h"
#include "runtime/model/utf8.h"
#include "tools/chat_json.h"
#include "tools/cli.h"

enum { FORMAT_TEXT, FORMAT_JSON };
static const char *const formats[] = {"text", "json", NULL};
static const uint64_t max_input_bytes = (uint64_t)1 << 30;

typedef struct tokenize_request {
    const char *model;
    const char *input; /* file or "-" */
    bool chat, special;
    int format;
} tokenize_request;

static rr_status encode_chat(const tokenize_request *request, const rr_tokenizer *tokenizer,
    const rr_buf *input, rr_tokens *tokens, rr_diag *diag) {
    rr_chat_json chat = {0};
    rr_status status =
        rr_chat_json_read(input->data != NULL ? input->data : "", input->bytes, &chat, diag);
    if (status != RR_OK) {
        return rr_fail_context(diag, status, "%s", request->input);
    }
    /* a list that ends with the user's turn asks for an answer: open it, as a prompt would */
    bool open_answer = strcmp(chat.messages[chat.n - 1].role, "assistant") != 0;
    status = rr_chat_encode(tokenizer, chat.messages, chat.n, open_answer, tokens, diag);
    rr_chat_json_destroy(&chat);
    return status;
}

static rr_status encode(const tokenize_request *request, const rr_tokenizer *tokenizer,
    rr_tokens *tokens, rr_diag *diag) {
    rr_buf input = {0};
    rr_status status = rr_text_file_read(request->input, max_input_bytes, &input, diag);
    if (status == RR_OK) {
        const char *text = input.data != NULL ? input.data : "";
        status = request->chat ? encode_chat(request, tokenizer, &input, tokens, diag)
            : request->special
            ? rr_tokenizer_encode_special(tokenizer, text, input.bytes, tokens, diag)
            : rr_tokenizer_encode(tokenizer, text, input.bytes, tokens, diag);
    }
    rr_buf_destroy(&input);
    return status;
}

/* A piece on one line of text: control characters and bytes that are no whole character as \xNN,
 * the backslash doubled. */
static void print_piece(rr_text piece) {
    const unsigned char *bytes = (const unsigned char *)piece.data;
    for (size_t at = 0; at < piece.bytes;) {
        int32_t code_point;
        size_t length = rr_utf8_next(bytes + at, piece.bytes - at, &code_point);
        if (code_point == '\n' || code_point == '\r' || code_point == '\t') {
            rr_out_text(code_point == '\n' ? "\\n" : code_point == '\r' ? "\\r" : "\\t");
        } else if (code_point == '\\') {
            rr_out_text("\\\\");
        } else if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0)) {
            for (size_t i = 0; i < length; i++) {
                rr_out_printf("\\x%02x", bytes[at + i]);
            }
        } else {
            rr_out_write(bytes + at, length);
        }
        at += length;
    }
}

static void print_tokens(const rr_tokenizer *tokenizer, const rr_tokens *tokens, int format) {
    if (format == FORMAT_JSON) {
        for (size_t i = 0; i < tokens->n; i++) {
            rr_out_printf("%s%d", i == 0 ? "[" : ",", tokens->ids[i]);
        }
        rr_out_text(tokens->n == 0 ? "[]\n" : "]\n");
        return;
    }
    for (size_t i = 0; i < tokens->n; i++) {
        rr_out_printf("%d\t", tokens->ids[i]);
        print_piece(rr_tokenizer_piece(tokenizer, tokens->ids[i], true));
        rr_out_text("\n");
    }
}

static rr_status tokenize(const tokenize_request *request, rr_diag *diag) {
    rr_status status = RR_OK;
    rr_buf path = {0};
    rr_source *source = NULL;
    rr_tokenizer *tokenizer = NULL;
    rr_tokens tokens = {0};
    RR_TRY_GOTO(rr_cli_model_path(request->model, &path, diag));
    RR_TRY_GOTO(rr_source_open(path.data, &source, diag));
    RR_TRY_GOTO(rr_tokenizer_create(source, &tokenizer, diag));
    RR_TRY_GOTO(encode(request, tokenizer, &tokens, diag));
    print_tokens(tokenizer, &tokens, request->format);
fail:
    rr_tokens_destroy(&tokens);
    rr_tokenizer_destroy(&tokenizer);
    rr_source_close(&source);
    rr_buf_destroy(&path);
    return status;
}

int rr_verb_tokenize(int argc, char **argv) {
    tokenize_request request = {.input = "-"};
    const rr_opt options[] = {
        RR_CLI_OPT_MODEL(&request.model),
        {.name = "chat",
            .kind = RR_OPT_FLAG,
            .target = &request.chat,
            .help =
                "the input is JSON: a list of {\"role\", \"content\"}, or {\"messages\": list}"},
        {.name = "special",
            .kind = RR_OPT_FLAG,
            .target = &request.special,
            .help = "special tokens written out in plain input (<|im_start|>) become their ids"},
        {.name = "format",
            .letter = 'f',
            .kind = RR_OPT_CHOICE,
            .target = &request.format,
            .choices = formats,
            .help = "a token a line (id, tab, piece), or one JSON array of ids (default: text)"},
    };
    const rr_cli_spec spec = {
        .synopsis = "[FILE|-]",
        .about = "Prints the token ids of a file or of standard input. Needs no GPU.",
        .notes =
            "With --chat special tokens stand where the chat template puts them and nowhere else; when the last\n"
            "message is not the assistant's, the assistant's turn is opened.",
        .max_args = 1,
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    if (request.chat && request.special) {
        return rr_cli_usage_error(
            "--chat and --special exclude each other: in messages special tokens are never read");
    }
    if (args.n == 1) {
        request.input = args.items[0];
    }
    rr_diag diag = {0};
    rr_status status = tokenize(&request, &diag);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
