/* When the poll does not wait: an alarm ends the test if it does. */
#include <unistd.h>

#include "turn.h"

static int told, turns_made;

static void on_event(struct ev_loop *ev, ev_io *io, int events)
{
    (void) ev;
    (void) io;
    told += events == EV_READ;
}

static bool feed_once(struct loop *in)
{
    static ev_io never;
    if (turns_made++ > 0)
        return false;
    ev_io_init(&never, on_event, 0, EV_READ);
    ev_feed_event(in->ev, &never, EV_READ);
    return true;
}

static void stay_awake(struct loop_call *call)
{
    (void) call;
    told++;
    loop_stay_awake(loop);
}

static struct loop_call late = {{&late.link, &late.link}, stay_awake};

static bool be_late_once(struct loop *in)
{
    if (turns_made++ > 0)
        return false;
    loop_before_poll(in, &late);
    loop_before_poll(in, &late);
    return true;
}

static void run(bool (*turns)(struct loop *))
{
    told = turns_made = 0;
    loop_run(loop, turns);
    CHECK(told == 1 && turns_made == 2);
}

static void test_began(void)
{
    loop->turn++;
    double began = loop_began(loop);
    CHECK(began > 0 && began <= loop_clock());
    CHECK(loop_began(loop) == began);
}

int main(void)
{
    alarm(20);
    loop = loop_new();
    run(feed_once);
    run(be_late_once);
    test_began();
    loop_free(loop);
    return failures > 0;
}
