/* list.h - intrusive doubly linked list: a link inside the element, no allocation. */
#ifndef FL_BASE_LIST_H
#define FL_BASE_LIST_H

#include "fenceline/types.h"

/* The struct that holds this link. */
#define FL_CONTAINER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Makes *list an empty list (or *link a lone element, which may then be removed harmlessly). */
static inline void fl_list_init(struct fl_link *list)
{
    list->next = list->previous = list;
}

static inline bool fl_list_is_empty(const struct fl_link *list)
{
    return list->next == list;
}

static inline void fl_list_append(struct fl_link *list, struct fl_link *link)
{
    link->next = list;
    link->previous = list->previous;
    list->previous->next = link;
    list->previous = link;
}

/* Takes the element out of whatever list it is in. */
static inline void fl_list_remove(struct fl_link *link)
{
    link->next->previous = link->previous;
    link->previous->next = link->next;
    fl_list_init(link);
}

/* Takes the first element out, or returns NULL. */
static inline struct fl_link *fl_list_take_first(struct fl_link *list)
{
    struct fl_link *first = list->next;
    if (first == list)
        return NULL;
    fl_list_remove(first);
    return first;
}

#endif
