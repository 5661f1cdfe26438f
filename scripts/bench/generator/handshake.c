/* TLS handshakes, one after another: connect, shake hands, wait for the
 * server's session ticket (so it has finished too), end properly. */
#include <poll.h>

#include "link.h"
#include "measure.h"
#include "workload.h"

static SSL_SESSION *session; /* the newest */

static int on_session(SSL *tls, SSL_SESSION *new)
{
    (void)tls;
    SSL_SESSION_free(session);
    session = new;
    return 1;
}

static void wait_for_ticket(struct link *link)
{
    char byte;

    SSL_SESSION_free(session);
    session = NULL;
    link_unblock(link);
    for (;;) {
        struct pollfd polled = {.fd = link->fd, .events = POLLIN};

        if (link_receive(link, &byte, 1) > 0)
            fail("the server spoke first");
        if (session)
            return;
        if (poll(&polled, 1, 10000) <= 0)
            fail("no session ticket for 10 seconds");
    }
}

static void shake(const struct workload_options *options)
{
    struct link link;
    int fd = link_dial(options->port);

    link_adopt(&link, fd);
    if (options->resume && session)
        SSL_set_session(link.tls, session);
    if (SSL_do_handshake(link.tls) != 1)
        fail("the TLS handshake failed");
    if (options->resume && session && !SSL_session_reused(link.tls))
        fail("the session was not resumed");
    wait_for_ticket(&link);
    link_finish(&link);
}

void workload_handshake(const struct workload_options *options)
{
    struct measure measure;
    uint64_t count = 0;

    SSL_CTX_set_session_cache_mode(link_context(),
                                   SSL_SESS_CACHE_CLIENT |
                                       SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(link_context(), on_session);
    for (int i = 0; i < 10; i++)
        shake(options);

    int64_t end = measure_now() + (int64_t)(options->seconds * 1e9);
    measure_start(&measure, options->pid);
    do {
        shake(options);
        count++;
    } while (measure_now() < end);
    measure_settle(&measure);
    measure_stop(&measure);
    measure_print(&measure, count);
}
