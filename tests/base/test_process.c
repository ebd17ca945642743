/* Programs that are started: what they get, what they give, and how they end. */
#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/process.h"
#include "runtime/base/thread.h"
#include "tests/check.h"

#include <string.h>

static void start(const char *script, rr_process_params params, rr_process *process) {
    const char *args[] = {"sh", "-c", script, NULL};
    rr_diag diag = {0};
    params.program = "sh";
    params.args = args;
    CHECK_OK(rr_process_start(&params, process, &diag), diag);
}

static void check_output(void) {
    rr_process process = {0};
    char text[64] = "";
    size_t n = 0, got;
    const rr_process_variable variables[] = {{"RR_TEST_A", "one"}, {"RR_TEST_B", ""}};
    start("printf '%s-%s-%s' \"$RR_TEST_A\" \"$RR_TEST_B\" \"${HOME:+home}\"; exit 7",
        (rr_process_params){.variables = variables, .n_variables = 2, .reads_output = true},
        &process);
    while ((got = rr_process_read(&process, text + n, sizeof text - 1 - n)) > 0) {
        n += got;
    }
    CHECK(strncmp(text, "one--", 5) == 0);
    CHECK_INT(rr_process_wait(&process), 7);
    CHECK_INT(rr_process_wait(&process), 7);
    rr_process_kill(&process); /* nobody: it has ended */
    rr_process_close(&process);
    rr_process_close(&process);
}

static void check_log(const char *folder) {
    rr_process process = {0};
    rr_buf path = {0}, text = {0};
    rr_diag diag = {0};
    int code;
    rr_buf_printf(&path, "%s/log", folder);
    start("cat; echo out; echo err >&2", (rr_process_params){.log_path = path.data}, &process);
    while (!rr_process_has_ended(&process, &code)) {
        rr_sleep_ns(1000000);
    }
    CHECK_INT(code, 0);
    CHECK(rr_process_has_ended(&process, &code));
    CHECK_OK(rr_file_read(path.data, 100, &text, &diag), diag);
    CHECK_TEXT(text.data, "out\nerr\n");
    rr_process_close(&process);
    rr_buf_destroy(&text);
    rr_buf_destroy(&path);
}

static void wait_for(void *user) {
    rr_process_wait(user);
}

static void check_ends(void) {
    rr_process process = {0};
    int code;
    start("exec sleep 100", (rr_process_params){0}, &process);
    CHECK(!rr_process_has_ended(&process, &code));
    rr_process_stop(&process);
    CHECK_INT(rr_process_wait(&process), RR_PROCESS_KILLED);

    rr_thread thread;
    start("trap '' TERM; while :; do sleep 0.01; done", (rr_process_params){0}, &process);
    CHECK(rr_thread_start(&thread, wait_for, &process));
    rr_process_kill(&process);
    rr_thread_join(&thread);
    CHECK(rr_process_has_ended(&process, &code));
    CHECK_INT(code, RR_PROCESS_KILLED);

    const char *args[] = {"rr-no-such-program", NULL};
    rr_diag diag = {0};
    CHECK_INT(
        rr_process_start(&(rr_process_params){.program = args[0], .args = args}, &process, &diag),
        RR_E_IO);
    CHECK(strstr(diag.text, args[0]) != NULL);
}

int main(void) {
    rr_buf folder = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_temp_folder_make("rearank-test", &folder, &diag), diag);
    check_output();
    check_log(folder.data);
    check_ends();
    rr_folder_remove(folder.data);
    rr_buf_destroy(&folder);
    return CHECK_END();
}
