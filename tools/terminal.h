/* The program's seam to the operating system: standard streams, the terminal, signals, its own
 * environment. What the program makes of them stands in cli_terminal.c and out.c; the system's side in terminal_posix.c.
 * Owns: nothing. */
#ifndef RR_TOOLS_TERMINAL_H
#define RR_TOOLS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

typedef enum rr_stream { RR_STREAM_IN, RR_STREAM_OUT, RR_STREAM_ERROR } rr_stream;

bool rr_terminal_is(rr_stream stream);
/* A terminal that moves its cursor and erases when it is told to. */
bool rr_terminal_redraws(rr_stream stream);
/* How many columns it shows; 0 where that cannot be told. */
size_t rr_terminal_columns(rr_stream stream);

/* Writes all of it, or gives the error's number (errno.h). EPIPE: nobody reads any more. May be
 * called by a signal's handler. */
int rr_stream_write(rr_stream stream, const void *data, size_t bytes);
/* A closed standard stream must not lend its number to a file of ours; using it then fails, as it
 * should. False: it cannot be kept. */
bool rr_streams_reserve(void);

/* What asks the program to end (Ctrl-C and the like) calls `handler` from now on. `by_default`: not
 * where whoever started the program said that it does not hear of it, as a shell does of jobs in
 * the background. */
typedef void (*rr_signal_fn)(int signal_number);
void rr_signals_on_end(rr_signal_fn handler, bool by_default);
/* A write that fails comes back as an error and ends nothing. */
void rr_signals_let_writes_fail(void);
/* A mapped file that shrank, or whose disk went away: there is no page to read and no way on. */
void rr_signals_on_lost_page(rr_signal_fn handler);
/* Ends the program as this signal does by itself. */
void rr_signals_die_of(int signal_number);
/* Ends the program at once; for handlers. */
_Noreturn void rr_end_now(int code);

/* Sets a variable of this process and of those that it starts, where it is not set; false: it
 * cannot be set. To be called while no other thread looks at the environment. */
bool rr_environment_set(const char *name, const char *value);

#endif
