/* mutants.h - guards that a chaos run leaves out on purpose, to see that the checker finds it. */
#ifndef TESTS_CHAOS_MUTANTS_H
#define TESTS_CHAOS_MUTANTS_H

/* Takes the guard out of the schema's functions, in the database of fenceline.db; an unknown name fails the
 * run, and so does one whose function does not look as expected any more. */
void mutants_apply(const char *name);

#endif
