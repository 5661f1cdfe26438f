/* The command line, as a struct (CONTRACT §5). */
#ifndef WEIR_OPTIONS_H
#define WEIR_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

/* -e and -l, to be done in the order in which they were given. */
struct option_action {
    bool module; /* -l: `text` is a module's name; -e: a chunk */
    const char *text;
};

struct options {
    int argc;
    char **argv;
    /* Where arg[0] is in argv: the script, or "--test", or 0 if there is
     * neither. What comes before it has negative indexes in `arg`. */
    int first;
    const char *script; /* a path; "-": standard input; NULL: none */
    struct option_action *actions;
    int action_count;
    const char *trace_file; /* NULL: standard error */
    size_t trace_bytes;     /* of data in one line */
    double grace; /* seconds that SIGTERM leaves to what is under way */
    bool trace;
    bool interactive;
    bool test; /* run busted; its arguments follow argv[first] */
    bool help;
    bool version;
};

/* Reads the command line. `terminal`: standard input is one, so that without
 * anything to run there is a REPL rather than a script from it. NULL, or what
 * is wrong, to be freed. The strings stay argv's. */
char *options_parse(struct options *options, int argc, char **argv,
                    bool terminal);
void options_free(struct options *options);

void options_help(FILE *file);

#endif
