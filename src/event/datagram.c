#include "event/datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/trace.h"
#include "io/standard.h"

enum { SENDS_PER_TURN = 64 };

/* Some sockets poll as writable while a certain receiver is full (unix(7)
 * ones that are not connected): wait this long, in seconds, between tries. */
static const double retry_after = 0.01;

static int receive_now(struct datagram *datagram)
{
    /* A finalizer may get here while another result is being taken. */
    if (datagram->loop->scratch_busy)
        return EAGAIN;
    struct udp_packet *packet = &datagram->packet;
    int error = udp_receive(datagram->fd, datagram->loop->scratch,
                            datagram->max, packet);
    if (!error && packet->length > packet->size)
        error = EMSGSIZE;
    if (!error_would_block(error))
        trace_datagram_received(datagram, error);
    datagram->loop->scratch_busy = !error;
    return error;
}

int datagram_receive(struct datagram *datagram, size_t max)
{
    if (datagram->fd < 0)
        return ERROR_CLOSED;
    datagram->max = max < LOOP_SCRATCH ? max : LOOP_SCRATCH;
    int error = receive_now(datagram);
    if (!error_would_block(error))
        return error;
    if (datagram->drained)
        return ECANCELED;
    datagram->receiving = true;
    ev_io_start(datagram->loop->ev, &datagram->reader);
    return DATAGRAM_WAIT;
}

void datagram_cancel_receive(struct datagram *datagram)
{
    datagram->receiving = false;
}

void datagram_taken(struct datagram *datagram)
{
    datagram->loop->scratch_busy = false;
}

/* The watcher stays on between receives, until input comes that nobody
 * wants. */
static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void) events;
    struct datagram *datagram = watcher->data;
    if (!datagram->receiving) {
        ev_io_stop(ev, watcher);
        return;
    }
    int error = receive_now(datagram);
    if (error_would_block(error))
        return;
    datagram->receiving = false;
    datagram->received(datagram, error);
}

static int transmit(struct datagram *datagram, const void *data, size_t size,
                    const struct net_address *address)
{
    int error = udp_send(datagram->fd, datagram->family, data, size, address);
    if (!error_would_block(error))
        trace_datagram_sent(datagram, data, size, address, error);
    return error;
}

static int send_now(struct datagram *datagram, const struct datagram_send *send)
{
    return transmit(datagram, send->data, send->size,
                    send->address.length ? &send->address : NULL);
}

static void finish_send(struct loop *loop, struct datagram_send *send,
                        int error)
{
    list_remove(&send->link);
    send->done(send, error);
    loop_bury(loop, send);
}

static struct datagram_send *first_send(const struct datagram *datagram)
{
    if (list_empty(&datagram->sends))
        return NULL;
    return list_entry(datagram->sends.next, struct datagram_send, link);
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void) events;
    struct datagram *datagram = watcher->data;
    for (int sent = 0; sent < SENDS_PER_TURN; sent++) {
        struct datagram_send *send = first_send(datagram);
        if (!send) {
            ev_io_stop(ev, watcher);
            return;
        }
        int error = send_now(datagram, send);
        if (error_would_block(error)) {
            if (sent == 0) {
                ev_io_stop(ev, watcher);
                loop_start_timer(datagram->loop, &datagram->retry, retry_after);
            }
            return;
        }
        finish_send(datagram->loop, send, error);
    }
}

static void on_retry(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void) events;
    struct datagram *datagram = timer->data;
    ev_io_start(ev, &datagram->writer);
}

static struct datagram_send *queue_send(struct datagram *datagram,
                                        const void *data, size_t size,
                                        const struct net_address *address)
{
    struct datagram_send *send = memory_new(sizeof *send + size);
    if (address)
        send->address = *address;
    send->size = size;
    if (size > 0)
        memcpy(send->data, data, size);
    list_insert(&datagram->sends, &send->link);
    if (!ev_is_active(&datagram->retry))
        ev_io_start(datagram->loop->ev, &datagram->writer);
    return send;
}

