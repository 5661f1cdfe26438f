/* A closed loop: every connection sends `depth` messages at once, and the
 * next ones when all of them have come back. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "link.h"
#include "measure.h"
#include "workload.h"

enum { EVENTS = 256 };

struct client {
    struct link link;
    char *sent, *expected; /* one batch */
    size_t received;
};

struct echo {
    const struct workload_options *options;
    size_t sent_size, expected_size; /* of a batch */
    struct client *clients;
    int epoll;
    int waiting; /* clients whose batch is under way */
    uint64_t batches;
    bool stopping;
};

static void send_batch(struct echo *echo, struct client *client)
{
    const struct message_form *form = &echo->options->form;
    size_t sent = message_sent_size(form);
    size_t expected = message_expected_size(form);

    for (int i = 0; i < echo->options->depth; i++)
        message_make(form, client->sent + (size_t)i * sent,
                     client->expected + (size_t)i * expected);
    client->received = 0;
    if (link_send(&client->link, client->sent, echo->sent_size) !=
        echo->sent_size)
        fail("a batch does not fit the socket's buffer");
}

static void on_input(struct echo *echo, struct client *client)
{
    static char input[65536];
    size_t got = link_receive(&client->link, input, sizeof input);

    if (got > echo->expected_size - client->received)
        fail("more came back than was sent");
    if (memcmp(client->expected + client->received, input, got) != 0)
        fail("what came back is not what was sent");
    client->received += got;
    if (client->received < echo->expected_size)
        return;
    echo->batches++;
    if (echo->stopping)
        echo->waiting--;
    else
        send_batch(echo, client);
}

static void turn(struct echo *echo)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(echo->epoll, events, EVENTS, 10000);

    if (count <= 0)
        fail("no answer for 10 seconds");
    for (int i = 0; i < count; i++)
        on_input(echo, events[i].data.ptr);
}

static void run_until(struct echo *echo, int64_t end)
{
    do {
        for (int i = 0; i < 16 && echo->waiting > 0; i++)
            turn(echo);
    } while (echo->waiting > 0 && measure_now() < end);
}

static void connect_client(struct echo *echo, struct client *client)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};
    bool apart = echo->options->form.kind == MESSAGE_REDIS;

    link_open(&client->link, echo->options->port);
    link_unblock(&client->link);
    client->sent = malloc(echo->sent_size);
    client->expected = apart ? malloc(echo->expected_size) : client->sent;
    if (!client->sent || !client->expected)
        fail("out of memory");
    epoll_ctl(echo->epoll, EPOLL_CTL_ADD, client->link.fd, &event);
}

void workload_echo(const struct workload_options *options)
{
    size_t depth = (size_t)options->depth;
    struct echo echo = {
        .options = options,
        .sent_size = depth * message_sent_size(&options->form),
        .expected_size = depth * message_expected_size(&options->form),
        .clients = calloc((size_t)options->connections,
                          sizeof(struct client)),
        .epoll = epoll_create1(0),
        .waiting = options->connections};
    struct measure measure;

    for (int i = 0; i < options->connections; i++)
        connect_client(&echo, &echo.clients[i]);
    for (int i = 0; i < options->connections; i++)
        send_batch(&echo, &echo.clients[i]);
    run_until(&echo, measure_now() + (int64_t)(options->warm_up * 1e9));
    echo.batches = 0;
    measure_start(&measure, options->pid);
    run_until(&echo, measure_now() + (int64_t)(options->seconds * 1e9));
    echo.stopping = true;
    run_until(&echo, INT64_MAX);
    measure_stop(&measure);
    measure_print(&measure, echo.batches * depth);
    for (int i = 0; i < options->connections; i++)
        link_close(&echo.clients[i].link);
}
