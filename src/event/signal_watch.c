/* libev's own ev_signal is not used: its handler only notes, and the second
 * SIGINT must act (see signal_watch.h). */
#include "event/signal_watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/printed.h"
#include "io/standard.h"

#define LIMIT 2 /* seconds, until what is told on the loop must have ended */

static struct loop *loop;
static void (*usual_action)(int number);
static ev_async wake;
static struct list watches = {&watches, &watches};
static struct sigaction before[NSIG];

/* What the raw handler reads and writes. */
static volatile sig_atomic_t arrived[NSIG];
static volatile sig_atomic_t watched[NSIG];
static volatile sig_atomic_t warned; /* the signal that is to end the process */
static bool (*interrupts)(void);

/* Fires when the process has not ended in time: Lua never waits. */
static timer_t limit;
static bool limited;
static struct timespec until[NSIG];

static bool ends_process(int number)
{
    return number == SIGINT || number == SIGTERM;
}

static bool has_usual_action(int number)
{
    return ends_process(number) || number == SIGQUIT;
}

static void leave_at_once(int number)
{
    standard_restore_terminal();
    _exit(128 + number);
}

/* From a handler: nothing but write(2) may be used there. */
static void say(const char *line)
{
    ssize_t written = write(STDERR_FILENO, line, strlen(line));
    (void) written;
}

static void on_limit(int number)
{
    (void) number;
    say("weir: Lua code has not waited since the signal that ends it\n");
    leave_at_once(warned);
}

static void start_limit(int number)
{
    struct itimerspec after = {.it_value = until[number]};
    if (limited && !(number == SIGINT && interrupts))
        timer_settime(limit, 0, &after, NULL);
}

/* The process goes on: the next one is the first again. */
static void forgive(void)
{
    struct itimerspec never = {.it_value.tv_sec = 0};
    if (limited)
        timer_settime(limit, 0, &never, NULL);
    warned = 0;
}

static void on_signal(int number)
{
    int error = errno;
    if (ends_process(number) && !watched[number]) {
        if (warned)
            leave_at_once(number);
        warned = number;
        start_limit(number);
    }
    if (number == SIGINT && interrupts && (arrived[number] || !interrupts()))
        leave_at_once(number);
    if (number == SIGQUIT && arrived[number] && !watched[number])
        say("weir: SIGQUIT: Lua code has not waited since the last one; "
            "the report comes when it does\n");
    arrived[number] = 1;
    ev_async_send(loop->ev, &wake);
    errno = error;
}

/* A handler rather than SIG_IGN, which programs that are started inherit. A
 * stream is told by EPIPE, and that is all. But print tells nobody: a script
 * that prints in a loop would go on for ever. It ends by the loop, or, if it
 * never comes there, at once. */
static void on_broken_pipe(int number)
{
    static volatile sig_atomic_t told;
    if (!printed_broken() || (told && !arrived[number]))
        return;
    if (told) {
        say(SIGNAL_BROKEN_OUTPUT "\n");
        standard_restore_terminal();
        _exit(EXIT_FAILURE);
    }
    told = arrived[number] = 1;
    ev_async_send(loop->ev, &wake);
}

static void handle(int number, void (*handler)(int), struct sigaction *former)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    sigaction(number, &action, former);
}

/* Whoever is told may end any watch: pop, put back, then call. */
static void tell(int number)
{
    struct list now;
    if (!watched[number]) {
        if (ends_process(number)) {
            warned = number;
            start_limit(number); /* Lua has let it come to this */
        }
        if (has_usual_action(number) || number == SIGPIPE)
            usual_action(number);
        return;
    }
    list_init(&now);
    list_move(&now, &watches);
    for (struct list *link; (link = list_pop(&now));) {
        struct signal_watch *watch =
            list_entry(link, struct signal_watch, link);
        list_insert(&watches, link);
        if (watch->number == number)
            watch->arrived(watch);
    }
}

static void on_wake(struct ev_loop *ev, ev_async *watcher, int events)
{
    (void) ev;
    (void) watcher;
    (void) events;
    for (int number = 1; number < NSIG; number++)
        if (arrived[number]) {
            arrived[number] = 0;
            tell(number);
        }
}

/* Real-time signals have no names: no script can handle this one. */
void signal_watch_limit(double grace)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGRTMIN};
    limited = grace < LOOP_NEVER &&
              timer_create(CLOCK_MONOTONIC, &event, &limit) == 0;
    until[SIGINT].tv_sec = LIMIT;
    until[SIGTERM].tv_sec = (time_t) grace + LIMIT;
    handle(SIGRTMIN, on_limit, NULL);
}

void signal_watch_in_time(void)
{
    if (limited)
        timer_delete(limit);
    limited = false;
}

void signal_watch_open(struct loop *on, void (*usual)(int number))
{
    loop = on;
    usual_action = usual;
    ev_async_init(&wake, on_wake);
    ev_async_start(loop->ev, &wake);
    handle(SIGINT, on_signal, &before[SIGINT]);
    handle(SIGTERM, on_signal, &before[SIGTERM]);
    handle(SIGQUIT, on_signal, &before[SIGQUIT]);
    handle(SIGPIPE, on_broken_pipe, &before[SIGPIPE]);
}

void signal_watch_close(void)
{
    if (!loop)
        return;
    while (!list_empty(&watches))
        signal_watch_stop(list_entry(watches.next, struct signal_watch, link));
    sigaction(SIGINT, &before[SIGINT], NULL);
    sigaction(SIGTERM, &before[SIGTERM], NULL);
    sigaction(SIGQUIT, &before[SIGQUIT], NULL);
    sigaction(SIGPIPE, &before[SIGPIPE], NULL);
    ev_async_stop(loop->ev, &wake);
}

bool signal_watch_allowed(int number)
{
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
        return false;
    default:
        return number > 0 && number < NSIG;
    }
}

void signal_watch_start(struct signal_watch *watch)
{
    int number = watch->number;
    list_insert(&watches, &watch->link);
    if (watched[number]++)
        return;
    if (arrived[number] && warned == number)
        forgive(); /* whoever watches will be told of it */
    if (!has_usual_action(number))
        handle(number, on_signal, number == SIGPIPE ? NULL : &before[number]);
}

void signal_watch_stop(struct signal_watch *watch)
{
    int number = watch->number;
    if (list_empty(&watch->link))
        return;
    list_remove(&watch->link);
    if (--watched[number])
        return;
    if (number == SIGPIPE)
        handle(number, on_broken_pipe, NULL);
    else if (!has_usual_action(number))
        sigaction(number, &before[number], NULL);
}

int signal_watch_count(int number)
{
    return watched[number];
}

void signal_watch_interrupts(bool (*handler)(void))
{
    interrupts = handler;
}

bool signal_watch_pending(int number)
{
    return arrived[number];
}

void signal_watch_forget(int number)
{
    arrived[number] = 0;
}