int datagram_send(struct datagram *datagram, const void *data, size_t size,
                  const struct net_address *address,
                  struct datagram_send **send)
{
    if (datagram->fd < 0)
        return ERROR_CLOSED;
    if (list_empty(&datagram->sends)) {
        int error = transmit(datagram, data, size, address);
        if (!error_would_block(error))
            return error;
    }
    *send = queue_send(datagram, data, size, address);
    return DATAGRAM_WAIT;
}

int datagram_connect(struct datagram *datagram,
                     const struct net_address *address)
{
    if (datagram->fd < 0)
        return ERROR_CLOSED;
    int error = udp_connect(datagram->fd, datagram->family, address);
    if (!error)
        trace_datagram(datagram, "connected");
    return error;
}

void datagram_cancel_send(struct datagram_send *send)
{
    list_remove(&send->link);
    free(send);
}

/* What has arrived is still received; nothing is waited for any more. */
static void on_drain(struct loop_call *call)
{
    struct datagram *datagram = list_entry(call, struct datagram, drain);
    datagram->drained = true;
    if (!datagram->receiving)
        return;
    int error = receive_now(datagram);
    datagram->receiving = false;
    datagram->received(datagram, error_would_block(error) ? ECANCELED : error);
}

static unsigned last_id;

static struct datagram *make(struct loop *loop, int fd, int family)
{
    struct datagram *datagram = memory_new(sizeof *datagram);
    list_init(&datagram->grave);
    list_init(&datagram->sends);
    datagram->loop = loop;
    datagram->fd = fd;
    datagram->family = family;
    datagram->drain.run = on_drain;
    list_insert(&loop->drains, &datagram->drain.link);
    ev_io_init(&datagram->reader, on_readable, fd, EV_READ);
    ev_io_init(&datagram->writer, on_writable, fd, EV_WRITE);
    ev_timer_init(&datagram->retry, on_retry, 0, 0);
    datagram->reader.data = datagram->writer.data = datagram;
    datagram->retry.data = datagram;
    datagram->id = ++last_id;
    trace_datagram(datagram, "opened");
    return datagram;
}

int datagram_open(struct datagram **result, struct loop *loop,
                  const struct net_address *local,
                  const struct udp_options *options)
{
    int fd, family;
    int error = udp_open(&fd, &family, local, options);
    if (error)
        return error;
    *result = make(loop, fd, family);
    if (local)
        net_file_note(&(*result)->file, local);
    return 0;
}

int datagram_adopt(struct datagram **result, struct loop *loop, int fd,
                   const struct udp_options *options)
{
    int family;
    int error = udp_adopt(fd, &family, options);
    if (error == 0)
        *result = make(loop, fd, family);
    return error;
}

/* What waits is told from a list of its own: whoever is told may close or
 * release this socket again. */
void datagram_close(struct datagram *datagram)
{
    struct net_address local;
    struct list unsent;
    if (datagram->fd < 0)
        return;
    trace_datagram(datagram, "closed");
    ev_io_stop(datagram->loop->ev, &datagram->reader);
    ev_io_stop(datagram->loop->ev, &datagram->writer);
    ev_timer_stop(datagram->loop->ev, &datagram->retry);
    list_remove(&datagram->drain.link);
    if (net_local_address(datagram->fd, &local))
        net_file_remove(&datagram->file, &local);
    standard_close(datagram->fd);
    datagram->fd = -1;
    list_init(&unsent);
    list_move(&unsent, &datagram->sends);
    for (struct list *link; (link = list_pop(&unsent));)
        finish_send(datagram->loop,
                    list_entry(link, struct datagram_send, link), ERROR_CLOSED);
    if (!datagram->receiving)
        return;
    datagram->receiving = false;
    datagram->received(datagram, ERROR_CLOSED);
}

void datagram_release(struct datagram *datagram)
{
    datagram_close(datagram);
    loop_bury(datagram->loop, datagram);
}
