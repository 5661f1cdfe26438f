/* The userdata of a stream, for the files that make up its Lua surface. */
#ifndef WEIR_LUA_STREAM_H
#define WEIR_LUA_STREAM_H

#include <lua.h>

#include "event/stream.h"
#include "lua/task.h"

#define STREAM_TYPE "weir.stream"
#define LUA_STREAM_HEAD 64 /* bytes of what is buffered that reports show */

struct connecting;   /* lua_connecting.c */
struct lua_listener; /* lua_listener.c */

/* What few streams have, or have only until they are open. The others share
 * one of these, which is empty. */
struct lua_rare {
    struct operation *ready; /* connect or start_tls, that waits */
    struct connecting *connecting;
    char *host;   /* the name that it was connected to */
    char *source; /* where to connect from; may be NULL */
    char *peer;   /* its address, in words, if not the one it was made with */
    double connect_timeout;
    struct lua_listener *listener; /* for which a handshake is under way */
    struct lua_stream *pair;       /* the other end, if it is here (R22) */
    struct context *close_context; /* the close callback's */
    int tls; /* reference to the TLS context, until the handshake is done */
    bool shaking; /* it is under way */
};

/* The userdata: made with `stream` NULL, then filled. */
struct lua_stream {
    struct stream *stream;
    struct operation *read; /* that waits */
    /* For reading alone: see lua_stream_have_rare. */
    const struct lua_rare *rare;
    double timeout;     /* default for every operation; < 0: none */
    int close_callback; /* registry references, or LUA_NOREF */
    int anchor;         /* of the userdata, while it must live */
    char first_peer[];  /* the address that it was made with, or "" */
};

struct lua_stream_options {
    struct stream_options stream;
    double timeout, connect_timeout; /* seconds; < 0: none */
};

/* The names of the stream options, for lists of known ones. */
#define PAIR_OPTION_NAMES \
    "max_buffer_size", "read_chunk_size", "max_write_buffer_size", \
        "high_water", "half_open", "timeout", "connect_timeout", "nodelay", \
        "keepalive"
#define STREAM_OPTION_NAMES PAIR_OPTION_NAMES, "tls", "source"

/* Reads the stream options of the table at `index` (0: none); raises. */
void lua_stream_options(lua_State *L, int index,
                        struct lua_stream_options *options);

struct lua_stream *lua_stream_check(lua_State *L, int index);

/* Pushes a new userdata with an unconnected stream. `peer` may be NULL. */
struct lua_stream *lua_stream_push(lua_State *L,
                                   const struct lua_stream_options *options,
                                   const char *peer);
/* lua_stream_rare.c: box->rare of its own, to be changed; given up again if
 * nothing is in it any more; and all of it at the end. */
void lua_stream_rare_begin(struct lua_stream *box);
struct lua_rare *lua_stream_have_rare(struct lua_stream *box);
void lua_stream_rare_trim(struct lua_stream *box);
void lua_stream_rare_end(struct lua_stream *box);

/* Pushes the userdata of a stream for which something waits. */
void lua_stream_push_box(lua_State *L, struct lua_stream *box);
void lua_stream_set_peer(struct lua_stream *box, const char *peer);
/* Its address, in words; NULL if it has none. */
const char *lua_stream_peer(const struct lua_stream *box);
/* `peer` (may be NULL) if a stream can be called by it, else "". */
const char *lua_stream_name(const char *peer);
/* Both ends are here; not any more: returns the other one, or NULL. */
void lua_stream_pair(struct lua_stream *a, struct lua_stream *b);
struct lua_stream *lua_stream_unpair(struct lua_stream *box);
/* Takes over a counted context, or NULL. */
void lua_stream_set_close_context(struct lua_stream *box,
                                  struct context *context);

/* Keeps the userdata at `index` alive until lua_stream_let_go. */
void lua_stream_keep(lua_State *L, struct lua_stream *box, int index);
void lua_stream_let_go(struct lua_stream *box);

/* "open", "peer ended", "closing", … */
const char *lua_stream_phase(const struct stream *stream);
/* Sets `buffered`, `queued` and `head`, the first bytes of what is buffered, in
 * the table on top. */
void lua_stream_set_fields(lua_State *L, const struct stream *stream);
/* "stream #3 (tcp 127.0.0.1:80)" */
void lua_stream_describe(struct stream *stream, char *text, size_t size);
/* What an operation's message says it was done to: "127.0.0.1:80". In `text`,
 * which 32 bytes will do for, or elsewhere. */
const char *lua_stream_target(const struct lua_stream *box, char *text,
                              size_t size);

/* "read_until 127.0.0.1:80: Connection reset by peer"; to be freed. */
char *lua_stream_message(struct lua_stream *box, const char *name, int error);
int lua_stream_call_fail(lua_State *L, struct call *call,
                         struct lua_stream *box, int error);

/* describe of a stream's operations: op->object is the lua_stream. */
void lua_stream_operation_target(struct operation *op, char *text, size_t size);
/* May its operations hold the host? Call after call_wait. */
void lua_stream_hold(struct lua_stream *box, struct operation *op);

/* Raises if a read is pending. */
void lua_stream_check_idle(lua_State *L, struct lua_stream *box);

/* events->read_done, ->copied and ->ready */
void lua_read_done(struct stream *stream, int error);
void lua_copy_done(struct stream *from, const struct copy *copy, int error);
void lua_connect_ready(struct stream *stream, int error);
/* The same for a stream that box->listener accepted. */
void lua_listener_ready(struct lua_stream *box, int error);

/* The descriptor is known outside: what reads a pair may be outside too. */
void lua_stream_shared(struct lua_stream *box);
/* The operation that a struct stream_waiter (its link) belongs to. */
struct operation *lua_write_operation(struct list *link);

/* For what waits until output has been sent: begins it, `done` being that of
 * the waiter in its room, which is about to be given to the stream; its class'
 * cancel; and its failure. */
struct operation *
lua_write_wait(lua_State *L, struct call *call,
               const struct operation_class *class, struct lua_stream *box,
               void (*done)(struct stream_waiter *, int error));
void lua_write_cancel(struct operation *op);
void lua_write_fail(struct operation *op, int error);

/* Add their methods to the table on top of the stack. */
void lua_read_methods(lua_State *L);
void lua_copy_methods(lua_State *L);
void lua_write_methods(lua_State *L);
void lua_send_file_methods(lua_State *L);
void lua_close_methods(lua_State *L);
void lua_socket_methods(lua_State *L);
void lua_connect_methods(lua_State *L);
/* weir.streams */
void lua_streams_open(lua_State *L);
/* The options of weir.stream that a later connect is to use; the stream is on
 * top. Returns 0, or what the C function returns. */
int lua_connect_keep(lua_State *L, struct lua_stream *box, int options);
/* weir.connect */
void lua_connect_open(lua_State *L);

#endif
