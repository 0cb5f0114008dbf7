/* page.h - the status page as one HTML text: its style and its program stand inside, and nothing else may be
 * loaded or run (the policy names both by their hashes). */
#ifndef FL_APP_PAGE_H
#define FL_APP_PAGE_H

/* Both on the heap, the caller's to free; *html NULL without memory. */
void fl_page_build(char **html, char **policy);

#endif
