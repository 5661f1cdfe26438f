/* A doubly linked list whose links live in the listed structs.
 *
 * The head is a link too. A link that is in no list points at itself, so
 * that list_remove may be called twice. Whoever walks a list while calling
 * out pops from the head: what is called may remove any other link. */
#ifndef WEIR_LIST_H
#define WEIR_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

#define list_entry(link, type, member) \
    ((type *) (void *) ((char *) (link) -offsetof(type, member)))

static inline void list_init(struct list *link)
{
    link->next = link->previous = link;
}

static inline bool list_empty(const struct list *link)
{
    return link->next == link;
}

/* Inserts `link` before `position`: at the tail, if that is the head. */
static inline void list_insert(struct list *position, struct list *link)
{
    link->next = position;
    link->previous = position->previous;
    position->previous->next = link;
    position->previous = link;
}

static inline void list_remove(struct list *link)
{
    link->next->previous = link->previous;
    link->previous->next = link->next;
    list_init(link);
}

/* Takes the first link out; NULL if there is none. */
static inline struct list *list_pop(struct list *head)
{
    struct list *first = head->next;
    if (first == head)
        return NULL;
    head->next = first->next;
    first->next->previous = head;
    list_init(first);
    return first;
}

/* Moves all of `from` to the tail of `to`. */
static inline void list_move(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}

#endif
