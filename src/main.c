/* weir: reads the command line, then lets the host run. */
#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host.h"
#include "io/printed.h"
#include "io/standard.h"
#include "options.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* Standard output may be full or gone: then help was not given. */
static int printed(void)
{
    const char *reason = printed_end();
    if (!reason)
        return EXIT_SUCCESS;
    fprintf(stderr, "weir: standard output: %s\n", reason);
    return STATUS_FAILED;
}

static int run(const struct options *options)
{
    if (options->help) {
        options_help(stdout);
        return printed();
    }
    if (options->version) {
        printf("weir %s (%s)\n", WEIR_VERSION, LUAJIT_VERSION);
        return printed();
    }
    return host_run(options);
}

int main(int argc, char **argv)
{
    struct options options;
    standard_open();
    printed_open();
    char *wrong = options_parse(&options, argc, argv, isatty(STDIN_FILENO));
    int status = STATUS_USAGE;
    if (wrong)
        fprintf(stderr, "weir: %s (see weir --help)\n", wrong);
    else
        status = run(&options);
    free(wrong);
    options_free(&options);
    return status;
}
