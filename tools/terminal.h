/* The program's seam to the operating system: standard streams, the terminal, signals, its own
 * environment. The system's side stands in terminal_posix.c; cli_terminal.c and out.c use it.
 * Owns: nothing. */
#ifndef RR_TOOLS_TERMINAL_H
#define RR_TOOLS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

typedef enum rr_stream { RR_STREAM_IN, RR_STREAM_OUT, RR_STREAM_ERROR } rr_stream;

bool rr_terminal_is(rr_stream stream);
/* Whether it is a terminal that can move its cursor and erase. */
bool rr_terminal_redraws(rr_stream stream);
/* How many columns it shows; 0 where that cannot be told. */
size_t rr_terminal_columns(rr_stream stream);

/* Writes all bytes. Returns 0 or the error's number (errno.h); EPIPE: the reader is gone. May be
 * called by a signal's handler. */
int rr_stream_write(rr_stream stream, const void *data, size_t bytes);
/* Takes the numbers of closed standard streams, so that no file of ours gets one of them. Using such
 * a stream still fails, as it should. False: a number could not be taken. */
bool rr_streams_reserve(void);

/* Signals that ask the program to end (Ctrl-C and the like) call `handler` from now on.
 * `by_default`: not those that the program was started to ignore, as a shell starts jobs in the
 * background. */
typedef void (*rr_signal_fn)(int signal_number);
void rr_signals_on_end(rr_signal_fn handler, bool by_default);
/* From now on a write that fails returns an error and does not end the program. */
void rr_signals_let_writes_fail(void);
/* Calls `handler` when a page of a mapped file cannot be read: the file shrank, or its disk is gone.
 * The program cannot go on then. */
void rr_signals_on_lost_page(rr_signal_fn handler);
/* Ends the program as this signal does without a handler. */
void rr_signals_die_of(int signal_number);
/* Ends the program at once; for handlers. */
_Noreturn void rr_end_now(int code);

/* Sets a variable for this process and those that it starts, unless it is set. False: it cannot be
 * set. To be called while no other thread reads the environment. */
bool rr_environment_set(const char *name, const char *value);

#endif
